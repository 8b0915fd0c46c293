"""Where a value goes whose field holds another type in the store: into a field beside it, and back when it is read.

The rule is the event's own: name and type decide, so that writing it again gives the same point.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from ingestor.events.point import FieldValue, Point

_ENDINGS: Final[dict[type, str]] = {str: "text", bool: "bool", int: "integer", float: "float"}
#: The fields of our own schema that come back under their name when they are read.
_OURS: Final = (
    "value",
    "state",
    "available",
    "previous_state",
    "unit",
    "entity_id",
    "event_id",
    "event_type",
    "context_id",
    "parent_id",
    "user_id",
    "origin",
    "source",
    "integration",
    "data",
)
_SIBLINGS: Final = tuple(f"{name}_{end}" for name in _OURS for end in _ENDINGS.values())


def sibling_name(field: str, value: FieldValue) -> str:
    """Return the name of the field beside `field` that takes this type of value, such as `value_text`."""
    kind = next(kind for kind in _ENDINGS if isinstance(value, kind))
    return f"{field}_{_ENDINGS[kind]}"


def with_sibling(point: Point, field: str) -> Point | None:
    """Return the point with one value in the sibling; None where it has no such field, or the sibling is taken."""
    given = point.all_fields()
    value = given.get(field)
    if value is None or (name := sibling_name(field, value)) in given:
        return None
    fields = {name if key == field else key: kept for key, kept in given.items()}
    return Point(point.measurement, point.tags, fields, point.time_ns, point.slot)


def are_siblings_in(names: Container[str]) -> bool:
    """Tell whether there may be siblings of our own fields among some fields."""
    return any(name in names for name in _SIBLINGS)


def put_back(fields: dict[str, FieldValue]) -> None:
    """Give what was read from siblings its own name again, in place."""
    for name in _OURS:
        if name in fields:
            continue
        found = next((beside for end in _ENDINGS.values() if (beside := f"{name}_{end}") in fields), None)
        if found:
            fields[name] = fields.pop(found)
