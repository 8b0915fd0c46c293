"""The comparison of `make chaos`: what is lost, wrong or not this event's is seen, and what is right passes."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from tests.chaos import expected
from tests.chaos.expected import Expected, Row

TIME_US = 1_700_000_000_000_000
LINE: dict[str, Any] = {
    "k": "state",
    "series": "sensor.a",
    "entity": "sensor.a",
    "t": TIME_US,
    "state": "7",
    "previous": "6",
    "unit": "W",
    "context": "01CONTEXT",
    "roads": ["websocket"],
}
ENTITY = {
    "k": "entity",
    "series": "sensor.a",
    "area": "Hall",
    "device": "-",
    "device_class": "-",
    "integration": "demo",
}


def book(folder: Path, *more: dict[str, Any]) -> Expected:
    path = folder / "book.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in (ENTITY, LINE, *more)))
    return expected.read(path)


def row(**other: str) -> Row:
    time_ns = str(TIME_US * 1000 + zlib.crc32(b"7") % 1000)
    found = {
        "time": time_ns,
        "home": "home",
        "series": "sensor.a",
        "domain": "sensor",
        "entity_id": "sensor.a",
        "state": "7",
        "value": "7",
        "available": "true",
        "previous_state": "6",
        "unit": "W",
        "context_id": "01CONTEXT",
        "source": "websocket",
        "area": "Hall",
        "device": "-",
        "device_class": "-",
        "event_id": f"home~sensor.a~{time_ns}",
    }
    return found | other


def test_a_row_as_it_was_sent_is_found_by_its_key_and_has_no_fault(tmp_path: Path) -> None:
    wanted = book(tmp_path)

    assert expected.key_of_row(row()) in wanted.lines
    assert expected.faults(LINE, row(), wanted) == []


def test_a_fault_in_any_field_is_named(tmp_path: Path) -> None:
    wanted = book(tmp_path)

    for name in sorted(set(row()) - {"time", "state", "series"}):
        faults = expected.faults(LINE, row(**{name: "other"}), wanted)
        assert any(fault.startswith(name) for fault in faults), name


def test_another_state_or_time_is_another_event(tmp_path: Path) -> None:
    wanted = book(tmp_path)

    assert expected.key_of_row(row(state="8")) not in wanted.lines
    assert expected.key_of_row(row(time=str(TIME_US * 1000 + 5_000))) not in wanted.lines


def test_digits_below_the_microsecond_that_are_not_of_the_state_are_a_fault(tmp_path: Path) -> None:
    wanted = book(tmp_path)
    time_ns = str(TIME_US * 1000 + (zlib.crc32(b"7") + 500) % 1000)

    faults = expected.faults(LINE, row(time=time_ns, event_id=f"home~sensor.a~{time_ns}"), wanted)

    assert [fault.partition(":")[0] for fault in faults] == ["time"]


def test_an_area_is_right_from_the_move_on_and_wrong_before(tmp_path: Path) -> None:
    later = {"k": "moved", "series": "sensor.a", "t": TIME_US + 1, "area": "Attic"}
    sooner = {"k": "moved", "series": "sensor.a", "t": TIME_US - 1, "area": "Attic"}

    assert expected.faults(LINE, row(area="Attic"), book(tmp_path, later))
    assert not expected.faults(LINE, row(area="Attic"), book(tmp_path, sooner))


def test_only_what_home_assistant_could_not_tell_us_counts_as_unheard(tmp_path: Path) -> None:
    cut = ({"k": "down", "t": TIME_US}, {"k": "up", "t": TIME_US + 10_000_000})
    wanted = book(tmp_path, *cut)

    assert wanted.is_deaf(TIME_US + 5_000_000)
    assert not wanted.is_deaf(TIME_US + 60_000_000)
    assert not wanted.is_deaf(TIME_US - 60_000_000)
