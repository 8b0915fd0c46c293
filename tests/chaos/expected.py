"""What must be found in the store, read from the book: the fields of each event, worked out apart from the product."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

Row = dict[str, str]
Key = tuple[str, ...]

#: What was on its way when a listener's connection ended cannot be told from what came before it.
BEFORE_A_CUT_US = 5_000_000
AFTER_A_CUT_US = 2_000_000


@dataclass(slots=True)
class Expected:
    """The book, by keys that a stored row has, too."""

    lines: dict[Key, bytes] = field(default_factory=dict)
    entities: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Series → when it was moved, and to which area.
    moves: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    bad: dict[int, dict[str, Any]] = field(default_factory=dict)
    unsure: set[int] = field(default_factory=set)
    #: Spans (microseconds) in which Home Assistant could not be heard.
    deaf: list[tuple[int, int]] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)

    def is_deaf(self, time_us: int) -> bool:
        """Tell whether an event of that time may never have been heard."""
        return any(start - BEFORE_A_CUT_US <= time_us <= end + AFTER_A_CUT_US for start, end in self.deaf)


def read(path: Path, more_deaf: Iterable[tuple[int, int]] = ()) -> Expected:
    """Read the book. `more_deaf` are spans in which the harness kept a listener from keeping what it heard."""
    found = Expected(deaf=list(more_deaf))
    down_us = 0
    with path.open("rb") as file:
        for raw in file:
            line = orjson.loads(raw)
            match line["k"]:
                case "state" | "untimed" | "other":
                    found.lines[key_of(line)] = raw
                    found.sent[roads_of(line)] += 1
                case "bad":
                    found.bad[line["number"]] = line
                case "entity":
                    found.entities[line["series"]] = line
                case "moved":
                    found.moves.setdefault(line["series"], []).append((line["t"], line["area"]))
                case "unsure":
                    found.unsure.add(line["number"])
                case "down":
                    down_us = line["t"]
                case "deaf":
                    found.deaf.append((line["t"], line["until"]))
                case "up" if down_us:
                    found.deaf.append((down_us, line["t"]))
                    down_us = 0
    return found


def roads_of(line: dict[str, Any]) -> str:
    """Return by which roads an event was sent, for the report."""
    if line["k"] == "state":
        return "+".join(line["roads"])
    return "zigbee2mqtt, no time" if line["k"] == "untimed" else "websocket, no state"


def key_of(line: dict[str, Any]) -> Key:
    """Return what the event is known by: series, time and state; untimed ones by series and state."""
    if line["k"] == "untimed":
        return ("untimed", line["series"], line["state"])
    if line["k"] == "other":
        return ("other", line["context"])
    return ("state", line["series"], str(line["t"]), line["state"] if line["state"] is not None else "(removed)")


def key_of_row(row: Row) -> Key:
    """Return the same of a stored row."""
    if "event_type" in row:
        return ("other", row.get("context_id", ""))
    if row["domain"] == "mqtt":
        return ("untimed", row["series"], row.get("state", ""))
    return ("state", row["series"], row["time"][:-3], row.get("state", "(removed)"))


def faults(line: dict[str, Any], row: Row, expected: Expected) -> list[str]:
    """Return what is wrong with a stored row, field by field; nothing where all is right."""
    wanted = _other_fields(line) if line["k"] == "other" else _state_fields(line, row, expected)
    wanted |= {"home": {"home"}, "series": {line["series"]}}
    wanted["event_id"] = {f"home~{line['series']}~{row['time']}"}
    found = [
        f"{name}: {row.get(name)!r} instead of {' or '.join(sorted(map(repr, allowed)))}"
        for name, allowed in wanted.items()
        if row.get(name) not in allowed
    ]
    if line["k"] == "state" and not _digits_fit(line, row):
        found.append(f"time: {row['time']} has digits that are not of this event")
    if line["k"] == "other" and orjson.loads(row.get("data", "null")) != line["data"]:
        found.append(f"data: {row.get('data')!r:.200} instead of {line['data']!r:.200}")
    return found


Allowed = dict[str, set[str | None]]


def _state_fields(line: dict[str, Any], row: Row, expected: Expected) -> Allowed:
    state = line["state"]
    source = row.get("source")
    if line["k"] == "untimed":
        nothing: Allowed = {name: {None} for name in ("previous_state", "unit", "context_id")}
        tags: Allowed = {"area": {"-"}, "device": {"-"}, "device_class": {"-"}, "domain": {"mqtt"}}
        own: Allowed = {"source": {"zigbee2mqtt"}, "entity_id": {line["series"]}}
        return {**_value_fields(state), **nothing, **tags, **own}
    wanted = _value_fields(state)
    wanted["entity_id"] = {line["entity"]}
    wanted["unit"] = {line["unit"]}
    wanted["source"] = {*line["roads"], *({"history"} if "websocket" in line["roads"] else ())}
    # Only a whole event names its cause and what was before; a joined or repaired one must not invent it.
    whole = source in ("websocket", "eventstream")
    wanted["context_id"] = {line["context"]} if whole else {None, line["context"]}
    wanted["previous_state"] = {line["previous"]} if whole else {None, line["previous"]}
    return wanted | _tags(line["series"], line["t"], expected)


def _value_fields(state: str | None) -> Allowed:
    is_number = state is not None and state.isdecimal()
    return {
        "state": {state},
        "value": {str(int(state))} if is_number and state is not None else {None},
        "available": {"false" if state in (None, "unavailable") else "true"},
    }


def _tags(series: str, time_us: int, expected: Expected) -> Allowed:
    entity = expected.entities.get(series)
    if entity is None:
        return {"domain": {series.partition(".")[0]}}
    # A move takes effect some seconds later: from then on the new area, until then the one before.
    areas = {entity["area"]} | {area for moved_us, area in expected.moves.get(series, ()) if moved_us <= time_us}
    return {
        "domain": {series.partition(".")[0]},
        "area": areas,
        "device": {entity["device"]},
        "device_class": {entity["device_class"]},
    }


def _other_fields(line: dict[str, Any]) -> Allowed:
    return {
        "event_type": {line["type"]},
        "source": {"websocket"},
        "entity_id": {line["entity"]},
        "context_id": {line["context"]},
        "origin": {"LOCAL"},
        "parent_id": {None},
        "user_id": {None},
    }


def _digits_fit(line: dict[str, Any], row: Row) -> bool:
    """Tell whether the digits below the microsecond are the state's own, or the next ones after a collision."""
    state = line["state"]
    own = 0x5EED if state is None else zlib.crc32(state.encode())
    return (int(row["time"]) - own) % 1000 <= 3
