"""Whether a home's WebSocket is up, told by its listener to all others; expires with its listener."""

from __future__ import annotations

from typing import Final

import redis

from ingestor.queue.state import state_errors

_PREFIX: Final = "ha_ingestor:ws_up:"
_EXPIRES_AFTER_S: Final = 5


class Presence:
    """The flag of one home. Each call may raise StateUnavailable."""

    def __init__(self, state: redis.Redis[bytes], home: str) -> None:
        self._state = state
        self._key = f"{_PREFIX}{home}"

    def tell(self, *, up: bool) -> None:
        """Say that the home can be heard, for 5 s; or that it cannot."""
        with state_errors():
            if up:
                self._state.set(self._key, b"1", ex=_EXPIRES_AFTER_S)
            else:
                self._state.delete(self._key)

    def is_up(self) -> bool:
        """Return what the home's listener said last, if it lives."""
        with state_errors():
            return bool(self._state.exists(self._key))
