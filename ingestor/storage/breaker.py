"""The circuit breaker before the store: one for all writers, its state in the state server; writes no point.

While the store is away nobody sends it a whole batch only to hear so: for a while (as long as the store asks for, else
ever longer) nothing is sent at all, then one writer tries. Ages are the state server's (keys that expire): no clock of
ours is asked. While the state server is away each writer knows only what it sees itself.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

import msgspec
import redis
import structlog

from ingestor import errors
from ingestor.events.point import Point, StoredEvent
from ingestor.queue.state import state_errors
from ingestor.storage.port import (
    ContextCount,
    EventQuery,
    HourCount,
    Store,
    StoredMoment,
    StoredState,
    StoreInfo,
    WriteResult,
)
from ingestor.storage.series_hours import SeriesHour, StoredValue
from ingestor.storage.windows import Window, WindowQuery

Phase = Literal["closed", "open", "half_open"]

#: One failure may be a dropped connection; so many one after the other are an outage.
_OPENS_AFTER: Final = 3
#: The longest pause before the next try, so that the end of an outage is noticed soon.
_LONGEST_S: Final = 5.0
_FIRST_S: Final = 0.25
#: A store may ask for so much and no more: a wrong header must not stop us for a day.
_LONGEST_ASKED_S: Final = 900.0
#: How often a writer that has no trouble itself looks whether another one has.
_LOOK_EVERY_S: Final = 1.0
#: A try that never came back gives the next one its turn after this: more than a task may take.
_TRY_S: Final = 30
#: What nobody renews any more ends by itself.
_KEPT_S: Final = 120
_NEXT_LOOK_S: Final = 0.3
_PREFIX: Final = "ha_ingestor:store:breaker"
#: A number that grows while the store takes something, by each process at most so often.
TAKEN_KEY: Final = "ha_ingestor:store:taken"
_TELL_EVERY_S: Final = 1.0

_log = structlog.get_logger(__name__)


class _Trouble(msgspec.Struct, frozen=True):
    """What is kept while the breaker is not closed."""

    refused: bool
    detail: str
    since_s: float
    failures: int


class BreakerState(msgspec.Struct, frozen=True):
    """How the breaker is. `refused`: somebody must change the settings or the store, waiting alone cures nothing."""

    phase: Phase
    refused: bool = False
    detail: str = ""
    since_s: float = 0.0
    next_try_in_s: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {name: getattr(self, name) for name in self.__struct_fields__}

    def sentence(self) -> str:
        """Return it in words."""
        if self.phase == "closed":
            return "the store takes what is written"
        what = "refuses every write, and all of it is kept" if self.refused else "takes nothing, and all of it is kept"
        since = time.strftime("%H:%M:%S", time.localtime(self.since_s))
        return f"the store {what} (since {since}; next try in {self.next_try_in_s:.0f} s): {self.detail}"


class StoreBreaker:
    """Shared by every process that reaches the same state server. For one thread."""

    def __init__(
        self,
        state: redis.Redis[bytes],
        *,
        clock: Callable[[], float] = time.monotonic,
        spread: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._state = state
        self._clock = clock
        self._spread = spread
        self._look_at_s = self._tell_at_s = float("-inf")
        self._failures = 0
        self._troubled = False

    def ready(self) -> None:
        """Raise what the store said last while there is no use in making points ready; takes nobody's turn."""
        self._pass(lambda: True)

    def check(self) -> None:
        """Let a write pass, or raise what the store said last: StoreUnavailable or StoreRefused."""
        self._pass(self._may_try)

    def _pass(self, may_try: Callable[[], bool]) -> None:
        if not self._troubled and self._clock() < self._look_at_s:
            return
        try:
            trouble, pause_s = self._read()
            if trouble is None:
                self._troubled, self._look_at_s = False, self._clock() + _LOOK_EVERY_S
                return
            self._troubled = True
            if pause_s <= 0 and may_try():
                return
        except errors.StateUnavailable:
            return
        _raise(trouble, pause_s if pause_s > 0 else _NEXT_LOOK_S)

    def succeeded(self) -> None:
        """Note that the store took something: whoever waits may go on, and a batch that fails is alone with it."""
        self._failures = 0
        if self._clock() >= self._tell_at_s:
            self._tell_at_s = self._clock() + _TELL_EVERY_S
            with contextlib.suppress(errors.StateUnavailable), state_errors():
                self._state.incr(TAKEN_KEY)
        if self._troubled:
            self._close()

    def failed(self, error: errors.StoreUnavailable | errors.StoreRefused) -> None:
        """Note what the store said, or that it said nothing."""
        self._failures += 1
        refused = isinstance(error, errors.StoreRefused)
        asked_s = min(getattr(error, "retry_after_s", None) or 0.0, _LONGEST_ASKED_S)
        if refused or asked_s or self._troubled or self._failures >= _OPENS_AFTER:
            try:
                self._open(error, asked_s, refused=refused)
            except errors.StateUnavailable:
                return

    def read(self) -> BreakerState:
        """Return how it is. Raises StateUnavailable."""
        trouble, pause_s = self._read()
        if trouble is None:
            return BreakerState("closed")
        phase: Phase = "open" if pause_s > 0 else "half_open"
        return BreakerState(phase, trouble.refused, trouble.detail, trouble.since_s, max(0.0, pause_s))

    def _read(self) -> tuple[_Trouble | None, float]:
        with state_errors():
            pipe = self._state.pipeline(transaction=False)
            pipe.get(_PREFIX)
            pipe.pttl(f"{_PREFIX}:pause")
            packed, pause_ms = pipe.execute()
        return _trouble(packed), pause_ms / 1000

    def _may_try(self) -> bool:
        with state_errors():
            return bool(self._state.set(f"{_PREFIX}:try", 1, nx=True, ex=_TRY_S))

    def _open(self, error: errors.IngestorError, asked_s: float, *, refused: bool) -> None:
        before, _ = self._read()
        failures = before.failures + 1 if before else 1
        longest_s = min(_LONGEST_S, _FIRST_S * 2 ** min(failures, 10))
        pause_s = max(asked_s, self._spread(longest_s / 2, longest_s))
        since_s = before.since_s if before else time.time()
        trouble = _Trouble(refused, str(error), since_s, failures)
        with state_errors():
            pipe: Any = self._state.pipeline(transaction=False)
            pipe.set(_PREFIX, msgspec.json.encode(trouble), ex=int(_KEPT_S + pause_s))
            pipe.set(f"{_PREFIX}:pause", 1, px=int(pause_s * 1000))
            pipe.delete(f"{_PREFIX}:try")
            pipe.execute()
        self._troubled = True
        if before is None or before.refused != refused:
            _log.error("store_refuses" if refused else "store_away", error=trouble.detail, pause_s=round(pause_s, 1))

    def _close(self) -> None:
        try:
            trouble, _ = self._read()
            with state_errors():
                pipe: Any = self._state.pipeline(transaction=False)
                pipe.delete(_PREFIX, f"{_PREFIX}:pause", f"{_PREFIX}:try")
                pipe.execute()
        except errors.StateUnavailable:
            return
        self._troubled, self._look_at_s = False, self._clock() + _LOOK_EVERY_S
        if trouble is not None:
            _log.info("store_back", after_s=round(time.time() - trouble.since_s, 1))


