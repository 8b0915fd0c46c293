"""Counts of what a worker observes in one home until its next page: bounded, no I/O."""

from __future__ import annotations

import functools
from collections import deque
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from ingestor.enrichment.contexts import Recent
from ingestor.events.event import Event
from ingestor.events.observed import Activity, EdgeKind, ObservedEdge

#: Edges of a page; what is new beyond that is not counted until the page has gone.
MAX_EDGES: Final = 5_000
#: Entities whose activity is counted in a page, for each quarter of an hour; and quarters.
MAX_ENTITIES: Final = 20_000
MAX_QUARTERS: Final = 200
QUARTER_US: Final = 900_000_000
#: Changes that are so near to each other have something to do with each other, if it happens often.
TOGETHER_US: Final = 250_000
#: So long after the first one others are taken to have been lost by the same fault.
LOST_US: Final = 5_000_000
#: Changes with which one is paired, and contexts and entities that are remembered for it.
_PAIRED: Final = 4
_IN_CONTEXT: Final = 8
_MAX_CONTEXTS: Final = 4_000
_MAX_SEEN: Final = 20_000


class Edges:
    """Edges of one home, counted."""

    def __init__(self) -> None:
        self._counts: dict[tuple[EdgeKind, str, str], list[int]] = {}
        self._seen: Recent[bool] = Recent(_MAX_SEEN)
        self._in_context: Recent[list[str]] = Recent(_MAX_CONTEXTS)
        self._lately: deque[tuple[int, str]] = deque(maxlen=_PAIRED)
        self._first_lost: tuple[int, str] | None = None

    def __bool__(self) -> bool:
        return bool(self._counts)

    def once(self, kind: EdgeKind, source: str, target: str, event: Event) -> None:
        """Count an edge, once for each context."""
        key = f"{event.context_id}{kind}{target}"
        if self._seen.get(key) is None:
            self._seen.put(key, value=True)
            self.count(kind, source, target, event.time_us)

    def count(self, kind: EdgeKind, source: str, target: str, time_us: int) -> None:
        """Count an edge."""
        known = self._counts.get((kind, source, target))
        if known is None:
            if len(self._counts) < MAX_EDGES:
                self._counts[kind, source, target] = [1, time_us, time_us]
            return
        known[0] += 1
        known[1] = min(known[1], time_us)
        known[2] = max(known[2], time_us)

    def changed_in_context(self, context_id: str, entity_id: str, time_us: int) -> None:
        """Pair an entity with those that changed in the same context, once each."""
        others = self._in_context.get(context_id)
        if others is None:
            self._in_context.put(context_id, [entity_id])
        elif entity_id not in others and len(others) < _IN_CONTEXT:
            for other in others:
                self._pair(other, entity_id, time_us)
            others.append(entity_id)

    def changed(self, entity_id: str, time_us: int) -> None:
        """Pair an entity with the last few others that changed at nearly the same time."""
        for other_us, other in self._lately:
            if other != entity_id and abs(time_us - other_us) <= TOGETHER_US:
                self._pair(other, entity_id, time_us)
        self._lately.append((time_us, entity_id))

    def lost(self, entity_id: str, time_us: int) -> None:
        """Note that an entity went unavailable: the first one of a fault, or one that went with it."""
        first = self._first_lost
        if first is None or not 0 <= time_us - first[0] <= LOST_US:
            self._first_lost = (time_us, entity_id)
        elif first[1] != entity_id:
            self.count("lost_with", first[1], entity_id, time_us)

    def taken(self) -> list[ObservedEdge]:
        """Return what was counted, and begin anew."""
        counts, self._counts = self._counts, {}
        return [ObservedEdge(*key, *counted) for key, counted in counts.items()]

    def _pair(self, one: str, other: str, time_us: int) -> None:
        self.count("together", min(one, other), max(one, other), time_us)


class ActivityCounts:
    """Events of entities by quarters of an hour, in one home."""

    def __init__(self) -> None:
        self._quarters: dict[int, dict[str, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._quarters)

    def of(self, quarter: int) -> dict[str, int]:
        """Return the counts of a quarter (Unix time in quarters of an hour), to be added to."""
        counts = self._quarters.get(quarter)
        if counts is None:
            counts = {}
            if len(self._quarters) < MAX_QUARTERS:
                self._quarters[quarter] = counts
        elif len(counts) > MAX_ENTITIES:
            return {}
        return counts

    def taken(self, time_zone: str) -> list[Activity]:
        """Return what was counted, by the home's own clock, and begin anew."""
        quarters, self._quarters = self._quarters, {}
        return [_activity(quarter, counts, time_zone) for quarter, counts in sorted(quarters.items())]


def _activity(quarter: int, counts: dict[str, int], time_zone: str) -> Activity:
    local = datetime.fromtimestamp(quarter * QUARTER_US // 1_000_000, _zone(time_zone))
    return Activity(quarter * QUARTER_US, local.hour, local.isoweekday(), local.month, counts)


@functools.lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ValueError, OSError):  # what is no time zone: ZoneInfoNotFoundError is a KeyError on some systems
        return ZoneInfo("UTC")
    except KeyError:
        return ZoneInfo("UTC")
