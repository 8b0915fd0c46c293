"""The newest states with the weather of their time, as a dashboard shows them."""

from __future__ import annotations

from typing import Any, Final

import orjson

from ingestor.events.point import StoredEvent
from ingestor.reading.context import ContextJoin
from ingestor.reading.times import rfc3339_of_ns
from ingestor.storage.port import EventQuery, Store

#: As the dashboard calls it (°C, %, hPa), and as the field of a moment is called.
_WEATHER: Final = {
    "temperature": "outdoor_temperature",
    "humidity": "outdoor_humidity",
    "pressure": "outdoor_pressure",
    "condition": "outdoor_condition",
    "timestamp": "weather_observed_at",
}


def recent_states(store: Store, limit: int, series: tuple[str, ...] | None, entity: str | None) -> list[dict[str, Any]]:
    """Return the newest states, newest first. Raises as the store does."""
    join = ContextJoin(store)
    query = EventQuery(entity=entity, kind="state", limit=limit, series=series)
    return [_recent(event, _weather(event, join)) for event in store.read(query)]


def _recent(event: StoredEvent, weather: dict[str, Any] | None) -> dict[str, Any]:
    fields, tags = event.fields, event.tags
    device_class = tags.get("device_class")
    return {
        "entity_id": str(fields.get("entity_id") or event.series),
        "domain": event.domain,
        "device_class": None if device_class in (None, "-") else device_class,
        "state_value": fields.get("state"),
        "previous_state": fields.get("previous_state"),
        "timestamp": rfc3339_of_ns(event.time_ns),
        "weather_data": weather,
        "attributes": _attributes(event),
    }


def _weather(event: StoredEvent, join: ContextJoin) -> dict[str, Any] | None:
    """Return the weather of an event's time: from the event itself, else from what held for its home then."""
    moment = join.of(event)
    known = {**(moment.fields if moment else {}), **event.fields}
    told = {name: known.get(field) for name, field in _WEATHER.items()}
    return told if any(value is not None for value in told.values()) else None


def _attributes(event: StoredEvent) -> dict[str, Any]:
    """Return the attributes that are stored, and the unit, which always is."""
    found: dict[str, Any] = {}
    if isinstance(text := event.fields.get("attributes"), str):
        try:
            told = orjson.loads(text)
        except orjson.JSONDecodeError:
            told = None
        found = told if isinstance(told, dict) else {}
    if (unit := event.fields.get("unit")) is not None:
        found.setdefault("unit_of_measurement", unit)
    return found
