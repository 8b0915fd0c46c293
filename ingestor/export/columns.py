"""The columns of an exported event, version 1: declared once, the same in every form; knows no form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from ingestor.events.point import FieldValue, StoredEvent

#: Raised when a column changes its meaning or its type; a new column at the end is no new version.
VERSION: Final = 1
#: `category`: text of which there are few different ones.
Type = Literal["time", "text", "category", "number", "truth", "json"]
#: The values of an event in the order of `COLUMNS`; None: not known.
Row = tuple[Any, ...]
#: What a tag says where nothing is known.
_UNKNOWN: Final = "-"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `number` is its place in Protobuf, for ever; `of` takes the value out of an event."""

    name: str
    type: Type
    number: int
    says: str
    of: Callable[[StoredEvent], Any]


def _tag(name: str) -> Callable[[StoredEvent], str | None]:
    def of(event: StoredEvent) -> str | None:
        value = event.tags.get(name)
        return None if value == _UNKNOWN else value

    return of


def _text(name: str) -> Callable[[StoredEvent], str | None]:
    def of(event: StoredEvent) -> str | None:
        value = event.fields.get(name)
        return value if value is None or isinstance(value, str) else str(value)

    return of


def _number(name: str) -> Callable[[StoredEvent], float | None]:
    def of(event: StoredEvent) -> float | None:
        value = event.fields.get(name)
        return float(value) if isinstance(value, int | float) else None

    return of


def _truth(name: str) -> Callable[[StoredEvent], bool | None]:
    def of(event: StoredEvent) -> bool | None:
        value = event.fields.get(name)
        return bool(value) if isinstance(value, int | float) else None

    return of


def _event_type(event: StoredEvent) -> str | None:
    return "state_changed" if event.kind == "state" else _text("event_type")(event)


def _more(event: StoredEvent) -> str | None:
    found: dict[str, FieldValue] = {
        name: value for name, value in event.tags.items() if name not in _TAKEN and value != _UNKNOWN
    }
    found.update((name, value) for name, value in event.fields.items() if name not in _TAKEN)
    return orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode() if found else None


COLUMNS: Final[tuple[Column, ...]] = (
    Column(
        "time", "time", 1, "when it happened, as Home Assistant says: UTC, nanoseconds", lambda event: event.time_ns
    ),
    Column("event_id", "text", 2, "finds the event again, in every store", _text("event_id")),
    Column("kind", "category", 3, "`state` for a change of state, `event` for anything else", lambda event: event.kind),
    Column("event_type", "category", 4, "Home Assistant's type of event", _event_type),
    Column("home", "category", 5, "which home", _tag("home")),
    Column("series", "category", 6, "lasting name: stays over renames", _tag("series")),
    Column("entity_id", "category", 7, "the entity_id of that day", _text("entity_id")),
    Column("domain", "category", 8, "`sensor`, `light`, …", _tag("domain")),
    Column("area", "category", 9, "name of the area, as of then", _tag("area")),
    Column("device", "category", 10, "name of the device, as of then", _tag("device")),
    Column("device_class", "category", 11, "`temperature`, `motion`, …", _tag("device_class")),
    Column("state", "text", 12, "the state as it was sent", _text("state")),
    Column("value", "number", 13, "the state as a number, where it is one", _number("value")),
    Column("unit", "category", 14, "unit of `value`", _text("unit")),
    Column("previous_state", "text", 15, "the state before", _text("previous_state")),
    Column("available", "truth", 16, "whether the entity was there", _truth("available")),
    Column("source", "category", 17, "which way it came", _text("source")),
    Column("context_id", "text", 18, "Home Assistant's context", _text("context_id")),
    Column("cause_kind", "category", 19, "user, automation, script, device, time or unknown", _text("cause_kind")),
    Column("cause_id", "category", 20, "who caused it", _text("cause_id")),
    Column("more", "json", 21, "all other fields and tags, as a JSON object", _more),
)
NAMES: Final = tuple(column.name for column in COLUMNS)
_TAKEN: Final = frozenset(NAMES) - {"time", "kind", "more"}
_OF: Final = tuple(column.of for column in COLUMNS)


def row_of(event: StoredEvent) -> Row:
    """Return the values of an event, a column each."""
    return tuple([of(event) for of in _OF])
