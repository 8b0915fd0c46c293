"""The step `neighbours`: the other rooms on an event's floor; runs only where a point has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event
from ingestor.home.facts import HomeFacts


class NeighboursStep:
    """Adds `floor_rooms`."""

    name: Final = "neighbours"

    def __init__(self) -> None:
        self._facts: HomeFacts | None = None
        self._floors: dict[str, list[str]] = {}
        #: What is said in a room (area, floor).
        self._rooms: dict[tuple[str, str], str] = {}

    def begin(self, events: Sequence[Event], around: Surroundings) -> None:
        """Take in which rooms are on which floor, where that is new."""
        del events
        if around.facts is self._facts:
            return
        self._facts = around.facts
        self._floors, self._rooms = {}, {}
        for area in around.facts.areas.values():
            if area.floor and area.name:
                self._floors.setdefault(area.floor, []).append(area.name)

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Add the other rooms of the floor that the event was on at its time."""
        place = around.places[event.place] if event.place >= 0 else None
        if place is None or not place.floor:
            return True
        key = (place.area, place.floor)
        rooms = self._rooms.get(key)
        if rooms is None:
            others = sorted(name for name in self._floors.get(place.floor, ()) if name != place.area)
            rooms = self._rooms[key] = ", ".join(others)
        if rooms:
            event.extras = {**(event.extras or {}), "floor_rooms": rooms}
        return True
