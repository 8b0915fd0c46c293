"""The order in which events are read, for stores that cannot sort or compare that far themselves."""

from __future__ import annotations

from collections.abc import Iterable

from ingestor.events.point import StoredEvent
from ingestor.storage.port import EventQuery


def in_order(events: Iterable[StoredEvent], query: EventQuery) -> list[StoredEvent]:
    """Return events by time as the query has it, and within one time by home, series and kind."""
    sign = 1 if query.oldest_first else -1
    return sorted(events, key=lambda event: (sign * event.time_ns, event.home, event.series, event.kind))


def first_of_each(events: Iterable[StoredEvent], query: EventQuery) -> list[StoredEvent]:
    """Return events in order, no more than `each` of each series asked for; at most `limit` of all."""
    ordered = in_order(events, query)
    if query.each is None:
        return ordered[: query.limit]
    left = dict.fromkeys(query.series or (), query.each)
    found: list[StoredEvent] = []
    for event in ordered:
        names = [name for name in names_of(event) if left.get(name)]
        if names:
            left.update((name, left[name] - 1) for name in names)
            found.append(event)
    return found[: query.limit]


def names_of(event: StoredEvent) -> set[str]:
    """Return the series that an event is asked for by: its own, and what it is about where it is no state."""
    return {event.series} if event.kind == "state" else {event.series, event.series.partition(":")[2]}


def follows(event: StoredEvent, query: EventQuery) -> bool:
    """Tell whether an event comes after the place that the query names; true where it names none."""
    if query.after is None:
        return True
    time_ns, *place = query.after
    if event.time_ns != time_ns:
        return (event.time_ns > time_ns) == query.oldest_first
    return [event.home, event.series, event.kind] > place
