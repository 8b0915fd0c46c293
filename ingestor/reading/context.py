"""Joins stored events with what held for their home at their time (`home_assistant_context`); prints nothing."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import Final, Protocol

from ingestor.events.point import StoredEvent
from ingestor.storage.port import HOUR_NS, StoredMoment

#: A moment holds for a minute at most. Where the store has none for an event's own, an older one may still say
#: something, with its time; one that is older than this says nothing of the event.
LOOK_BACK_NS: Final = HOUR_NS
#: What is read at once: events come newest first, so a few readings serve many.
_WINDOW_NS: Final = 6 * HOUR_NS


class Moments(Protocol):
    """What the join needs of a store."""

    def moments_between(self, home: str, since_ns: int, until_ns: int) -> list[StoredMoment]:
        """Return what held for a home, oldest first."""
        ...


@dataclass(slots=True)
class _Read:
    """The moments of a home between two times."""

    since_ns: int = 0
    until_ns: int = 0
    moments: list[StoredMoment] = field(default_factory=list)


class ContextJoin:
    """Finds the newest moment at or before an event. Holds seven hours of moments of each home."""

    def __init__(self, store: Moments) -> None:
        self._store = store
        self._homes: dict[str, _Read] = {}

    def of(self, event: StoredEvent) -> StoredMoment | None:
        """Return the moment; None where the store has none of the hour before. Raises as the store does."""
        read = self._homes.get(event.home)
        if read is None or not read.since_ns + LOOK_BACK_NS <= event.time_ns < read.until_ns:
            since_ns, until_ns = event.time_ns - _WINDOW_NS - LOOK_BACK_NS, event.time_ns + 1
            moments = self._store.moments_between(event.home, since_ns, until_ns)
            read = self._homes[event.home] = _Read(since_ns, until_ns, moments)
        place = bisect.bisect_right(read.moments, event.time_ns, key=_time_ns) - 1
        if place < 0 or read.moments[place].time_ns < event.time_ns - LOOK_BACK_NS:
            return None
        return read.moments[place]


def _time_ns(moment: StoredMoment) -> int:
    return moment.time_ns
