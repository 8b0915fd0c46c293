"""The step `room`: temperature and humidity of an event's room at its time, by the area's sensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ingestor.enrichment.steps import Surroundings
from ingestor.enrichment.watching import Watching
from ingestor.events.event import Event
from ingestor.home.facts import HomeFacts
from ingestor.home.watched import FAR_AHEAD_US, LONG_AGO_US, Series


class _Room(NamedTuple):
    """The sensors of a room, and what they said in the stretch of time that was asked for last."""

    temperature: Series | None
    humidity: Series | None
    from_us: int = FAR_AHEAD_US
    until_us: int = LONG_AGO_US
    fields: dict[str, float] | None = None


_BARE: Final = _Room(None, None, LONG_AGO_US, FAR_AHEAD_US)


class RoomStep:
    """Gives an event the climate of the room that it was in at its time."""

    name: Final = "room"

    def __init__(self, watching: Watching) -> None:
        self._watching = watching
        self._facts: HomeFacts | None = None
        self._sensors: dict[str, tuple[str, str]] = {}
        #: By the name of the area, for one batch.
        self._rooms: dict[str, _Room] = {}

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
        area = around.places[event.place].area if event.place >= 0 else ""
        if not area:
            return True
        room = self._rooms.get(area)
        if room is None:
            room = self._rooms[area] = self._room(area, around.home)
        if not room.from_us <= event.time_us < room.until_us:
            room = self._rooms[area] = _asked(room, event.time_us)
        if room.fields:
            if event.extras is None:
                event.extras = dict(room.fields)
            else:
                event.extras.update(room.fields)
        return True

    def _room(self, area: str, home: str) -> _Room:
        sensors = self._sensors.get(area)
        if sensors is None:
            return _BARE
        temperature, humidity = (self._watching.series(home, name) if name else None for name in sensors)
        return _Room(temperature, humidity)


def _asked(room: _Room, time_us: int) -> _Room:
    """Return the room with what its sensors said at a time, and for how long that held."""
    fields: dict[str, float] = {}
    from_us, until_us = LONG_AGO_US, FAR_AHEAD_US
    for name, series in (("room_temperature", room.temperature), ("room_humidity", room.humidity)):
        if series is not None:
            span = series.at(time_us)
            from_us, until_us = max(from_us, span.from_us), min(until_us, span.until_us)
            if isinstance(span.value, float):
                fields[name] = span.value
    return _Room(room.temperature, room.humidity, from_us, until_us, fields)
