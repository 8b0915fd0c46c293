"""Reads the events of a query oldest first, in portions: memory stays flat, here and in the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ingestor import errors
from ingestor.events.point import StoredEvent
from ingestor.storage.port import HOUR_NS, EventQuery, Store

#: Events that are asked for at once.
PORTION: Final = 10_000
#: How much time a store is asked for at once, at first and at most: without an end it may sort all that it has.
_FIRST_NS: Final = 6 * HOUR_NS
_MOST_NS: Final = 32 * 24 * HOUR_NS
_GROW: Final = 4
#: Events of one nanosecond: more is no home.
_MOST_AT_ONCE: Final = 1_000_000


def portions(store: Store, query: EventQuery, *, portion: int = PORTION) -> Iterator[list[StoredEvent]]:
    """Yield all events of a query, oldest first; `query.limit` is the most of all. Raises as `Store.read` does.

    What comes in meanwhile with a later time is read up to the moment at which the reading began.
    """
    until_ns = query.until_ns if query.until_ns is not None else time.time_ns() + 1
    start_ns = _first_ns(store, replace(query, until_ns=until_ns))
    span_ns, left = _FIRST_NS, query.limit
    while start_ns is not None and start_ns < until_ns and left > 0:
        end_ns = min(start_ns + span_ns, until_ns)
        found, next_ns = _portion(store, replace(query, since_ns=start_ns, until_ns=end_ns), portion)
        if found:
            yield found[:left]
            left -= len(found)
        if next_ns < end_ns:
            span_ns = max(span_ns // 2, HOUR_NS // 60)
        elif len(found) < portion // _GROW:
            span_ns = min(span_ns * _GROW, _MOST_NS)
        start_ns = next_ns


def _first_ns(store: Store, query: EventQuery) -> int | None:
    first = next(iter(store.read(replace(query, oldest_first=True, limit=1))), None)
    return first.time_ns if first else None


def _portion(store: Store, query: EventQuery, portion: int) -> tuple[list[StoredEvent], int]:
    """Return the first events of a span, and from when on to ask next. Those of one moment are never torn apart."""
    while True:
        found = list(store.read(replace(query, oldest_first=True, limit=portion)))
        if len(found) < portion:
            return found, query.until_ns or 0
        last_ns = found[-1].time_ns
        whole = [event for event in found if event.time_ns < last_ns]
        if whole:
            return whole, last_ns
        if portion >= _MOST_AT_ONCE:
            raise errors.StoreRefused(f"more than {portion:,} events have the time {last_ns} ns")
        portion *= _GROW
