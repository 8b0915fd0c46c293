"""A store within one process: the twin of the real ones, for tests and for trying things out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from ingestor import errors, globs
from ingestor.events.point import FieldValue, Point, StoredEvent, Tags
from ingestor.storage.memory_hours import added_up, stored_value
from ingestor.storage.port import (
    HOUR_NS,
    HOUR_US,
    ContextCount,
    EventQuery,
    HourCount,
    Rejection,
    StoredMoment,
    StoredState,
    StoreInfo,
    WriteResult,
)
from ingestor.storage.pruning import Outdated
from ingestor.storage.pruning import added_up as added_up_by_home
from ingestor.storage.reading_order import first_of_each, follows, names_of
from ingestor.storage.scanning import scan_by_reading
from ingestor.storage.schema import CONTEXT, OTHERS, STATES, UNKNOWN
from ingestor.storage.series_hours import SeriesHour, StoredValue, one_by_one
from ingestor.storage.windows import Window, WindowQuery, windows_of

_KINDS = {STATES: "state", OTHERS: "event"}


class MemoryStore:
    """Points by measurement, tags and time; a field keeps its first type, as in InfluxDB. `away`: unavailable."""

    reads_below = 0

    def __init__(self) -> None:
        self.points: dict[tuple[str, Tags, int], dict[str, FieldValue]] = {}
        self.writes = 0
        self.away = False
        self._types: dict[tuple[str, str], type] = {}

    def write(self, points: Sequence[Point]) -> WriteResult:
        """Store points; a point with a field of another type than before is refused alone."""
        self._require_here()
        self.writes += 1
        rejected = []
        for index, point in enumerate(points):
            fields = {name: value for name, value in point.all_fields().items() if _is_finite(value)}
            if not fields:
                rejected.append(Rejection(index, "no_field", "no field of this point can be stored"))
            elif fault := self._fault(point):
                rejected.append(Rejection(index, "field_type_conflict", fault))
            else:
                self.points.setdefault((point.measurement, point.tags, point.time_ns), {}).update(fields)
        return WriteResult(len(points) - len(rejected), rejected)

    def read(self, query: EventQuery) -> Iterator[StoredEvent]:
        """Yield stored events of our own schema, in the query's order."""
        self._require_here()
        found = [event for event in self._events() if _matches(event, query)]
        yield from first_of_each(found, query)

    def scan(self, query: EventQuery) -> Iterator[list[StoredEvent]]:
        """Yield all events of a query, oldest first."""
        return scan_by_reading(self.read, query)

    def count_by_hour(self, home: str, since_ns: int, until_ns: int) -> list[HourCount]:
        """Return how many points are there by hour, kind and source."""
        self._require_here()
        found = Counter(
            (event.time_ns // HOUR_NS * HOUR_US, event.kind, str(event.fields.get("source", "")))
            for event in self._of(home, since_ns, until_ns)
        )
        return [HourCount(*key, points) for key, points in sorted(found.items())]

    def states_between(self, home: str, since_ns: int, until_ns: int, limit: int) -> list[StoredState]:
        """Return stored states."""
        self._require_here()
        states = [event for event in self._of(home, since_ns, until_ns) if event.kind == "state"]
        return [_stored_state(event) for event in states[:limit]]

    def moments_between(self, home: str, since_ns: int, until_ns: int) -> list[StoredMoment]:
        """Return what held for a home."""
        self._require_here()
        tags = (("home", home),)
        return sorted(
            (
                StoredMoment(time_ns, dict(fields))
                for (name, of, time_ns), fields in self.points.items()
                if name == CONTEXT and of == tags and since_ns <= time_ns < until_ns
            ),
            key=lambda moment: moment.time_ns,
        )

    def context_counts(self, home: str, since_ns: int, until_ns: int) -> list[ContextCount]:
        """Return how many states have their context, by domain."""
        self._require_here()
        found: dict[str, Counter[str]] = {}
        for event in self._of(home, since_ns, until_ns):
            if event.kind == "state":
                placed = any(event.tags.get(name, UNKNOWN) != UNKNOWN for name in ("area", "device"))
                tied = event.fields.get("context_id") is not None
                told = {"states": 1, "placed": int(placed), "tied": int(tied), "both": int(placed and tied)}
                found.setdefault(event.domain, Counter()).update(told)
        return [ContextCount(domain, **found[domain]) for domain in sorted(found)]

    def repair_counts(self, home: str, since_ns: int, until_ns: int) -> dict[str, int]:
        """Return how many states were repaired, by the rules that did it."""
        self._require_here()
        rules = (event.fields.get("repaired_by") for event in self._of(home, since_ns, until_ns))
        return dict(Counter(str(one) for one in rules if one is not None))

    def states_by_series(self, home: str, since_ns: int, until_ns: int) -> dict[str, int]:
        """Return how many states each series has in a span."""
        self._require_here()
        return dict(Counter(event.series for event in self._of(home, since_ns, until_ns) if event.kind == "state"))

    def series_hours(self, home: str, since_ns: int, until_ns: int, series: Sequence[str] = ()) -> list[SeriesHour]:
        """Return the states of a span added up by series."""
        self._require_here()
        states = (event for event in self._of(home, since_ns, until_ns) if event.kind == "state")
        return added_up(event for event in states if not series or event.series in series)

    def hours_by_series(self, home: str, since_ns: int, until_ns: int) -> Iterator[tuple[int, list[SeriesHour]]]:
        """Yield the hours of a span added up by series."""
        return one_by_one(self.series_hours, home, since_ns, until_ns)

    def windows(self, query: WindowQuery) -> list[Window]:
        """Return states added up by windows of time."""
        states = self.values_of(query.home, query.series, query.since_ns, query.until_ns)
        return windows_of(states, query.window_ns)

    def values_of(self, home: str, series: Sequence[str], since_ns: int, until_ns: int) -> Iterator[StoredValue]:
        """Yield the states of some series."""
        self._require_here()
        chosen = [
            event for event in self._of(home, since_ns, until_ns) if event.kind == "state" and event.series in series
        ]
        yield from map(stored_value, sorted(chosen, key=lambda event: event.time_ns))

    def outdated(self, before_ns: int) -> list[Outdated]:
        """Return what is older than a time, by home."""
        self._require_here()
        return added_up_by_home(
            Outdated(event.home, 1, event.time_ns, event.time_ns)
            for event in self._events()
            if event.time_ns < before_ns
        )

    def prune(self, before_ns: int) -> list[Outdated]:
        """Delete all that is older."""
        found = self.outdated(before_ns)
        gone = (STATES, OTHERS, CONTEXT)
        for key in [key for key in self.points if key[0] in gone and key[2] < before_ns]:
            del self.points[key]
        return found

    def check(self, *, write: bool = False) -> StoreInfo:
        """Say that it is here; it can always be written to."""
        del write
        self._require_here()
        return StoreInfo("memory", "1")

    def close(self) -> None:
        """Keep everything: a test may look afterwards."""

    def _require_here(self) -> None:
        if self.away:
            raise errors.StoreUnavailable

    def _fault(self, point: Point) -> str:
        fields = point.all_fields()
        for name, value in fields.items():
            known = self._types.get((point.measurement, name), type(value))
            if known is not type(value):
                series = dict(point.tags).get("series", "?")
                return f"{series}: {name} is {type(value).__name__} here, and {known.__name__} in {point.measurement}"
        self._types.update({(point.measurement, name): type(value) for name, value in fields.items()})
        return ""

    def _of(self, home: str, since_ns: int, until_ns: int) -> Iterator[StoredEvent]:
        return (event for event in self._events() if event.home == home and since_ns <= event.time_ns < until_ns)

    def _events(self) -> Iterator[StoredEvent]:
        for (measurement, pairs, time_ns), fields in self.points.items():
            if measurement in _KINDS:
                tags = dict(pairs)
                home, series, domain = (tags.get(name, "") for name in ("home", "series", "domain"))
                yield StoredEvent(time_ns, _KINDS[measurement], home, series, domain, tags, dict(fields))


def _stored_state(event: StoredEvent) -> StoredState:
    state, source = event.fields.get("state"), str(event.fields.get("source", ""))
    entity_id = str(event.fields.get("entity_id", event.series))
    return StoredState(event.time_ns, event.series, entity_id, None if state is None else str(state), source)


def _matches(event: StoredEvent, query: EventQuery) -> bool:
    names = (event.series, str(event.fields.get("entity_id", "")))
    event_type = str(event.fields.get("event_type", "state_changed"))
    return (
        (query.entity is None or any(_fits(name, query.entity) for name in names))
        and (query.event_type is None or _fits(event_type, query.event_type))
        and query.kind in (None, event.kind)
        and query.home in (None, event.home)
        and (query.since_ns is None or event.time_ns >= query.since_ns)
        and (query.until_ns is None or event.time_ns < query.until_ns)
        and (query.context_ids is None or event.fields.get("context_id") in query.context_ids)
        and all(event.tags.get(name) in values for name, values in query.tags)
        and (query.series is None or bool(names_of(event) & set(query.series)))
        and (query.cause is None or any(_fits(cause, query.cause) for cause in _causes(event)))
        and follows(event, query)
    )


def _causes(event: StoredEvent) -> list[str]:
    return [str(event.fields[name]) for name in ("cause_id", "root_cause_id") if name in event.fields]


def _fits(name: str, glob: str) -> bool:
    return globs.compiled((glob,)).match(name) is not None


def _is_finite(value: FieldValue) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
