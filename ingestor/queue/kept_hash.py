"""A hash in the state server that somebody keeps a copy of, and puts back where the state server has lost it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import msgspec
import redis

from ingestor.events.decoding import UNREADABLE
from ingestor.queue.state import state_errors

#: Says that the entry is there, although it holds nothing in particular.
_CHANGES: Final = "changes"


class KeptHash:
    """Text by name. The state server is right where it knows anything, else the copy. Calls raise StateUnavailable."""

    def __init__(self, state: redis.Redis[bytes], key: str, copy: Path | None = None) -> None:
        self._state = state
        self._key = key
        self._copy = copy

    def names(self) -> list[str]:
        """Return the names that the state server has."""
        with state_errors():
            return [key.decode("utf-8", "replace") for key in self._state.hkeys(self._key)]

    def change(self, given: Mapping[str, str], gone: Collection[str] = ()) -> None:
        """Set these and take those out, at once."""
        with state_errors():
            pipe = self._state.pipeline()
            if gone:
                pipe.hdel(self._key, *gone)
            for name, text in given.items():
                pipe.hset(self._key, name, text)
            pipe.hincrby(self._key, _CHANGES, 1)
            pipe.execute()

    def read(self) -> dict[str, str]:
        """Return what is held; bring copy and state server in step, where there is a copy."""
        with state_errors():
            held = self._state.hgetall(self._key)
        known = {name.decode("utf-8", "replace"): text.decode("utf-8", "replace") for name, text in held.items()}
        return self._in_step(known)

    def last_known(self) -> dict[str, str]:
        """Return what the copy has."""
        try:
            return msgspec.json.decode(self._copy.read_bytes(), type=dict[str, str]) if self._copy else {}
        except (OSError, *UNREADABLE):
            return {}

    def _in_step(self, known: dict[str, str]) -> dict[str, str]:
        kept = self.last_known()
        if not known and kept:
            with state_errors():
                for name, text in kept.items():
                    self._state.hsetnx(self._key, name, text)
            return kept
        if known != kept and self._copy is not None:
            beside = self._copy.with_suffix(".new")
            with contextlib.suppress(OSError):  # a full disk: the state server has it
                beside.write_bytes(msgspec.json.encode(known))
                os.replace(beside, self._copy)  # noqa: PTH105 -- says what it does
        return known
