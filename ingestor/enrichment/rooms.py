"""The step `room`: temperature and humidity of an event's room at its time, by the area's sensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ingestor.enrichment.steps import Surroundings
from ingestor.enrichment.watching import Watching
from ingestor.events.event import Event
from ingestor.home.facts import HomeFacts
from ingestor.home.watched import Series


class _Room(NamedTuple):
    temperature: Series | None
    humidity: Series | None


_BARE: Final = _Room(None, None)


class RoomStep:
    """Gives an event the climate of the room that it was in at its time."""

    name: Final = "room"

    def __init__(self, watching: Watching) -> None:
        self._watching = watching
        self._facts: HomeFacts | None = None
        self._sensors: dict[str, tuple[str, str]] = {}
        #: By the index of the place in the batch.
        self._rooms: dict[int, _Room] = {}

    def begin(self, events: Sequence[Event], around: Surroundings) -> None:
        """Take in what the sensors say. Raises StateUnavailable."""
        self._rooms.clear()
        if around.facts is not self._facts:
            self._facts = around.facts
            self._sensors = {
                area.name: (area.temperature_entity_id, area.humidity_entity_id)
                for area in around.facts.areas.values()
                if area.temperature_entity_id or area.humidity_entity_id
            }
        self._watching.begin(events, around)

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Add what the room's sensors said last at the event's time."""
        room = self._rooms.get(event.place)
        if room is None:
            room = self._rooms[event.place] = self._room(event, around)
        if room is _BARE:
            return True
        if room.temperature is not None:
            _add(event, "room_temperature", room.temperature)
        if room.humidity is not None:
            _add(event, "room_humidity", room.humidity)
        return True

    def _room(self, event: Event, around: Surroundings) -> _Room:
        area = around.places[event.place].area if event.place >= 0 else ""
        sensors = self._sensors.get(area) if area else None
        if sensors is None:
            return _BARE
        found = [self._watching.series(around.home, name) if name else None for name in sensors]
        return _Room(*found) if any(found) else _BARE


def _add(event: Event, name: str, series: Series) -> None:
    value = series.value_at(event.time_us)
    if type(value) is float:
        if event.extras is None:
            event.extras = {name: value}
        else:
            event.extras[name] = value
