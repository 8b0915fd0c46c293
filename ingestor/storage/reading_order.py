"""The order in which events are read, for stores that cannot sort or compare that far themselves."""

from __future__ import annotations

from collections.abc import Iterable

from ingestor.events.point import StoredEvent
from ingestor.storage.port import EventQuery


def in_order(events: Iterable[StoredEvent], query: EventQuery) -> list[StoredEvent]:
    """Return events by time as the query has it, and within one time by home, series and kind."""
    sign = 1 if query.oldest_first else -1
    return sorted(events, key=lambda event: (sign * event.time_ns, event.home, event.series, event.kind))


def follows(event: StoredEvent, query: EventQuery) -> bool:
    """Tell whether an event comes after the place that the query names; true where it names none."""
    if query.after is None:
        return True
    time_ns, *place = query.after
    if event.time_ns != time_ns:
        return (event.time_ns > time_ns) == query.oldest_first
    return [event.home, event.series, event.kind] > place
