"""What is known of an entity besides its tags: a point a day and at each change, so that no event has to carry it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ingestor.events.event import Event, Place
from ingestor.events.point import FieldValue, Point, Tags

ENTITIES: Final = "home_assistant_entities"
_HOUR_NS: Final = 3_600_000_000_000
_DAY_NS: Final = 24 * _HOUR_NS
#: What may wait for a store to take it; an entity that finds no room is described a day later.
_MAX_WAITING: Final = 50_000


class Descriptions:
    """Points of the measurement `home_assistant_entities` that the store does not have yet."""

    def __init__(self) -> None:
        self._waiting: dict[Tags, Point] = {}

    def add(self, event: Event, place: Place, tags: Tags, time_ns: int) -> int:
        """Describe an entity as its event shows it; return until when that is enough (Unix nanoseconds).

        `tags` are home and series. The time is the hour's beginning: every writer makes the same point.
        """
        begins_ns = time_ns // _HOUR_NS * _HOUR_NS
        if len(self._waiting) < _MAX_WAITING:
            self._waiting[tags] = Point(ENTITIES, tags, _fields(event, place), begins_ns)
        return begins_ns + _DAY_NS

    def waiting(self) -> list[Point]:
        """Return what is to be stored."""
        return list(self._waiting.values())

    def stored(self, points: Sequence[Point]) -> None:
        """Note that the store has these."""
        for point in points:
            if self._waiting.get(point.tags) is point:
                del self._waiting[point.tags]


def _fields(event: Event, place: Place) -> dict[str, FieldValue]:
    known = {
        "entity_id": event.entity_id or event.subject,
        "area": place.area,
        "floor": place.floor,
        "device": place.device,
        "device_class": place.device_class,
        "integration": place.integration,
        "labels": ",".join(place.labels),
        "unit": event.unit or "",
    }
    return {name: text for name, text in known.items() if text}
