"""The points of Home Assistant's own integration: the facts of its 2024.3, and states that a real one sent."""

from __future__ import annotations

import gzip
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from ingestor import errors
from ingestor.events.event import Event
from ingestor.events.frame import Frame
from ingestor.events.point import FieldValue, Point
from ingestor.events.websocket import decode_websocket
from ingestor.storage.ha_schema import _AS_IN_PYTHON, ha_point
from ingestor.storage.line_protocol import Encoder
from tests.unit.line_protocol_parser import parse_line

RECORDING = Path(__file__).parents[1] / "recordings" / "websocket_listener_2024.jsonl.gz"


def changed(state: str | None, /, entity_id: str | None = "light.desk_lamp", **attributes: Any) -> Event:
    return Event(
        slot=4,
        kind="state",
        event_type="state_changed",
        subject=str(entity_id),
        entity_id=entity_id,
        time_us=1_000_000,
        time_fired_us=1_000_042,
        received_ns=0,
        source="websocket",
        identity=777,
        state=state,
        attributes=attributes,
    )


def point_of(state: str, /, **attributes: Any) -> Point:
    point = ha_point(changed(state, **attributes))
    assert point is not None
    return point


def fields_of(state: str, /, **attributes: Any) -> dict[str, FieldValue]:
    return point_of(state, **attributes).fields


@pytest.mark.parametrize("state", [None, "", "unknown", "unavailable"])
def test_states_that_say_nothing_are_skipped(state: str | None) -> None:
    assert ha_point(changed(state, unit_of_measurement="°C")) is None


def test_attributes_that_may_be_another_events_are_left_out() -> None:
    event = changed("21.5", unit_of_measurement="°C", friendly_name="Desk", battery=80)
    event.uncertain = True

    point = ha_point(event)

    assert point is not None
    assert (point.measurement, point.fields) == ("°C", {"value": 21.5})


def test_an_event_that_is_no_state_is_skipped() -> None:
    event = changed("on")
    event.kind = "event"

    assert ha_point(event) is None


@pytest.mark.parametrize(("state", "value"), [("21.5", 21.5), ("-3", -3.0), ("1e3", 1000.0), ("1_000", 1000.0)])
def test_a_number_is_a_value_alone(state: str, value: float) -> None:
    assert fields_of(state) == {"value": value}


@pytest.mark.parametrize("state", ["on", "locked", "above_horizon", "open", "home"])
def test_words_for_one_are_value_and_state_both(state: str) -> None:
    assert fields_of(state) == {"state": state, "value": 1.0}


@pytest.mark.parametrize("state", ["off", "unlocked", "below_horizon", "closed", "not_home"])
def test_words_for_nought_are_value_and_state_both(state: str) -> None:
    assert fields_of(state) == {"state": state, "value": 0.0}


@pytest.mark.parametrize("state", ["heat", "ON", "Unknown", "2026-11-21"])
def test_other_text_is_a_state_alone(state: str) -> None:
    assert fields_of(state) == {"state": state}


def test_domain_and_object_id_are_the_only_tags() -> None:
    assert point_of("on").tags == (("domain", "light"), ("entity_id", "desk_lamp"))


def test_the_unit_is_the_measurement_and_then_no_field() -> None:
    point = point_of("21.5", unit_of_measurement="°C")

    assert (point.measurement, point.fields) == ("°C", {"value": 21.5})


def test_without_a_unit_the_entity_is_the_measurement() -> None:
    assert point_of("on").measurement == "light.desk_lamp"


def test_an_empty_unit_is_no_measurement_but_a_field() -> None:
    point = point_of("on", unit_of_measurement="")

    assert (point.measurement, point.fields) == (
        "light.desk_lamp",
        {"state": "on", "value": 1.0, "unit_of_measurement_str": ""},
    )


def test_a_unit_that_no_line_can_hold_gives_no_point() -> None:
    assert ha_point(changed("3", unit_of_measurement="#")) is None


def test_the_time_is_time_fired_as_it_is_without_a_tie_break() -> None:
    assert point_of("on").time_ns == 1_000_042_000

    event = changed("on")
    event.time_fired_us = None
    point = ha_point(event)
    assert point is not None
    assert point.time_ns == 1_000_000_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, {"a": 3.0}),
        (True, {"a": 1.0}),
        ("21.5", {"a": 21.5}),
        (" 7 ", {"a": 7.0}),
        ("warm", {"a_str": "warm"}),
        ("", {"a_str": ""}),
        (None, {"a_str": "None"}),
        ({"x": 1}, {"a_str": "{'x': 1}"}),
        ([1, 20], {"a_str": "[1, 20]", "a": 120.0}),
        ("aa:bb:cc:11:22:33:44:55", {"a_str": "aa:bb:cc:11:22:33:44:55", "a": 1122334455.0}),
        ("EFR32MG21", {"a_str": "EFR32MG21", "a": 3221.0}),
        ("2026-11-21T02:47:24", {"a_str": "2026-11-21T02:47:24", "a": 20261121024724.0}),
        ("1.2.3", {"a_str": "1.2.3"}),
        ("v1", {"a_str": "v1"}),
        ("v12", {"a_str": "v12", "a": 12.0}),
        ("v1.2 beta", {"a_str": "v1.2 beta", "a": 1.2}),
        ([], {"a_str": "[]"}),
        ("two\nlines", {"a_str": "two\\nlines"}),
        (float("nan"), {}),
        ("inf", {}),
        ("-Infinity", {}),
        (10**400, {}),
    ],
)
def test_an_attribute_is_a_number_or_text_or_text_and_the_number_of_its_digits(
    value: Any, expected: dict[str, FieldValue]
) -> None:
    fields = fields_of("heat", a=value)

    assert fields == {"state": "heat", **expected}
    assert all(type(field) in (float, str) for field in fields.values())


