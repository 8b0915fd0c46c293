"""Reading all events of a query oldest first, in portions, by questions that each have a limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from ingestor import errors
from ingestor.events.point import StoredEvent
from ingestor.storage.port import HOUR_NS, EventQuery

#: Events that are asked for at once.
PORTION: Final = 10_000
#: How much time a store is asked for at once, at first and at most: without an end it may sort all that it has.
_FIRST_NS: Final = 6 * HOUR_NS
_MOST_NS: Final = 32 * 24 * HOUR_NS
_LEAST_NS: Final = HOUR_NS // 60
_GROW: Final = 4
#: Events of one nanosecond: more is no home.
_MOST_AT_ONCE: Final = 1_000_000
Read = Callable[[EventQuery], Iterable[StoredEvent]]


class Slices:
    """The slices of time that a query is read in: longer ones where little is found, shorter ones where much is.

    What is later than now, where only wrong clocks have events, is one slice.
    """

    def __init__(self, since_ns: int, until_ns: int, now_ns: int | None = None) -> None:
        self._at_ns = since_ns
        self._until_ns = until_ns
        self._span_ns = _FIRST_NS
        self._now_ns = time.time_ns() + 1 if now_ns is None else now_ns

    def next(self) -> tuple[int, int] | None:
        """Return begin and end of what is to be read next (Unix ns); None at the end."""
        if self._at_ns >= self._until_ns:
            return None
        if self._at_ns >= self._now_ns:
            return self._at_ns, self._until_ns
        return self._at_ns, min(self._at_ns + self._span_ns, self._until_ns, self._now_ns)

    def done(self, until_ns: int, *, few: bool = False, many: bool = False) -> None:
        """Go on from there; of time that held few, or many, events another length is taken."""
        self._at_ns = until_ns
        if many:
            self._span_ns = max(self._span_ns // 2, _LEAST_NS)
        elif few:
            self._span_ns = min(self._span_ns * _GROW, _MOST_NS)


def scan_by_reading(read: Read, query: EventQuery, portion: int = PORTION) -> Iterator[list[StoredEvent]]:
    """Yield all events of a query that has an end, oldest first; those of one moment are never torn apart."""
    first = next(iter(read(replace(query, oldest_first=True, limit=1))), None)
    if first is None:
        return
    slices = Slices(first.time_ns, query.until_ns or 0)
    while (one := slices.next()) is not None:
        since_ns, until_ns = one
        found, next_ns = _portion(read, replace(query, since_ns=since_ns, until_ns=until_ns), portion)
        if found:
            yield found
        slices.done(next_ns, few=len(found) < portion // _GROW, many=next_ns < until_ns)


def _portion(read: Read, query: EventQuery, portion: int) -> tuple[list[StoredEvent], int]:
    """Return the first events of a span, and from when on to ask next."""
    while True:
        found = list(read(replace(query, oldest_first=True, limit=portion)))
        if len(found) < portion:
            return found, query.until_ns or 0
        last_ns = found[-1].time_ns
        whole = [event for event in found if event.time_ns < last_ns]
        if whole:
            return whole, last_ns
        if portion >= _MOST_AT_ONCE:
            raise errors.StoreRefused(f"more than {portion:,} events have the time {last_ns} ns")
        portion *= _GROW
