"""A store within one process: the twin of the real ones, for tests and for trying things out."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence

from ingestor import errors
from ingestor.events.point import FieldValue, Point, StoredEvent, Tags
from ingestor.storage.port import EventQuery, Rejection, StoreInfo, WriteResult
from ingestor.storage.schema import OTHERS, STATES

_KINDS = {STATES: "state", OTHERS: "event"}


class MemoryStore:
    """Points by measurement, tags and time; a field keeps its first type, as in InfluxDB. `away`: unavailable."""

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
            if fault := self._fault(point):
                rejected.append(Rejection(index, "field_type_conflict", fault))
                continue
            self.points.setdefault((point.measurement, point.tags, point.time_ns), {}).update(point.fields)
        return WriteResult(len(points) - len(rejected), rejected)

    def read(self, query: EventQuery) -> Iterator[StoredEvent]:
        """Yield stored events of our own schema, newest first."""
        self._require_here()
        found = [event for event in self._events() if _matches(event, query)]
        yield from sorted(found, key=lambda event: -event.time_ns)[: query.limit]

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
        for name, value in point.fields.items():
            known = self._types.setdefault((point.measurement, name), type(value))
            if known is not type(value):
                return f"{name} is {type(value).__name__} here, and {known.__name__} in {point.measurement}"
        return ""

    def _events(self) -> Iterator[StoredEvent]:
        for (measurement, pairs, time_ns), fields in self.points.items():
            if measurement in _KINDS:
                tags = dict(pairs)
                yield StoredEvent(
                    time_ns, _KINDS[measurement], tags["home"], tags["series"], tags["domain"], tags, dict(fields)
                )


def _matches(event: StoredEvent, query: EventQuery) -> bool:
    names = (event.series, str(event.fields.get("entity_id", "")))
    event_type = str(event.fields.get("event_type", "state_changed"))
    return (
        (query.entity is None or any(fnmatch.fnmatchcase(name, query.entity) for name in names))
        and (query.event_type is None or fnmatch.fnmatchcase(event_type, query.event_type))
        and query.kind in (None, event.kind)
        and query.home in (None, event.home)
        and (query.since_ns is None or event.time_ns >= query.since_ns)
        and (query.until_ns is None or event.time_ns < query.until_ns)
    )
