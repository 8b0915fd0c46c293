"""The columns of an exported event, version 1: declared once, the same in every form; knows no form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    """One column. `number` is its place in Protobuf, for ever."""

    name: str
    type: Type
    number: int
    says: str


COLUMNS: Final[tuple[Column, ...]] = (
    Column("time", "time", 1, "when it happened, as Home Assistant says: UTC, nanoseconds"),
    Column("event_id", "text", 2, "finds the event again, in every store"),
    Column("kind", "category", 3, "`state` for a change of state, `event` for anything else"),
    Column("event_type", "category", 4, "Home Assistant's type of event"),
    Column("home", "category", 5, "which home"),
    Column("series", "category", 6, "lasting name: stays over renames"),
    Column("entity_id", "category", 7, "the entity_id of that day"),
    Column("domain", "category", 8, "`sensor`, `light`, …"),
    Column("area", "category", 9, "name of the area, as of then"),
    Column("device", "category", 10, "name of the device, as of then"),
    Column("device_class", "category", 11, "`temperature`, `motion`, …"),
    Column("state", "text", 12, "the state as it was sent"),
    Column("value", "number", 13, "the state as a number, where it is one"),
    Column("unit", "category", 14, "unit of `value`"),
    Column("previous_state", "text", 15, "the state before"),
    Column("available", "truth", 16, "whether the entity was there"),
    Column("source", "category", 17, "which way it came"),
    Column("context_id", "text", 18, "Home Assistant's context"),
    Column("cause_kind", "category", 19, "user, automation, script, device, time or unknown"),
    Column("cause_id", "category", 20, "who caused it"),
    Column("more", "json", 21, "all other fields and tags, as a JSON object"),
)
NAMES: Final = tuple(column.name for column in COLUMNS)
#: Tags and fields that have a column.
_TAKEN: Final = frozenset(NAMES) - {"time", "kind", "more"}


def row_of(event: StoredEvent) -> Row:
    """Return the values of an event, in the order of `COLUMNS`: a test holds both together. It is half of an export."""
    tag, field = event.tags.get, event.fields.get
    is_state = event.kind == "state"
    return (
        event.time_ns,
        _text(field("event_id")),
        event.kind,
        "state_changed" if is_state else _text(field("event_type")),
        _known(tag("home")),
        _known(tag("series")),
        _text(field("entity_id")),
        _known(tag("domain")),
        _known(tag("area")),
        _known(tag("device")),
        _known(tag("device_class")),
        _text(field("state")),
        _number(field("value")),
        _text(field("unit")),
        _text(field("previous_state")),
        _truth(field("available")),
        _text(field("source")),
        _text(field("context_id")),
        _text(field("cause_kind")),
        _text(field("cause_id")),
        _more(event),
    )


def columns_of(events: Sequence[StoredEvent]) -> list[list[Any]]:
    """Return the values of events column by column, in the order of `COLUMNS`: what `row_of` says, sooner."""
    made = {name: _made_of_fields(name, [event.fields for event in events]) for name in _OF_FIELDS}
    made |= {name: [_known(event.tags.get(name)) for event in events] for name in _OF_TAGS}
    made["time"] = [event.time_ns for event in events]
    made["kind"] = [event.kind for event in events]
    made["event_type"] = [
        "state_changed" if kind == "state" else said
        for kind, said in zip(made["kind"], made["event_type"], strict=True)
    ]
    made["more"] = [
        None if _TAKEN.issuperset(event.fields) and _TAKEN.issuperset(event.tags) else _more(event) for event in events
    ]
    return [made[name] for name in NAMES]


def _made_of_fields(name: str, fields: Sequence[Mapping[str, FieldValue]]) -> list[Any]:
    values: list[Any] = [one.get(name) for one in fields]
    kind, make = _OF_FIELDS[name]
    # Nearly always they are what they are to be, and need not be asked one by one.
    return values if {kind, type(None)}.issuperset(map(type, values)) else [make(value) for value in values]


def _known(tag: str | None) -> str | None:
    return None if tag == _UNKNOWN else tag


def _text(value: FieldValue | None) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)


def _number(value: FieldValue | None) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _truth(value: FieldValue | None) -> bool | None:
    return bool(value) if isinstance(value, int | float) else None


def _more(event: StoredEvent) -> str | None:
    tags, fields = event.tags.keys() - _TAKEN, event.fields.keys() - _TAKEN
    if not tags and not fields:
        return None
    found: dict[str, FieldValue] = {name: event.tags[name] for name in tags if event.tags[name] != _UNKNOWN}
    found.update((name, event.fields[name]) for name in fields)
    return orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode() if found else None


#: Columns that are fields: of which type their values are, and what makes others that.
_OF_FIELDS: Final[dict[str, tuple[type, Callable[[FieldValue | None], Any]]]] = {
    **dict.fromkeys(
        (
            "event_id",
            "event_type",
            "entity_id",
            "state",
            "unit",
            "previous_state",
            "source",
            "context_id",
            "cause_kind",
            "cause_id",
        ),
        (str, _text),
    ),
    "value": (float, _number),
    "available": (bool, _truth),
}
#: Columns that are tags.
_OF_TAGS: Final = ("home", "series", "domain", "area", "device", "device_class")
