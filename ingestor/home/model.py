"""The map of a home as it is looked up: for each entity_id its places over time; reads and writes nothing.

A place holds for events from its effective time on; the first one of an entity_id holds for all time before, too.
So the place of an event is decided by its entity_id and its own time, never by when somebody asks (rule 2).
"""

from __future__ import annotations

import functools
from bisect import bisect_right
from typing import Final

import msgspec

from ingestor.events.event import Place

#: Before and after every event that a store can hold.
ALWAYS_US: Final = 0
NEVER_US: Final = 2**63 - 1


class Timeline(msgspec.Struct, array_like=True, gc=False):
    """The places of one entity_id. `later` are (effective time, place), ascending.

    `known_since_us` is the effective time of the version that brought the entity: before it, an event that does
    not wait for a sync may have gone without context, and goes without it ever after.
    """

    known_since_us: int
    first: Place
    later: list[tuple[int, Place]] = msgspec.field(default_factory=list)

    def at(self, time_us: int) -> Place:
        """Return the place in force at that time."""
        later = self.later
        if not later or time_us < later[0][0]:
            return self.first
        return later[bisect_right(later, time_us, key=_effective_us) - 1][1]


class Snapshot(msgspec.Struct, array_like=True):
    """One version of a home's map, whole: what is published.

    Versions ascend. Events before `mapped_from_us` are of a time when there was no Home Assistant to ask: each
    entity is then a series of its own name without context.
    """

    home: str
    version: int
    mapped_from_us: int = ALWAYS_US
    timelines: dict[str, Timeline] = msgspec.field(default_factory=dict)

    def place_of(self, entity_id: str, time_us: int, *, waits: bool = True) -> Place | None:
        """Return the place in force at that time, None where the entity is not known.

        With `waits` False also where it was not known yet at that time.
        """
        if time_us < self.mapped_from_us:
            return bare_place(entity_id)
        timeline = self.timelines.get(entity_id)
        if timeline is None or not (waits or time_us >= timeline.known_since_us):
            return None
        return timeline.at(time_us)


@functools.lru_cache(maxsize=65_536)
def bare_place(entity_id: str) -> Place:
    """Return the place of an entity of which only the name is known."""
    return Place(series=entity_id, domain=domain_of(entity_id))


def domain_of(entity_id: str) -> str:
    """Return what stands before the first dot."""
    return entity_id.partition(".")[0]


def _effective_us(entry: tuple[int, Place]) -> int:
    return entry[0]
