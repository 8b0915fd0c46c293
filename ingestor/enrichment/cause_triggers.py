"""What a change without any context says of its cause, and what an automation's own words say; text in, text out."""

from __future__ import annotations

import functools
import re
from typing import Final

#: (kind, id) of a cause; the id may be "".
Origin = tuple[str, str]

#: Entities that follow the clock, whoever looks.
_CLOCKS: Final = frozenset({"sun", "timer", "schedule", "calendar"})
#: Entities that are nothing but a value in Home Assistant: no device stands behind them, so somebody changed them.
HELPERS: Final = frozenset(
    {
        "automation",
        "counter",
        "input_boolean",
        "input_button",
        "input_datetime",
        "input_number",
        "input_select",
        "input_text",
        "scene",
        "script",
        "todo",
        "var",
    }
)
#: How the words of a trigger begin (`data.source`; the `description` of each trigger platform of Home Assistant).
_OF_ENTITY: Final = ("numeric state of ", "state of ")
_OF_TIME: Final = ("time", "sunrise", "sunset", "calendar", "event 'timer.")
_ENTITY: Final = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
_MAX_TEXT: Final = 200


@functools.lru_cache(maxsize=4096)
def origin_of_entity(entity_id: str) -> Origin:
    """Return what changes an entity when no user and no automation does."""
    domain = entity_id.partition(".")[0]
    if domain in _CLOCKS:
        return "time", entity_id
    return ("unknown", "") if domain in HELPERS else ("device", entity_id)


@functools.lru_cache(maxsize=4096)
def origin_of_trigger(source: str) -> Origin:
    """Return what an automation's `source` names: an entity, a time, a message from outside.

    It is written by Home Assistant for people, in English, in every language of the user interface. Words that are
    not known are an unknown cause with these words.
    """
    for start in _OF_ENTITY:
        if source.startswith(start):
            return origin_of_entity(source.removeprefix(start).strip()[:_MAX_TEXT])
    if source.startswith(_OF_TIME):
        return "time", source[:_MAX_TEXT]
    if source.startswith("mqtt topic "):
        return "device", f"mqtt:{source.removeprefix('mqtt topic ')}"[:_MAX_TEXT]
    if source.startswith("event '"):
        return "device", source[:_MAX_TEXT]
    if found := _ENTITY.match(source):  # "sensor.x via template", "person.y entering Home"
        return origin_of_entity(found[0][:_MAX_TEXT])
    return "unknown", source[:_MAX_TEXT]


@functools.lru_cache(maxsize=4096)
def entity_of_trigger(source: str) -> str:
    """Return the entity that an automation's `source` names; "" where it names none."""
    for start in _OF_ENTITY:
        source = source.removeprefix(start)
    found = _ENTITY.match(source)
    return found[0] if found else ""


def origin_of_event(event_type: str, device_id: object) -> Origin:
    """Return what fires an event that is no state, when no user and no automation does."""
    if event_type.startswith("timer."):
        return "time", event_type
    if isinstance(device_id, str) and device_id:
        return "device", device_id[:_MAX_TEXT]
    return "unknown", ""
