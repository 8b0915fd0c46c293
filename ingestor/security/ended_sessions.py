"""Which sessions of browsers were ended before their time: kept in the state server, for all API processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import redis
import structlog

from ingestor import errors
from ingestor.queue.state import state_errors

#: Where the state server is away it is not asked for so long (s): nobody waits for it at every request.
_ASK_AGAIN_AFTER_S: Final = 2.0
#: Clocks of several hosts are not the same (s).
_LONGER_S: Final = 60
_log: Final = structlog.get_logger(__name__)


class EndedSessions:
    """Ends sessions, and knows the ended ones until they would have run out. For many threads; calls block.

    While the state server is away a process knows those alone that were ended, or asked for, in itself: people must
    be able to see and change what is wrong then.
    """

    def __init__(self, state: redis.Redis[bytes], clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, float] = {}
        self._away_until_s = 0.0

    def end(self, mark: str, ends_s: float) -> None:
        """End the session of this mark, which would have ended then (Unix seconds). Raises StateUnavailable."""
        self._know(mark, ends_s + _LONGER_S)
        with state_errors():
            self._state.set(_place(mark), b"1", ex=max(1, int(ends_s - self._clock()) + _LONGER_S))

    def has(self, mark: str, ends_s: float) -> bool:
        """Tell whether a session was ended, as far as anybody can tell now."""
        now_s = self._clock()
        with self._lock:
            if mark in self._known:
                return True
            if now_s < self._away_until_s:
                return False
        try:
            with state_errors():
                found = self._state.get(_place(mark)) is not None
        except errors.IngestorError as error:
            _log.warning("ended_sessions_not_known", error=str(error))
            self._away_until_s = now_s + _ASK_AGAIN_AFTER_S
            return False
        if found:
            self._know(mark, ends_s + _LONGER_S)
        return found

    def _know(self, mark: str, until_s: float) -> None:
        with self._lock:
            now_s = self._clock()
            self._known = {one: end_s for one, end_s in self._known.items() if end_s > now_s}
            self._known[mark] = until_s


def _place(mark: str) -> str:
    return f"ha_ingestor:ended-session:{mark}"
