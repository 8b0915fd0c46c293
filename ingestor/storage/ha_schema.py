"""The points that Home Assistant's own InfluxDB integration writes, so that dashboards made for it go on working.

Facts: homeassistant/components/influxdb of 2024.3 with its default configuration. Measured against the points that a
real Home Assistant writes to the same database (tests/integration/test_ha_schema_real.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

from ingestor.events.event import Event
from ingestor.events.point import FieldValue, Point

#: Text with a number somewhere near its end also becomes a number, of its digits alone.
_DIGIT_TAIL: Final = re.compile(r"^[^\.]*\d+\.?\d+[^\.]*$")
_NOT_DIGITS: Final = re.compile(r"[^\d.]+")
_LEFT_OUT: Final = frozenset({"unknown", "", "unavailable"})
_WORDS: Final = {
    "on": 1.0,
    "locked": 1.0,
    "above_horizon": 1.0,
    "open": 1.0,
    "home": 1.0,
    "off": 0.0,
    "unlocked": 0.0,
    "unknown": 0.0,
    "below_horizon": 0.0,
    "closed": 0.0,
    "not_home": 0.0,
}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _moment(value: Any) -> Any:
    return value.replace("T", " ", 1) if isinstance(value, str) else value


def _members(enumeration: str) -> Callable[[Any], Any]:
    def show(value: Any) -> Any:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            return value
        return "[" + ", ".join(f"<{enumeration}.{one.upper()}: {one!r}>" for one in value) + "]"

    return show


#: Home Assistant writes the text of its own Python values. What it sends us is JSON, where a tuple is a list, a time is
#: ISO 8601, and the member of an enumeration its value. For these attributes of its core it is known what they were.
_AS_IN_PYTHON: Final[dict[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("hs_color", "rgb_color", "rgbw_color", "rgbww_color", "xy_color"), _tuple),
    **dict.fromkeys(("last_triggered", "media_position_updated_at"), _moment),
    "supported_color_modes": _members("ColorMode"),
    "hvac_modes": _members("HVACMode"),
}


def ha_point(event: Event) -> Point | None:
    """Return the point of a state change; None where Home Assistant writes none. Needs the event's attributes."""
    if event.kind != "state" or event.state is None or event.state in _LEFT_OUT or event.entity_id is None:
        return None
    domain, _, object_id = event.entity_id.partition(".")
    attributes = event.attributes or {}
    unit = attributes.get("unit_of_measurement")
    measurement = str(unit) if unit else event.entity_id
    if measurement.startswith("#"):
        return None  # on a line this is a comment: Home Assistant sends it, and the database keeps nothing
    fields = _state_fields(event.state)
    # Attributes that may be another event's are left out: a richer source, writing the same point later, could not
    # take back a field that it does not have itself. The unit is kept, since it says where the point belongs.
    for key, value in () if event.uncertain else attributes.items():
        if key != "unit_of_measurement" or not unit:
            shown = _AS_IN_PYTHON.get(key)
            _add_attribute(fields, key, shown(value) if shown else value)
    if not _is_storable(fields.get("value")):
        return None  # Home Assistant sends nan and inf, and the database refuses the whole line
    finite = {key: value for key, value in fields.items() if _is_storable(value)}
    if not finite:
        return None
    tags = (("domain", domain), ("entity_id", object_id))
    time_us = event.time_us if event.time_fired_us is None else event.time_fired_us
    return Point(measurement, tags, finite, time_us * 1000, event.slot)


def _is_storable(value: FieldValue | None) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _state_fields(state: str) -> dict[str, FieldValue]:
    try:
        return {"value": float(state)}
    except ValueError:
        fields: dict[str, FieldValue] = {"state": _text(state)}
        if state in _WORDS:
            fields["value"] = _WORDS[state]
        return fields


def _add_attribute(fields: dict[str, FieldValue], key: str, value: Any) -> None:
    """Add an attribute as a number where it can be one, else as text, and then also as the number of its digits."""
    if not key:
        return
    if key in fields:
        key = f"{key}_"
    try:
        fields[key] = float(value)
    except (ValueError, TypeError):
        text = str(value)
        fields[f"{key}_str"] = _text(text)
        if _DIGIT_TAIL.match(text):
            fields[key] = float(_NOT_DIGITS.sub("", text))
    except OverflowError:
        return
    finally:
        # No field can be called so: Home Assistant sends it, and the database leaves it out (its text stays).
        fields.pop("time", None)


def _text(text: str) -> str:
    # The client that Home Assistant 2024.3 writes with puts a backslash and an n for a line break.
    return text.replace("\n", "\\n")
