"""Reading all events of a query by InfluxQL, oldest first: slices of time, each streamed while the server reads it.

Each question costs the server half a millisecond for every series it opens, however little of it is wanted, so
there are few of them; and an answer that is taken while it comes costs neither side the memory of the whole.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from ingestor.events.point import StoredEvent
from ingestor.storage.influx_reading import kinds_of, statement_of
from ingestor.storage.port import EventQuery
from ingestor.storage.reading_order import in_order
from ingestor.storage.scanning import Slices

#: A slice is made longer below, shorter above so many events.
_FEW: Final = 50_000
_MANY: Final = 200_000
#: No Home Assistant is older (2013).
_EARLIEST_NS: Final = 1_356_998_400_000_000_000
Portions = Iterator[list[StoredEvent]]
#: Streams the events of a kind by a statement.
Stream = Callable[[str, str], Portions]


def scan(query: EventQuery, stream: Stream, begin_ns: Callable[[], int | None]) -> Portions:
    """Yield all events of a query that has an end; those of one moment are never torn apart.

    `begin_ns` tells a time before which nothing is stored, if it can. The first event is not asked for: that opens all
    there is, and slices that hold nothing take a millisecond each.
    """
    since_ns, end_ns = query.since_ns, query.until_ns or 0
    if since_ns is None or since_ns < _EARLIEST_NS:
        first_ns = min(max(_EARLIEST_NS, begin_ns() or 0), end_ns)
        # Time that should have no events is one slice.
        yield from _slice(replace(query, until_ns=first_ns), stream)
        since_ns = first_ns
    slices = Slices(since_ns, end_ns)
    while (one := slices.next()) is not None:
        events = 0
        for portion in _slice(replace(query, since_ns=one[0], until_ns=one[1]), stream):
            events += len(portion)
            yield portion
        slices.done(one[1], few=events < _FEW, many=events > _MANY)


def _slice(query: EventQuery, stream: Stream) -> Portions:
    query = replace(query, oldest_first=True, limit=0)
    asked = [(kind, statement) for kind in kinds_of(query) if (statement := statement_of(query, kind))]
    return merged([stream(*kind_and_statement) for kind_and_statement in asked], query)


def merged(streams: list[Portions], query: EventQuery) -> Portions:
    """Yield what several streams, each in the order of time, have together, in the query's order.

    An event waits until no stream can have an earlier one, nor one of its own time.
    """
    waiting: dict[int, list[StoredEvent]] = {number: [] for number in range(len(streams))}
    is_open = set(waiting)
    while is_open:
        behind = min(is_open, key=lambda number: _end(waiting[number]))
        more = next(streams[behind], None)
        if more is None:
            is_open.discard(behind)
        else:
            waiting[behind] += more
        until_ns = min((_end(waiting[number]) for number in is_open), default=None)
        if ready := [event for number in waiting for event in _taken(waiting, number, until_ns)]:
            yield in_order(ready, query)


def _end(events: list[StoredEvent]) -> float:
    return events[-1].time_ns if events else float("-inf")


def _taken(waiting: dict[int, list[StoredEvent]], number: int, until_ns: float | None) -> list[StoredEvent]:
    """Return what is earlier, and let the rest wait; None: all."""
    events = waiting[number]
    at = len(events) if until_ns is None else bisect.bisect_left(events, until_ns, key=lambda event: event.time_ns)
    waiting[number] = events[at:]
    return events[:at]