class GuardedStore:
    """A store behind the breaker: what it refuses or does not answer is noted, and nothing sent while it is open."""

    def __init__(self, store: Store, breaker: StoreBreaker) -> None:
        self._store = store
        self._breaker = breaker

    def write(self, points: Sequence[Point]) -> WriteResult:
        """Store points. Raises StoreUnavailable or StoreRefused, also without having asked the store."""
        self._breaker.check()
        try:
            result = self._store.write(points)
        except (errors.StoreUnavailable, errors.StoreRefused) as error:
            self._breaker.failed(error)
            raise
        self._breaker.succeeded()
        return result

    def read(self, query: EventQuery) -> Iterator[StoredEvent]:
        """Yield stored events of our own schema, newest first."""
        return self._store.read(query)

    def scan(self, query: EventQuery) -> Iterator[list[StoredEvent]]:
        """Yield all events of a query, oldest first."""
        return self._store.scan(query)

    def count_by_hour(self, home: str, since_ns: int, until_ns: int) -> list[HourCount]:
        """Return how many points there are by hour, kind and source."""
        return self._store.count_by_hour(home, since_ns, until_ns)

    def states_between(self, home: str, since_ns: int, until_ns: int, limit: int) -> list[StoredState]:
        """Return what tells the states of a time apart."""
        return self._store.states_between(home, since_ns, until_ns, limit)

    def moments_between(self, home: str, since_ns: int, until_ns: int) -> list[StoredMoment]:
        """Return what held for a home."""
        return self._store.moments_between(home, since_ns, until_ns)

    def context_counts(self, home: str, since_ns: int, until_ns: int) -> list[ContextCount]:
        """Return how many states have their context, by domain."""
        return self._store.context_counts(home, since_ns, until_ns)

    def repair_counts(self, home: str, since_ns: int, until_ns: int) -> dict[str, int]:
        """Return how many states were repaired, by the rules that did it."""
        return self._store.repair_counts(home, since_ns, until_ns)

    @property
    def reads_below(self) -> int:
        """As the store has it."""
        return self._store.reads_below

    def states_by_series(self, home: str, since_ns: int, until_ns: int) -> dict[str, int]:
        """Read past the breaker: a reader does not harm a store that is slow to write."""
        return self._store.states_by_series(home, since_ns, until_ns)

    def series_hours(self, home: str, since_ns: int, until_ns: int, series: Sequence[str] = ()) -> list[SeriesHour]:
        """Return the states of a span added up by series."""
        return self._store.series_hours(home, since_ns, until_ns, series)

    def hours_by_series(self, home: str, since_ns: int, until_ns: int) -> Iterator[tuple[int, list[SeriesHour]]]:
        """Yield the hours of a span added up by series."""
        return self._store.hours_by_series(home, since_ns, until_ns)

    def windows(self, query: WindowQuery) -> list[Window]:
        """Return states added up by windows of time."""
        return self._store.windows(query)

    def values_of(self, home: str, series: Sequence[str], since_ns: int, until_ns: int) -> Iterator[StoredValue]:
        """Yield the states of some series."""
        return self._store.values_of(home, series, since_ns, until_ns)

    def check(self, *, write: bool = False) -> StoreInfo:
        """Say what answers; asks the store itself, breaker or not."""
        return self._store.check(write=write)

    def close(self) -> None:
        """Give back connections."""
        self._store.close()


def _trouble(packed: bytes | None) -> _Trouble | None:
    try:
        return None if packed is None else msgspec.json.decode(packed, type=_Trouble)
    except msgspec.MsgspecError:
        return None


def _raise(trouble: _Trouble, again_in_s: float) -> None:
    if trouble.refused:
        raise errors.StoreRefused(trouble.detail)
    raise errors.StoreUnavailable(trouble.detail, retry_after_s=again_in_s)
