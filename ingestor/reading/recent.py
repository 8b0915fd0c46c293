"""The newest states with the weather of their time, as a dashboard shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from ingestor.events.point import FieldValue, StoredEvent
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
    return [recent_object(event, moment) for event, moment in recent_events(store, limit, series, entity)]


def recent_events(
    store: Store, limit: int, series: tuple[str, ...] | None = None, entity: str | None = None
) -> list[tuple[StoredEvent, Mapping[str, FieldValue]]]:
    """Return the newest changes of state, newest first, each with what held for its home then. Raises as the store."""
    join = ContextJoin(store)
    query = EventQuery(entity=entity, kind="state", limit=limit, series=series)
    moments = ((event, join.of(event)) for event in store.read(query))
    return [(event, moment.fields if moment else {}) for event, moment in moments]


def recent_object(event: StoredEvent, moment: Mapping[str, FieldValue]) -> dict[str, Any]:
    """Return a change of state as a dashboard shows it; `moment` is what held for its home then."""
    fields, tags = event.fields, event.tags
    device_class = tags.get("device_class")
    return {
        "entity_id": str(fields.get("entity_id") or event.series),
        "domain": event.domain,
        "device_class": None if device_class in (None, "-") else device_class,
        "state_value": fields.get("state"),
        "previous_state": fields.get("previous_state"),
        "timestamp": rfc3339_of_ns(event.time_ns),
        "weather_data": _weather(event, moment),
        "attributes": _attributes(event),
    }


def _weather(event: StoredEvent, moment: Mapping[str, FieldValue]) -> dict[str, Any] | None:
    """Return the weather of an event's time: from the event itself, else from what held for its home then."""
    known = {**moment, **event.fields}
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
