"""Home Assistant's frames become Events, and what does not is named."""

from __future__ import annotations

import copy
import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingestor import errors
from ingestor.events.event import Event
from ingestor.events.frame import Frame
from ingestor.events.websocket import decode_websocket

CONTEXT = {"id": "01M7Y00QQ8SHNXAC0Y1R20CFRG", "parent_id": None, "user_id": "u1"}
STATE = {
    "entity_id": "sensor.kitchen",
    "state": "21.5",
    "attributes": {"unit_of_measurement": "°C", "device_class": "temperature", "friendly_name": "Kitchen"},
    "last_changed": "2026-11-21T02:47:24.000001+00:00",
    "last_updated": "2026-11-21T02:47:24.000002+00:00",
    "context": CONTEXT,
}
CHANGED: dict[str, Any] = {
    "event_type": "state_changed",
    "data": {"entity_id": "sensor.kitchen", "old_state": {**STATE, "state": "21.0"}, "new_state": STATE},
    "origin": "LOCAL",
    "time_fired": "2026-11-21T02:47:24.000002+00:00",
    "context": CONTEXT,
}
BASE_US = 1_795_229_244_000_000


def frame_of(*events: dict[str, Any], one: bool = False) -> Frame:
    messages = [{"type": "event", "event": event, "id": 1} for event in events]
    return Frame("websocket", 7, orjson.dumps(messages[0] if one else messages))


def decode(frame: Frame, carries: frozenset[str] = frozenset({"data"})) -> list[Event | errors.Rejected]:
    return decode_websocket(frame, 0, carries)


def other(event_type: str, data: dict[str, Any]) -> dict[str, Any]:
    return {**CHANGED, "event_type": event_type, "data": data}


def test_a_state_change_becomes_a_state_event_with_value_unit_and_times() -> None:
    (event,) = decode(frame_of(CHANGED, one=True))

    assert isinstance(event, Event)
    assert (event.kind, event.subject, event.state, event.value) == ("state", "sensor.kitchen", "21.5", 21.5)
    assert (event.previous_state, event.unit, event.device_class) == ("21.0", "°C", "temperature")
    assert (event.time_us, event.last_changed_us, event.time_fired_us) == (BASE_US + 2, BASE_US + 1, BASE_US + 2)
    assert (event.context_id, event.user_id, event.origin) == (CONTEXT["id"], "u1", "LOCAL")
    assert event.attributes is None


def test_attributes_travel_only_when_the_settings_store_them() -> None:
    (event,) = decode(frame_of(CHANGED), frozenset({"attributes"}))

    assert isinstance(event, Event)
    assert event.attributes == STATE["attributes"]


def test_a_removed_entity_is_an_event_at_the_time_it_was_removed() -> None:
    removed = {**CHANGED, "data": {**CHANGED["data"], "new_state": None}}

    (event,) = decode(frame_of(removed))

    assert isinstance(event, Event)
    assert (event.state, event.available, event.previous_state, event.time_us) == (None, False, "21.0", BASE_US + 2)


def test_a_coalesced_frame_gives_each_event_its_own_slot_and_skips_answers() -> None:
    messages = [
        {"type": "event", "event": CHANGED, "id": 1},
        {"id": 5, "type": "result", "success": True, "result": None},
        {"type": "event", "event": other("zha_event", {"n": 67}), "id": 2},
        {"id": 6, "type": "pong"},
        {"type": "event", "event": [{"type": "updated", "entry": {"entry_id": "e", "state": "loaded"}}], "id": 3},
    ]

    found = decode_websocket(Frame("websocket", 7, orjson.dumps(messages)), 10, frozenset())

    assert [event.slot for event in found if isinstance(event, Event)] == [10, 11]


@pytest.mark.parametrize(
    ("event_type", "data", "subject", "entity_id"),
    [
        ("automation_triggered", {"name": "A", "entity_id": "automation.a"}, "automation.a", "automation.a"),
        ("script_started", {"name": "S", "entity_id": "script.s"}, "script.s", "script.s"),
        ("call_service", {"domain": "light", "service": "turn_on", "service_data": {}}, "light.turn_on", None),
        ("component_loaded", {"component": "derivative"}, "derivative", None),
        ("entity_registry_updated", {"action": "create", "entity_id": "sensor.new"}, "sensor.new", "sensor.new"),
        ("never_heard_of", {"anything": [1, {"deep": None}]}, "-", None),
        ("never_heard_of", {"entity_id": "light.x"}, "light.x", "light.x"),
        ("never_heard_of", {"entity_id": ["light.x"]}, "-", None),
    ],
)
def test_every_kind_of_event_is_kept_under_a_series_of_its_own(
    event_type: str, data: dict[str, Any], subject: str, entity_id: str | None
) -> None:
    (event,) = decode(frame_of(other(event_type, data)))

    assert isinstance(event, Event)
    assert (event.kind, event.subject, event.entity_id) == ("event", f"{event_type}:{subject}", entity_id)
    assert event.data == data
    assert event.notes == []


