"""Where each process tells how it is, for all to see: short-lived entries in the state server.

Nothing depends on it: while the state server is away nothing is told, and nobody is hurt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import redis

from ingestor import errors
from ingestor.events.decoding import UNREADABLE
from ingestor.queue.state import state_errors

_PREFIX: Final = "ha_ingestor:status:"
_LEVEL: Final = "ha_ingestor:log_level:"
#: An entry of a process that has died is gone after this time.
EXPIRES_AFTER_S: Final = 10
#: The last word of a process that has given up is kept for a day, or until it is started again.
_LAST_WORD_KEPT_S: Final = 86_400


class StatusBoard:
    """Entries by kind ("listener", "worker", …) and name; a name may have colons in it (`home:websocket`)."""

    def __init__(self, state: redis.Redis[bytes]) -> None:
        self._state = state

    def put(self, kind: str, name: str, entry: dict[str, Any], *, last: bool = False) -> bool:
        """Tell how a process is, or (`last`) why it gave up; False where the state server did not take it."""
        kept_s = _LAST_WORD_KEPT_S if last else EXPIRES_AFTER_S
        try:
            with state_errors():
                self._state.set(f"{_PREFIX}{kind}:{name}", msgspec.json.encode(entry), ex=kept_s)
        except errors.IngestorError:
            return False
        return True

    def forget(self, kind: str, name: str) -> None:
        """Take an entry away: its process ends."""
        with contextlib.suppress(errors.IngestorError), state_errors():
            self._state.delete(f"{_PREFIX}{kind}:{name}")

    def want_level(self, process: str, level: str, for_s: int) -> None:
        """Have processes of a kind or name, or "all", log from a level on, for so long. Raises StateUnavailable."""
        with state_errors():
            self._state.set(_LEVEL + process, level, ex=for_s)

    def wanted_level(self, names: Iterable[str]) -> str | None:
        """Return the level wanted of a process with these names, the last name first. Raises StateUnavailable."""
        with state_errors():
            found: Any = self._state.mget([_LEVEL + name for name in names])
        return next((level.decode(errors="replace") for level in reversed(found) if level), None)

    def all(self) -> dict[str, dict[str, Any]]:
        """Return every entry by `kind:name`; none where the state server is away."""
        try:
            return self.read()
        except errors.IngestorError:
            return {}

    def read(self) -> dict[str, dict[str, Any]]:
        """Return every entry by `kind:name`. Raises StateUnavailable or AuthenticationRefused."""
        with state_errors():
            keys: list[bytes] = sorted(self._state.scan_iter(match=f"{_PREFIX}*", count=1000))
            entries: Any = self._state.mget(keys) if keys else []
        read = {key.decode(errors="replace"): _entry(entry) for key, entry in zip(keys, entries, strict=True)}
        return {key.removeprefix(_PREFIX): entry for key, entry in read.items() if entry is not None}


def _entry(packed: bytes | None) -> dict[str, Any] | None:
    """Return an entry; None where it ended meanwhile, or where somebody else put anything there."""
    try:
        return None if packed is None else msgspec.json.decode(packed, type=dict[str, Any])
    except UNREADABLE:
        return None