def test_an_attribute_with_a_name_that_is_there_gets_an_underscore() -> None:
    assert fields_of("on", value=5, state="x") == {"state": "on", "value": 1.0, "value_": 5.0, "state__str": "x"}


def test_no_field_is_called_time_but_its_text_stays() -> None:
    assert fields_of("heat", time=5) == {"state": "heat"}
    assert fields_of("heat", time="10:00:30") == {"state": "heat", "time_str": "10:00:30"}


def test_an_attribute_without_a_name_is_left_out() -> None:
    assert fields_of("heat", **{"": 5}) == {"state": "heat"}


@pytest.mark.parametrize("state", ["nan", "inf", "-inf"])
def test_a_state_that_is_no_finite_number_gives_no_point_since_the_database_refuses_its_line(state: str) -> None:
    assert ha_point(changed(state, brightness=3)) is None


def test_a_state_of_two_lines_is_one_line() -> None:
    assert fields_of("two\nlines") == {"state": "two\\nlines"}


def test_attributes_of_the_core_look_as_they_did_in_python() -> None:
    fields = fields_of(
        "heat",
        rgb_color=[255, 0, 0],
        supported_color_modes=["color_temp", "hs"],
        hvac_modes=["off"],
        last_triggered="2026-11-21T06:57:51.944356+00:00",
        media_position_updated_at=None,
        xy_color="odd",
    )

    assert fields["rgb_color_str"] == "(255, 0, 0)"
    assert fields["rgb_color"] == 25500.0
    assert fields["supported_color_modes_str"] == "[<ColorMode.COLOR_TEMP: 'color_temp'>, <ColorMode.HS: 'hs'>]"
    assert fields["hvac_modes_str"] == "[<HVACMode.OFF: 'off'>]"
    assert fields["last_triggered_str"] == "2026-11-21 06:57:51.944356+00:00"
    assert fields["media_position_updated_at_str"] == "None"
    assert fields["xy_color_str"] == "odd"


def recorded() -> list[tuple[dict[str, Any], Event]]:
    """Every state change of the recording: the event as Home Assistant sent it, and as we decode it."""
    found = []
    with gzip.open(RECORDING) as lines:
        for line in lines:
            raw = json.loads(line)["raw"].encode()
            sent = json.loads(raw)
            messages = [one["event"] for one in (sent if isinstance(sent, list) else [sent]) if one["type"] == "event"]
            decoded = decode_websocket(
                Frame(kind="websocket", payload=raw, received_ns=1), 0, frozenset({"attributes"})
            )
            assert len(messages) == len(decoded)
            for message, event in zip(messages, decoded, strict=True):
                assert not isinstance(event, errors.Rejected)
                if event.kind == "state":
                    found.append((message, event))
    return found


def test_recorded_states_give_a_point_each_unless_they_say_nothing() -> None:
    states = recorded()

    silent = 0
    for message, event in states:
        new = message["data"]["new_state"]
        point = ha_point(event)
        if new is None or new["state"] in ("", "unknown", "unavailable"):
            silent += 1
            assert point is None
            continue
        assert point is not None
        assert point.measurement == (new["attributes"].get("unit_of_measurement") or new["entity_id"])
        assert ".".join(value for _, value in point.tags) == new["entity_id"]
        assert {"value", "state"} & set(point.fields)
    assert 0 < silent < len(states)


def test_every_attribute_of_the_recording_is_there_as_number_or_text() -> None:
    checked = 0
    for message, event in recorded():
        point = ha_point(event)
        if point is None:
            continue
        for name, value in message["data"]["new_state"]["attributes"].items():
            if name == "unit_of_measurement" and value:
                assert not any(field.startswith(name) for field in point.fields)
            elif isinstance(value, bool | int | float) or re.fullmatch(r"\d+(\.\d+)?", str(value)):
                assert point.fields[name] == float(value)
            elif name not in _AS_IN_PYTHON:
                assert point.fields[f"{name}_str"] == str(value).replace("\n", "\\n")
            checked += 1
    assert checked > 800


def test_every_point_of_the_recording_survives_line_protocol() -> None:
    encoder = Encoder()

    points = [point for _, event in recorded() if (point := ha_point(event))]

    assert len(points) > 100
    for point in points:
        parsed = parse_line(encoder.line(point))
        assert (parsed.measurement, tuple(parsed.tags), dict(parsed.fields), parsed.time_ns) == (
            point.measurement,
            point.tags,
            point.fields,
            point.time_ns,
        )
        assert all(math.isfinite(value) for value in point.fields.values() if isinstance(value, float))