def test_a_known_name_with_another_shape_is_kept_with_a_note() -> None:
    (event,) = decode(frame_of(other("automation_triggered", {"mine": 1})))

    assert isinstance(event, Event)
    assert event.subject == "automation_triggered:-"
    assert event.notes[0].startswith("unexpected_shape: entity_id")


@pytest.mark.parametrize(
    "path",
    [("event_type",), ("data",), ("time_fired",), ("context",), ("data", "entity_id"), ("data", "new_state", "state")],
)
def test_a_missing_required_field_rejects_that_event_alone(path: tuple[str, ...]) -> None:
    broken = copy.deepcopy(CHANGED)
    place: Any = broken
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]

    first, second, third = decode(frame_of(CHANGED, broken, CHANGED))

    assert isinstance(first, Event)
    assert isinstance(third, Event)
    assert isinstance(second, errors.InvalidEvent)
    assert orjson.loads(second.raw)["event"] == broken
    assert path[-1] in second.detail


@pytest.mark.parametrize(
    ("key", "value"),
    [("state", "x" * 16_385), ("state", 5), ("last_updated", "soon"), ("attributes", [])],
)
def test_a_state_that_breaks_a_limit_or_a_type_is_rejected(key: str, value: Any) -> None:
    broken = {**CHANGED, "data": {**CHANGED["data"], "new_state": {**STATE, key: value}}}

    (found,) = decode(frame_of(broken))

    assert isinstance(found, errors.InvalidEvent)


@pytest.mark.parametrize("entity_id", ["", "nodot", "a.b c", "a.b\n", "x" * 300 + ".y", 5, None])
def test_what_is_no_entity_id_is_rejected(entity_id: Any) -> None:
    broken = {**CHANGED, "data": {**CHANGED["data"], "entity_id": entity_id}}

    (found,) = decode(frame_of(broken))

    assert isinstance(found, errors.InvalidEvent)


def test_bare_nan_and_huge_integers_do_not_cost_a_frame() -> None:
    text = orjson.dumps([{"type": "event", "event": other("odd", {"a": 1, "b": 2})}]).decode()

    (event,) = decode(
        Frame("websocket", 7, text.replace('"a":1', '"a":NaN').replace('"b":2', '"b":' + "9" * 30).encode())
    )

    assert isinstance(event, Event)
    assert event.data is not None
    assert event.data["b"] == 1e30


def test_of_a_frame_cut_off_in_the_middle_the_whole_events_are_kept() -> None:
    whole = frame_of(CHANGED, CHANGED, CHANGED).payload

    first, second, rest = decode(Frame("websocket", 7, whole[:-40]))

    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert isinstance(rest, errors.UndecodableFrame)
    assert whole[:-40].endswith(rest.raw)
    assert b"sensor.kitchen" in rest.raw


def test_the_same_event_heard_twice_has_one_identity_and_another_state_another() -> None:
    changed_state = {**CHANGED, "data": {**CHANGED["data"], "new_state": {**STATE, "state": "22"}}}

    first, again, different = decode(frame_of(CHANGED, CHANGED, changed_state))

    assert isinstance(first, Event)
    assert isinstance(again, Event)
    assert isinstance(different, Event)
    assert (first.subject, first.time_us, first.identity) == (again.subject, again.time_us, again.identity)
    assert first.identity != different.identity


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=300))
@example(b'{"":"","event":{"event_type":"\x80"')
@example(b'{"type":"event","event":{"event_type":"state_changed","data":{"entity_id":"a.\x80"}}}')
def test_no_bytes_crash_the_decoder(payload: bytes) -> None:
    for found in decode(Frame("websocket", 7, payload)):
        assert isinstance(found, Event | errors.Rejected)


@given(json_values, st.sampled_from(["state_changed", "call_service", "automation_triggered", "mine"]))
def test_no_json_crashes_the_decoder(value: Any, event_type: str) -> None:
    for data in ({**CHANGED, "data": value, "event_type": event_type}, {**CHANGED, "context": value}, value):
        for found in decode(Frame("websocket", 7, json.dumps({"type": "event", "event": data}).encode())):
            assert isinstance(found, Event | errors.Rejected)
