"""Tickets: a word that opens one stream once, for who cannot send a header; kept for seconds in the state server."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

import msgspec
import redis

from ingestor.events.decoding import UNREADABLE
from ingestor.queue.state import state_errors
from ingestor.security.access import ANONYMOUS, Principal

#: How long a ticket may wait for its use (s).
EXPIRES_AFTER_S: Final = 30
_RANDOM_BYTES: Final = 24
_MOST_SIGNS: Final = 100
#: Takes a ticket: whoever comes second finds none.
_TAKE: Final = "local held = redis.call('GET', KEYS[1]) redis.call('DEL', KEYS[1]) return held"


class _Held(msgspec.Struct, array_like=True):
    kind: str
    name: str
    #: Of a session, whose end is that of its tickets.
    mark: str = ""
    ends_s: int = 0


class Tickets:
    """Gives tickets and takes them. Calls block, and raise StateUnavailable."""

    def __init__(self, state: redis.Redis[bytes]) -> None:
        self._state = state

    def give(self, who: Principal) -> str:
        """Return a ticket for somebody."""
        word = secrets.token_urlsafe(_RANDOM_BYTES)
        with state_errors():
            self._state.set(
                _place(word), msgspec.json.encode(_Held(who.kind, who.name, who.mark, who.ends_s)), ex=EXPIRES_AFTER_S
            )
        return word

    def take(self, word: str) -> Principal:
        """Return who was given this ticket, and make it void; anonymous where there is no such."""
        if not word or len(word) > _MOST_SIGNS:
            return ANONYMOUS
        with state_errors():
            held = self._state.execute_command("EVAL", _TAKE, 1, _place(word))
        try:
            found = msgspec.json.decode(held, type=_Held) if held else None
        except UNREADABLE:
            return ANONYMOUS
        if found is None or found.kind not in ("key", "session"):
            return ANONYMOUS
        return Principal("session" if found.kind == "session" else "key", found.name, found.mark, found.ends_s)


def _place(word: str) -> str:
    # Who may look into the state server finds no ticket there.
    return f"ha_ingestor:ticket:{hashlib.sha256(word.encode()).hexdigest()}"
