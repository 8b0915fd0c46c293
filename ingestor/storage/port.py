"""The store port: what every event store can do; names no store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from ingestor.events.point import FieldValue, Point, StoredEvent
from ingestor.storage.series_hours import SeriesHour, StoredValue
from ingestor.storage.windows import Window, WindowQuery

HOUR_US: Final = 3_600_000_000
HOUR_NS: Final = 1000 * HOUR_US


@dataclass(frozen=True, slots=True)
class Rejection:
    """A point that the store will never take. `index` is its place in the sequence that was written."""

    index: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of the points of one write: all that are not rejected are stored.

    A store that cannot say for sure raises instead (Transient: nothing may be assumed stored).
    """

    written: int
    rejected: list[Rejection] = field(default_factory=list)
    #: Of those written: with a value in a field beside its own, which has another type (storage.on_type_conflict).
    repaired: int = 0


class EventPosition(NamedTuple):
    """The place of an event in the order that events are read in; no two events share one."""

    time_ns: int
    home: str
    series: str
    kind: str


def position_of(event: StoredEvent) -> EventPosition:
    """Return the place of an event."""
    return EventPosition(event.time_ns, event.home, event.series, event.kind)


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which stored events to read, newest first unless `oldest_first`.

    Times are Unix nanoseconds, `since` inclusive, `until` exclusive.
    `entity` and `event_type` are globs (`*`, `?`); None asks for all. `kind` is "state", "event" or None for both.
    `context_ids` asks for what happened in one of these contexts; no store has an index of them: say the time too.
    `tags` asks, for each tag named, for one of the values. `series` asks for states of these series, and for other
    events that are about one of them (`call_service:light.hall`). `cause` is a glob over the id of the cause or of the
    root cause. `after` asks for what follows that place in the order. `each` asks for the first so many of each of
    `series`, other events about it among them; it goes with `series` and without `after`, and `limit` is of all.

    The order is total: by time, and within one time by home, series and kind.
    """

    entity: str | None = None
    event_type: str | None = None
    kind: str | None = None
    home: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    limit: int = 100
    context_ids: tuple[str, ...] | None = None
    oldest_first: bool = False
    tags: tuple[tuple[str, tuple[str, ...]], ...] = ()
    series: tuple[str, ...] | None = None
    cause: str | None = None
    after: EventPosition | None = None
    each: int | None = None


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What answered: product and version, for `doctor` and `/api/health`."""

    product: str
    version: str


@dataclass(frozen=True, slots=True)
class HourCount:
    """How many points of a home the store holds in an hour. `source` is "" where the points do not say theirs."""

    hour_us: int
    kind: str
    source: str
    points: int


@dataclass(frozen=True, slots=True)
class ContextCount:
    """How many states of a domain are stored, and how many of these say more than what happened.

    `placed`: the point says in which area or device it is. `tied`: it has Home Assistant's context id, by which it is
    tied to its cause, its user and all that came of it. `both`: it has both.
    """

    domain: str
    states: int
    placed: int
    tied: int
    both: int


class StoredState(NamedTuple):
    """What tells a stored state from any other, and which source it came from; None is a removal."""

    time_ns: int
    series: str
    entity_id: str
    state: str | None
    source: str


class StoredMoment(NamedTuple):
    """What held for a home from a time on (`home_assistant_context`)."""

    time_ns: int
    fields: dict[str, FieldValue]


class PointSink(Protocol):
    """What takes points: a store, or what stands before one."""

    def write(self, points: Sequence[Point]) -> WriteResult:
        """Store points. Raise StoreUnavailable (try again) or StoreRefused (settings are wrong)."""
        ...


class Store(PointSink, Protocol):
    """Where points rest. Writing the same point twice leaves one (same measurement, tags and time)."""

    def read(self, query: EventQuery) -> Iterator[StoredEvent]:
        """Yield stored events of our own schema, newest or oldest first, as the query says. Raises as `write` does."""
        ...

    def scan(self, query: EventQuery) -> Iterator[list[StoredEvent]]:
        """Yield all events of a query, oldest first, in portions that never tear apart what has one time.

        The query has an end; its `limit`, `after`, `each` and order are not looked at. Memory stays flat, here and in
        the store. Raises as `write` does.
        """
        ...

    def count_by_hour(self, home: str, since_ns: int, until_ns: int) -> list[HourCount]:
        """Return how many points of our own schema the store holds, by hour (UTC), kind and source.

        An hour of which only a part is asked for is counted in that part. Raises as `write` does.
        """
        ...

    def states_between(self, home: str, since_ns: int, until_ns: int, limit: int) -> list[StoredState]:
        """Return stored states of our own schema, at most `limit`, in no order. Raises as `write` does."""
        ...

    def moments_between(self, home: str, since_ns: int, until_ns: int) -> list[StoredMoment]:
        """Return what held for a home, oldest first: at most one a minute. Raises as `write` does."""
        ...

    def context_counts(self, home: str, since_ns: int, until_ns: int) -> list[ContextCount]:
        """Return how many states of our own schema have their context, by domain. Raises as `write` does."""
        ...

    def repair_counts(self, home: str, since_ns: int, until_ns: int) -> dict[str, int]:
        """Return how many states were repaired, by what `repaired_by` says. Raises as `write` does."""

    @property
    def reads_below(self) -> int:
        """Up to how many states a series and hour `hours_by_series` reads them, and has none added up; 0: never."""
        ...

    def states_by_series(self, home: str, since_ns: int, until_ns: int) -> dict[str, int]:
        """Return how many states each series has in a span. Raises as `write` does."""
        ...

    def series_hours(self, home: str, since_ns: int, until_ns: int, series: Sequence[str] = ()) -> list[SeriesHour]:
        """Return the states of a span (an hour, mostly) added up by series, in no order: those named, or all.

        Raises as `write` does.
        """
        ...

    def hours_by_series(self, home: str, since_ns: int, until_ns: int) -> Iterator[tuple[int, list[SeriesHour]]]:
        """Yield each hour of a span of whole hours (Unix ns), oldest first, with what `series_hours` says of it.

        Raises as `write` does.
        """
        ...

    def windows(self, query: WindowQuery) -> list[Window]:
        """Return the states of some series added up by windows of time, by series and time; empty windows are left out.

        Raises as `write` does.
        """
        ...

    def values_of(self, home: str, series: Sequence[str], since_ns: int, until_ns: int) -> Iterator[StoredValue]:
        """Yield the states of some series in a span, of each oldest first. Raises as `write` does."""
        ...

    def check(self, *, write: bool = False) -> StoreInfo:
        """Say what answers; with `write`, also try that a point may be written. Raises as `write` does."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...
