"""Where points wait whose cause is not known yet: in the state server, no more than so many of a home."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import redis
import structlog

from ingestor.events.decoding import UNREADABLE
from ingestor.events.late import LateCause
from ingestor.queue.state import state_errors

#: Of a home: some 300 bytes each. The newest stay.
MAX_WAITING: Final = 5_000
#: What nobody looks at any more ends by itself.
KEPT_S: Final = 600
_PREFIX: Final = "ha_ingestor:causes:late:"
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(LateCause)
_log: Final = structlog.get_logger(__name__)


class Waiting(NamedTuple):
    """One that waits, and since when (Unix seconds)."""

    since_s: float
    late: LateCause


class LatePost(Protocol):
    """Who waits for a cause. Every call may raise StateUnavailable."""

    def put(self, home: str, late: Sequence[LateCause], now_s: float) -> int:
        """Remember some; who waits already goes on waiting since then. Return how many were let go for them."""
        ...

    def waiting(self, home: str) -> list[Waiting]:
        """Return all that wait, the oldest first."""
        ...

    def confirm(self, home: str, late: Sequence[LateCause]) -> None:
        """Say that these wait no longer."""
        ...


class MemoryLatePost:
    """Those of one process: for tests and for trying things out."""

    def __init__(self, most: int = MAX_WAITING) -> None:
        self._most = most
        self._homes: dict[str, dict[LateCause, float]] = {}

    def put(self, home: str, late: Sequence[LateCause], now_s: float) -> int:
        """Remember some; return how many were let go for them."""
        kept = self._homes.setdefault(home, {})
        for one in late:
            kept.setdefault(one, now_s)
        over = sorted(kept, key=lambda one: kept[one])[: max(0, len(kept) - self._most)]
        self.confirm(home, over)
        return len(over)

    def waiting(self, home: str) -> list[Waiting]:
        """Return all that wait, the oldest first."""
        return sorted((Waiting(since_s, one) for one, since_s in self._homes.get(home, {}).items()), key=_age)

    def confirm(self, home: str, late: Sequence[LateCause]) -> None:
        """Say that these wait no longer."""
        for one in late:
            self._homes.get(home, {}).pop(one, None)


class RedisLatePost:
    """Those of all processes: a sorted set a home, by the time since when each waits."""

    def __init__(self, state: redis.Redis[bytes], most: int = MAX_WAITING) -> None:
        self._state = state
        self._most = most

    def put(self, home: str, late: Sequence[LateCause], now_s: float) -> int:
        """Remember some; return how many were let go for them. Raises StateUnavailable."""
        if not late:
            return 0
        key = f"{_PREFIX}{home}"
        pipe: Any = self._state.pipeline(transaction=False)
        pipe.zadd(key, {_encoder.encode(one): now_s for one in late}, nx=True)
        pipe.zremrangebyrank(key, 0, -self._most - 1)
        pipe.expire(key, KEPT_S)
        with state_errors():
            return int(pipe.execute()[1])

    def waiting(self, home: str) -> list[Waiting]:
        """Return all that wait, the oldest first. Raises StateUnavailable."""
        key = f"{_PREFIX}{home}"
        with state_errors():
            packed = self._state.zrange(key, 0, -1, withscores=True)
        found: list[Waiting] = []
        for one, since_s in packed:
            try:
                found.append(Waiting(since_s, _decoder.decode(one)))
            except UNREADABLE as error:
                # Of another version, or somebody else's: it must not come up again every few seconds.
                _log.warning("late_cause_unreadable", home=home, error=str(error))
                with state_errors():
                    self._state.zrem(key, one)
        return found

    def confirm(self, home: str, late: Sequence[LateCause]) -> None:
        """Say that these wait no longer. Raises StateUnavailable."""
        if late:
            with state_errors():
                self._state.zrem(f"{_PREFIX}{home}", *(_encoder.encode(one) for one in late))


def _age(one: Waiting) -> float:
    return one.since_s
