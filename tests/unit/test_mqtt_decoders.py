"""Decoders of MQTT frames: twins of the WebSocket's events, readings of devices, bad input by name."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor import errors
from ingestor.events import mqtt
from ingestor.events.event import Event
from ingestor.events.frame import Frame, FrameKind, RawBatch
from ingestor.events.mqtt_models import OVERSIZE_MARK
from ingestor.events.mqtt_reading import entity_name
from ingestor.events.websocket import event_from_message
from ingestor.pipeline.validate import DECODERS, validate

RECEIVED_NS = 1_795_229_243_823_529_000
WHEN = "2026-11-21T02:47:23.157068+00:00"
RECORDED = Path(__file__).parents[1] / "recordings" / "mqtt_eventstream_2024.jsonl.gz"
MQTT_KINDS: list[FrameKind] = ["eventstream", "statestream", "discovery", "zigbee2mqtt", "tasmota", "topic"]


def frame(kind: FrameKind, payload: Any, topic: str = "", **more: Any) -> Frame:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Frame(kind, RECEIVED_NS, raw, topic, **more)


def decoded(one: Frame, first_slot: int = 0) -> list[Event | errors.Rejected]:
    return DECODERS[one.kind](one, first_slot, frozenset({"attributes", "data"}))


def events(one: Frame) -> list[Event]:
    found = decoded(one)
    assert all(isinstance(element, Event) for element in found), found
    return [element for element in found if isinstance(element, Event)]


def states(one: Frame) -> dict[str | None, str | None]:
    return {event.entity_id: event.state for event in events(one)}


def by_websocket(new_state: dict[str, Any]) -> Event:
    message = {
        "event_type": "state_changed",
        "data": {"entity_id": new_state["entity_id"], "old_state": None, "new_state": new_state},
        "origin": "LOCAL",
        "time_fired": new_state["last_updated"],
        "context": {"id": "01X", "parent_id": None, "user_id": None},
    }
    carries = frozenset({"attributes", "data"})
    return event_from_message(message, slot=0, received_ns=RECEIVED_NS, source="websocket", carries=carries)


POWER = {
    "entity_id": "sensor.power",
    "state": "21.5",
    "last_updated": WHEN,
    "last_changed": WHEN,
    "attributes": {"unit_of_measurement": "W", "device_class": "power", "friendly_name": "Power"},
}


def test_a_joined_statestream_event_is_the_twin_of_the_one_by_websocket() -> None:
    twin = by_websocket({**POWER, "context": {"id": "01X", "parent_id": None, "user_id": None}})

    [event] = events(frame("statestream", POWER))

    same = ("subject", "entity_id", "time_us", "identity", "state", "value", "available", "unit", "device_class")
    assert {name: getattr(event, name) for name in same} == {name: getattr(twin, name) for name in same}
    assert (event.kind, event.event_type, event.source) == ("state", "state_changed", "statestream")
    assert not event.untimed
    assert event.attributes == POWER["attributes"]


def test_statestream_without_times_is_untimed_and_filtered_only_while_the_websocket_is_up() -> None:
    bare = {"entity_id": "light.a", "state": "on", "attributes": {}}
    alone, shadowed = frame("statestream", bare), frame("statestream", bare, shadowed=True)

    result = validate(RawBatch("b", "home", "mqtt", "j", 0, [alone, shadowed]), frozenset())

    assert [event.slot for event in result.batch.events] == [0]
    assert result.batch.events[0].untimed
    assert result.batch.events[0].time_us == RECEIVED_NS // 1000
    assert [(one.outcome, one.slots) for one in result.batch.settled] == [("filtered", [1])]


def test_an_uncertain_join_is_marked_on_its_event() -> None:
    [event] = events(frame("statestream", POWER, uncertain=True))

    assert event.uncertain


def test_a_state_change_by_eventstream_is_the_twin_of_the_one_by_websocket() -> None:
    new = {**POWER, "context": {"id": "01H", "parent_id": "01P", "user_id": None}}
    twin = by_websocket(new)
    published = {"event_type": "state_changed", "event_data": {"entity_id": "sensor.power", "old_state": None}}
    published["event_data"]["new_state"] = new  # type: ignore[index]  # it is the dict of the line above

    [event] = events(frame("eventstream", published, "events", shadowed=True))

    assert (event.subject, event.time_us, event.identity) == (twin.subject, twin.time_us, twin.identity)
    assert (event.context_id, event.parent_id, event.source) == ("01H", "01P", "eventstream")
    assert not event.untimed


def test_an_eventstream_event_that_has_no_time_is_untimed_and_two_equal_ones_are_two() -> None:
    published = {"event_type": "zha_event", "event_data": {"n": 1}}

    [first] = events(frame("eventstream", published, deliveries=((1, 7),)))
    [second] = events(frame("eventstream", published, deliveries=((2, 7),)))

    assert first.untimed
    assert first.time_us == RECEIVED_NS // 1000
    assert (first.kind, first.event_type, first.data) == ("event", "zha_event", {"n": 1})
    assert first.context_id is None
    assert first.identity != second.identity


def test_a_removal_by_eventstream_is_untimed_since_nobody_says_when_it_was() -> None:
    data = {"entity_id": "light.gone", "old_state": {"state": "on"}, "new_state": None}

    [event] = events(frame("eventstream", {"event_type": "state_changed", "event_data": data}))

    assert event.untimed
    assert (event.state, event.previous_state) == (None, "on")


def test_every_recorded_eventstream_message_becomes_an_event_also_those_with_bare_nan() -> None:
    with gzip.open(RECORDED) as lines:
        recorded = [line.rstrip(b"\n") for line in lines]

    found = [element for line in recorded for element in decoded(frame("eventstream", line))]

    rejected = [element for element in found if isinstance(element, errors.Rejected)]
    assert sum(b"NaN" in line or b"Infinity" in line for line in recorded) >= 20
    assert rejected == []
    assert len(found) == len(recorded) == 974


def test_a_zigbee2mqtt_payload_is_an_event_for_each_value() -> None:
    body = {"temperature": 21.5, "contact": True, "battery": None, "update": {"state": "idle"}, "action": "on"}

    found = states(frame("zigbee2mqtt", body, "zigbee2mqtt/kitchen"))

    assert found == {
        "mqtt.zigbee2mqtt-kitchen-temperature": "21.5",
        "mqtt.zigbee2mqtt-kitchen-contact": "on",
        "mqtt.zigbee2mqtt-kitchen-battery": "unknown",
        "mqtt.zigbee2mqtt-kitchen-update-state": "idle",
        "mqtt.zigbee2mqtt-kitchen-action": "on",
    }


@pytest.mark.parametrize("payload", [b"online", b'{"state":"online"}'])
def test_zigbee2mqtt_availability_comes_in_two_forms(payload: bytes) -> None:
    [event] = events(frame("zigbee2mqtt", payload, "zigbee2mqtt/kitchen/availability"))

    assert (event.entity_id, event.state, event.available) == (
        "mqtt.zigbee2mqtt-kitchen-availability",
        "online",
        True,
    )


def test_a_device_that_is_offline_is_not_available() -> None:
    [event] = events(frame("tasmota", b"Offline", "tele/plug/LWT"))

    assert (event.entity_id, event.state, event.available) == ("mqtt.tasmota-plug-LWT", "Offline", False)


def test_zigbee2mqtt_publishing_each_value_on_a_topic_of_its_own_names_the_same_entity() -> None:
    whole = states(frame("zigbee2mqtt", {"temperature": 21.5}, "zigbee2mqtt/kitchen"))

    single = states(frame("zigbee2mqtt", b"21.5", "zigbee2mqtt/kitchen/temperature"))

    assert single == whole


def test_tasmota_sensor_payload_is_an_event_for_each_value_with_the_unit_of_its_temperature() -> None:
    body = {"Time": "2024-03-01T10:00:00", "AM2301": {"Temperature": 19.8, "Humidity": 60}, "TempUnit": "C"}

    found = events(frame("tasmota", body, "tele/plug/SENSOR"))

    assert [(event.entity_id, event.state, event.value, event.unit) for event in found] == [
        ("mqtt.tasmota-plug-AM2301-Temperature", "19.8", 19.8, "°C"),
        ("mqtt.tasmota-plug-AM2301-Humidity", "60", 60.0, None),
    ]


@pytest.mark.parametrize(
    ("topic", "payload", "entity_id"),
    [
        ("stat/plug/POWER", b"ON", "mqtt.tasmota-plug-POWER"),
        ("stat/plug/RESULT", b'{"POWER":"ON"}', "mqtt.tasmota-plug-POWER"),
        ("tele/plug/STATE", b'{"Time":"x","POWER":"ON"}', "mqtt.tasmota-plug-POWER"),
        ("stat/plug/STATUS11", b'{"StatusSTS":{"Time":"x","POWER":"ON"}}', "mqtt.tasmota-plug-POWER"),
        ("tele/floor/plug/STATE", b'{"POWER":"ON"}', "mqtt.tasmota-floor-plug-POWER"),
    ],
)
def test_what_tasmota_says_on_different_topics_is_one_entity(topic: str, payload: bytes, entity_id: str) -> None:
    [event] = events(frame("tasmota", payload, topic))

    assert (event.entity_id, event.state, event.value) == (entity_id, "ON", 1.0)


def test_a_user_topic_takes_its_value_from_a_path() -> None:
    content = {"entity_id": "sensor.boiler", "value_path": "data.1.c", "unit": "°C", "raw": '{"data":[0,{"c":55}]}'}

    [event] = events(frame("topic", content, "heating/boiler"))

    assert (event.entity_id, event.state, event.value, event.unit) == ("sensor.boiler", "55", 55.0, "°C")


def test_discovered_entities_are_read_by_template_and_one_that_fails_costs_no_other() -> None:
    announced = [
        {"component": "sensor", "object_id": "t", "unique_id": "0x1_t", "value_template": "{{ value_json.t }}"},
        {"component": "sensor", "object_id": "x", "value_template": "{{ states('sun.sun') }}"},
        {"component": "binary_sensor", "object_id": "c", "entity_id": "binary_sensor.door", "payloads": {"True": "on"},
         "value_template": "{{ value_json.c }}"},
    ]  # fmt: skip

    found = decoded(frame("discovery", {"raw": '{"t":21,"c":true}', "entities": announced}, "zigbee2mqtt/a"), 5)

    first, failed, last = found
    assert isinstance(first, Event)
    assert isinstance(last, Event)
    assert (first.slot, first.entity_id, first.state) == (5, "mqtt.discovery-sensor-0x1_t", "21")
    assert isinstance(failed, errors.InvalidEvent)
    assert failed.reason == "template_failed"
    assert (last.slot, last.entity_id, last.state) == (7, "binary_sensor.door", "on")


@pytest.mark.parametrize(
    ("payload", "name", "state"),
    [
        ('{"installed_version":16777216,"latest_version":16777217}', "update.x", "on"),
        ('{"installed_version":"2024.3.9","latest_version":"2024.3.10"}', "update.x", "on"),
        ('{"installed_version":"1.1","latest_version":"1.0"}', "update.x", "off"),
        ('{"installed_version":"abc","latest_version":"abc"}', "update.x", "off"),
        ('{"installed_version":"1","latest_version":null}', "update.x", "unknown"),
        ("16777216", "mqtt.discovery-update-u1", "16777216"),
    ],
)
def test_an_update_is_on_if_there_is_something_newer(payload: str, name: str, state: str) -> None:
    announced = [{"component": "update", "object_id": "x", "unique_id": "u1", "entity_id": "update.x"}]

    [event] = events(frame("discovery", {"raw": payload, "entities": announced}, "t"))

    assert (event.entity_id, event.state) == (name, state)


def test_a_payload_that_says_nothing_about_a_switch_makes_no_event_of_it() -> None:
    switch = {"component": "switch", "object_id": "p", "payloads": {"ON": "on", "OFF": "off"}}
    announced = [
        {**switch, "value_template": "{{ value_json.POWER1 }}"},
        {**switch, "value_template": "{{ value_json.POWER2 }}", "unique_id": "p2"},
    ]

    found = decoded(frame("discovery", {"raw": '{"POWER2":"ON"}', "entities": announced}, "stat/p/RESULT"), 3)

    assert [(one.slot, one.state) for one in found if isinstance(one, Event)] == [(3, "on")]
    assert len(found) == 1


def test_a_reading_carries_the_unique_id_of_what_was_announced() -> None:
    announced = [{"component": "sensor", "object_id": "t", "unique_id": "0x1_t"}]
    one = frame("discovery", {"raw": "21", "entities": announced}, "t")

    [event] = events(one)
    [lean] = DECODERS["discovery"](one, 0, frozenset())

    assert event.attributes == {"unique_id": "0x1_t"}
    assert isinstance(lean, Event)
    assert lean.attributes is None


def test_a_zigbee2mqtt_payload_with_its_device_names_each_value_by_the_devices_address() -> None:
    device = {"friendlyName": "kitchen", "ieeeAddr": "0x00158d", "model": "WSDCGQ11LM"}
    body = {"device": device, "temperature": 21.5, "update": {"state": "idle"}}

    found = events(frame("zigbee2mqtt", body, "zigbee2mqtt/kitchen"))

    assert {event.entity_id: event.attributes and event.attributes["unique_id"] for event in found} == {
        "mqtt.zigbee2mqtt-kitchen-temperature": "0x00158d_temperature_zigbee2mqtt",
        "mqtt.zigbee2mqtt-kitchen-update-state": "0x00158d_update_state_zigbee2mqtt",
    }


@pytest.mark.parametrize("device", [{"ieeeAddr": 5}, {"model": "x"}, "text", None])
def test_a_device_of_another_form_costs_no_reading(device: Any) -> None:
    found = states(frame("zigbee2mqtt", {"device": device, "temperature": 21.5}, "zigbee2mqtt/kitchen"))

    assert found["mqtt.zigbee2mqtt-kitchen-temperature"] == "21.5"


@pytest.mark.parametrize("kind", MQTT_KINDS)
def test_a_payload_that_was_too_large_is_named_with_size_and_hash(kind: FrameKind) -> None:
    kept = OVERSIZE_MARK + b'{"bytes":99999999,"sha256":"abc"}'

    result = validate(RawBatch("b", "home", "mqtt", "j", 0, [frame(kind, kept, "a/b/c")]), frozenset())

    [piece] = result.quarantined
    assert piece.reason == "payload_too_large"
    assert "99999999" in piece.detail
    assert "abc" in piece.detail


def test_bytes_that_are_no_text_are_named() -> None:
    content = {"entity_id": "sensor.x", "raw_base64": base64.b64encode(b"\xff\xfe").decode()}

    with pytest.raises(errors.UndecodableFrame) as raised:
        mqtt.decode_topic(frame("topic", content), 0, frozenset())

    assert raised.value.reason == "not_utf8"


def test_names_that_differ_never_become_one_entity() -> None:
    assert entity_name("z", "a b") != entity_name("z", "a_b")
    assert entity_name("z", "a-b") != entity_name("z", "a", "b")
    assert entity_name("z", "a", "b") == "mqtt.z-a-b"
    assert len(entity_name("z", "ä" * 400)) <= 255


@given(kind=st.sampled_from(MQTT_KINDS), payload=st.binary(max_size=200), topic=st.text(max_size=40))
def test_any_bytes_on_any_topic_are_an_event_or_named_never_a_crash(
    kind: FrameKind, payload: bytes, topic: str
) -> None:
    result = validate(RawBatch("b", "home", "mqtt", "j", 0, [Frame(kind, RECEIVED_NS, payload, topic)]), frozenset())

    assert all(piece.reason != "decoder_failed" for piece in result.quarantined)
    assert len(result.batch.events) + len(result.quarantined) == result.batch.size


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["entity_id", "state", "last_updated", "attributes", "event_type", "event_data", "new_state", "raw", "entities"]
)


@given(kind=st.sampled_from(MQTT_KINDS), body=st.dictionaries(KEYS, JSON, max_size=6) | JSON)
def test_any_json_is_an_event_or_named_never_a_crash(kind: FrameKind, body: Any) -> None:
    payload = json.dumps(body).encode()

    for topic in ("zigbee2mqtt/a", "tele/a/STATE"):
        raw = RawBatch("b", "home", "mqtt", "j", 0, [Frame(kind, RECEIVED_NS, payload, topic)])
        result = validate(raw, frozenset({"attributes"}))

        assert all(piece.reason != "decoder_failed" for piece in result.quarantined)
