"""Sessions of browsers: who has shown the key is known by a sealed word until it runs out; nothing is kept here.

Those that are ended before are in `ended_sessions`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from ingestor.events.decoding import UNREADABLE
from ingestor.security.access import ANONYMOUS, Principal
from ingestor.security.keys import Keyring

_PURPOSE: Final = "browser sessions, 1"
_MOST_SIGNS: Final = 1000


class _Said(msgspec.Struct, array_like=True):
    name: str
    ends_s: int
    #: Makes each word another one.
    salt: str


@dataclass(frozen=True, slots=True)
class Session:
    """A session: the word that the browser keeps, whose it is, and when it ends (Unix seconds)."""

    word: str
    who: Principal
    ends_s: int


class Sessions:
    """Makes words and knows them again. They are sealed by the key: a new key ends them all."""

    def __init__(self, keys: Keyring, for_s: float, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._for_s = for_s
        self._clock = clock

    def begin(self, who: Principal) -> Session:
        """Return a session for whoever has shown the key."""
        ends_s = int(self._clock() + self._for_s)
        told = _Said(who.name, ends_s, secrets.token_urlsafe(12))
        said = msgspec.json.encode(told)
        return Session(f"{_text(said)}.{_text(self._seal(said))}", _who(told), ends_s)

    def principal(self, word: str) -> Principal:
        """Return whose word it is; anonymous where it is none of ours, or has run out."""
        if len(word) > _MOST_SIGNS:
            return ANONYMOUS
        said_text, _, seal_text = word.partition(".")
        try:
            said, seal = _bytes(said_text), _bytes(seal_text)
            if not hmac.compare_digest(seal, self._seal(said)):
                return ANONYMOUS
            told = msgspec.json.decode(said, type=_Said)
        except (ValueError, *UNREADABLE):
            return ANONYMOUS
        return _who(told) if self._clock() < told.ends_s else ANONYMOUS

    def _seal(self, said: bytes) -> bytes:
        return hmac.digest(self._keys.derived(_PURPOSE), said, "sha256")


def _who(told: _Said) -> Principal:
    # Of what was sealed, not of the word: the same bytes can be written in several ways.
    mark = hashlib.sha256(told.salt.encode()).hexdigest()
    return Principal("session", told.name, mark, told.ends_s)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
