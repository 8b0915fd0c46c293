"""From messages to frames: what is kept, held, acknowledged at once, marked as a twin, or cut down to its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor import errors
from ingestor.events.frame import Frame
from ingestor.intake.mqtt.connection import Message
from ingestor.intake.mqtt.deliveries import Deliveries
from ingestor.intake.mqtt.receiver import Receiver
from ingestor.settings import MqttSettings


class MemorySink:
    """Keeps frames until the test journals them; has room for so many."""

    def __init__(self, room: int = 1000) -> None:
        self.room = room
        self.frames: list[Frame] = []
        self.waiting: list[Callable[[], None]] = []

    def add(self, frame: Frame, on_journaled: Callable[[], None] | None = None) -> None:
        if len(self.frames) >= self.room:
            raise errors.JournalFull
        self.frames.append(frame)
        if on_journaled is not None:
            self.waiting.append(on_journaled)

    def journal(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


class Bench:
    """A receiver with a sink in memory and packet ids that count up."""

    def __init__(self, *, room: int = 1000, websocket_up: bool = False, entities: Any = None, **settings: Any) -> None:
        self.sink = MemorySink(room)
        self.deliveries = Deliveries((), lambda: None)
        self.deliveries.open_connection(resumed=False)
        known = None if entities is None else lambda component, unique_id: entities.get((component, unique_id))
        made = MqttSettings.model_validate({"url": "mqtt://localhost", **settings})
        self.receiver = Receiver(made, self.sink, self.deliveries, lambda: websocket_up, known)
        self.packet_id = 0
        self.now_s = 0.0

    def hear(self, topic: str, payload: Any, *, retain: bool = False, qos: int = 1, dup: bool = False) -> None:
        self.packet_id += 1 if not dup else 0
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        packet_id = self.packet_id if qos else 0
        self.receiver.take(Message(topic, raw, packet_id, qos, dup, retain), 1_000_000_000, self.now_s)

    def hear_event(self, entity: str = "light/a") -> None:
        for leaf, value in (("state", b"on"), ("last_updated", b"T1"), ("last_changed", b"T1")):
            self.hear(f"homeassistant/{entity}/{leaf}", value)

    def kinds(self) -> list[str]:
        return [frame.kind for frame in self.sink.frames]


def test_all_messages_of_a_joined_event_are_acknowledged_once_it_is_journaled() -> None:
    bench = Bench()
    bench.hear_event()
    bench.receiver.expire(1)
    before = bench.deliveries.due()

    bench.sink.journal()

    assert before == []
    assert bench.deliveries.due() == [1, 2, 3]
    assert bench.receiver.acknowledge == []


def test_a_retained_replay_is_acknowledged_and_not_written() -> None:
    bench = Bench()

    bench.hear("homeassistant/light/a/state", b"on", retain=True)
    bench.hear("zigbee2mqtt/kitchen", {"temperature": 21}, retain=True)
    bench.receiver.expire(10)

    assert bench.sink.frames == []
    assert bench.receiver.acknowledge == [1, 2]
    assert bench.receiver.counts.retained == 2


def test_what_is_not_for_us_is_acknowledged_and_counted() -> None:
    bench = Bench()

    bench.hear("zigbee2mqtt/kitchen/set", {"state": "ON"})

    assert bench.receiver.acknowledge == [1]
    assert bench.receiver.counts.ignored == 1


def test_a_redelivery_while_the_first_is_on_its_way_is_written_once_and_acknowledged_once() -> None:
    bench = Bench()
    bench.hear("zigbee2mqtt/kitchen", {"temperature": 21})
    bench.receiver.change_connection(0)
    bench.deliveries.open_connection(resumed=True)

    bench.hear("zigbee2mqtt/kitchen", {"temperature": 21}, dup=True)
    bench.sink.journal()

    assert len(bench.sink.frames) == 1
    assert bench.deliveries.due() == [1]


def test_two_equal_readings_are_two_frames() -> None:
    bench = Bench()

    bench.hear("zigbee2mqtt/kitchen", {"temperature": 21})
    bench.hear("zigbee2mqtt/kitchen", {"temperature": 21})

    assert len(bench.sink.frames) == 2
    assert bench.sink.frames[0].deliveries != bench.sink.frames[1].deliveries


def test_what_the_journal_has_no_room_for_is_held_in_order_and_not_acknowledged() -> None:
    bench = Bench(room=1)
    for number in range(3):
        bench.hear("zigbee2mqtt/kitchen", {"n": number})
    held = len(bench.receiver.held)

    bench.sink.room = 10
    drained = bench.receiver.drain()
    bench.sink.journal()

    assert held == 2
    assert drained
    assert [json.loads(frame.payload)["n"] for frame in bench.sink.frames] == [0, 1, 2]
    assert bench.deliveries.due() == [1, 2, 3]


def test_what_is_held_when_the_connection_changes_is_written_once_whether_it_comes_again_or_not() -> None:
    bench = Bench(room=0)
    bench.hear("zigbee2mqtt/kitchen", {"n": 1})
    bench.hear("homeassistant/light/a/state", b"on")
    bench.deliveries.open_connection(resumed=True)
    bench.receiver.change_connection(0)

    bench.hear("homeassistant/light/a/state", b"on", dup=True)
    bench.sink.room = 10
    bench.receiver.drain()
    bench.receiver.expire(10)
    bench.sink.journal()

    assert bench.kinds() == ["zigbee2mqtt", "statestream"]
    assert bench.deliveries.due() == [2], "the first one's acknowledgement would go by the wrong connection"


def test_a_payload_above_the_limit_is_kept_by_size_and_hash() -> None:
    bench = Bench(max_payload_bytes=2000)
    payload = b"x" * 2001

    bench.hear("zigbee2mqtt/kitchen", payload)

    [frame] = bench.sink.frames
    assert frame.kind == "zigbee2mqtt"
    assert len(frame.payload) < 200
    assert hashlib.sha256(payload).hexdigest().encode() in frame.payload


def test_secrets_are_redacted_before_the_sink() -> None:
    bench = Bench()

    bench.hear("zigbee2mqtt/lock", {"pin_code": "4711", "state": "LOCK"})
    for leaf, value in (("state", b"idle"), ("access_token", b'"s3cret"')):
        bench.hear(f"homeassistant/camera/a/{leaf}", value)
    bench.receiver.expire(10)

    together = b"".join(frame.payload for frame in bench.sink.frames)
    assert bench.kinds() == ["zigbee2mqtt", "statestream"]
    assert b"4711" not in together
    assert b"s3cret" not in together


def test_only_twins_of_what_the_websocket_brings_are_shadowed() -> None:
    bench = Bench(websocket_up=True, eventstream_topic="events")

    bench.hear("events", {"event_type": "x", "event_data": {}}, qos=0)
    bench.hear("zigbee2mqtt/kitchen", {"t": 1})
    bench.hear("tele/plug/STATE", {"POWER": "ON"})
    bench.hear_event()
    bench.receiver.expire(10)

    shadowed = {frame.kind: frame.shadowed for frame in bench.sink.frames}
    assert shadowed == {"eventstream": True, "zigbee2mqtt": False, "tasmota": False, "statestream": True}


def test_an_announced_topic_is_read_as_discovery_and_what_home_assistant_knows_apart() -> None:
    bench = Bench(websocket_up=True, entities={("sensor", "u1"): "sensor.kitchen"})
    for object_id in ("u1", "u2"):
        config = {"state_topic": "zigbee2mqtt/kitchen", "unique_id": object_id, "value_template": "{{ value }}"}
        bench.hear(f"homeassistant/sensor/{object_id}/config", config, retain=True)

    bench.hear("zigbee2mqtt/kitchen", {"t": 1})
    bench.sink.journal()

    assert bench.receiver.discovery_changed
    found = [(json.loads(frame.payload)["entities"][0]["unique_id"], frame.shadowed) for frame in bench.sink.frames]
    assert bench.kinds() == ["discovery", "discovery"]
    assert found == [("u1", True), ("u2", False)]
    assert bench.deliveries.due() == [3]


@pytest.mark.parametrize("retain", [True, False])
def test_the_bridges_list_of_devices_is_learned_and_not_written_and_each_device_goes_with_its_payload(
    retain: bool,
) -> None:
    bench = Bench()
    listed = [{"ieee_address": "0x1", "friendly_name": "hall/lamp", "definition": {"model": "x"}}]

    bench.hear("zigbee2mqtt/bridge/devices", listed, retain=retain)
    bodies = [b' {"state": "ON"}\n', b"{}", b'{"device":{}}', b"[1]", b"online", b""]
    for body in bodies:
        bench.hear("zigbee2mqtt/hall/lamp", body)
    bench.hear("zigbee2mqtt/other", b'{"state":"ON"}')

    device = b'{"device":{"friendlyName":"hall/lamp","ieeeAddr":"0x1"}'
    expected = [device + b',"state": "ON"}', device + b"}", *bodies[2:], b'{"state":"ON"}']
    assert [frame.payload for frame in bench.sink.frames] == expected
    assert len(bench.receiver.devices) == 1


@pytest.mark.parametrize("payload", [b"", b"rubbish", b'{"a":1}', b'[{"friendly_name":1}]', b"[5]"])
def test_a_list_of_devices_that_is_none_forgets_no_device(payload: bytes) -> None:
    bench = Bench()
    bench.hear("zigbee2mqtt/bridge/devices", [{"ieee_address": "0x1", "friendly_name": "lamp"}])

    bench.hear("zigbee2mqtt/bridge/devices", payload)

    assert len(bench.receiver.devices) == 1


def test_an_entity_that_announces_a_wildcard_takes_nothing_away_from_what_is_understood_by_itself() -> None:
    bench = Bench()
    for number, topic in enumerate(("zigbee2mqtt/#", "home/gateway/#")):
        config = {"state_topic": topic, "unique_id": f"u{number}"}
        bench.hear(f"homeassistant/sensor/u{number}/config", config, retain=True)

    bench.hear("zigbee2mqtt/kitchen", {"t": 1})
    bench.hear("home/gateway/433/1234", {"value": 1})

    assert bench.kinds() == ["zigbee2mqtt", "discovery"]


def test_an_attribute_named_config_belongs_to_its_event() -> None:
    bench = Bench()
    bench.hear_event("sensor/probe")

    bench.hear("homeassistant/sensor/probe/config", {})
    bench.receiver.expire(10)

    assert json.loads(bench.sink.frames[0].payload)["attributes"] == {"config": {}}


def test_a_user_topic_carries_its_mapping() -> None:
    mapping = {"topic": "heating/{room}", "entity_id": "sensor.heating_{room}", "value_path": "t", "unit": "°C"}
    bench = Bench(topics=[mapping])

    bench.hear("heating/bath", b'{"t":20}')

    expected = {"entity_id": "sensor.heating_bath", "raw": '{"t":20}', "value_path": "t", "unit": "°C"}
    assert json.loads(bench.sink.frames[0].payload) == expected


def test_what_the_broker_threw_away_is_counted_from_the_second_report_on() -> None:
    bench = Bench()

    for total in (b"100", b"100", b"107", b"rubbish"):
        bench.hear("$SYS/broker/publish/messages/dropped", total, qos=0)

    assert bench.receiver.counts.broker_dropped == 7
    assert bench.sink.frames == []


@given(
    topic=st.sampled_from(
        ["homeassistant/a/b/state", "homeassistant/a/b/c", "homeassistant/a/b/config", "zigbee2mqtt/x", "tele/p/STATE"]
    )
    | st.text(max_size=30),
    payload=st.binary(max_size=100) | st.sampled_from([b"", b"NaN", b"{}", b"null", b"\xff" * 50]),
    retain=st.booleans(),
    qos=st.integers(0, 1),
)
def test_any_message_ends_in_a_frame_or_an_acknowledgement_never_in_a_crash(
    topic: str, payload: bytes, retain: bool, qos: int
) -> None:
    bench = Bench()

    bench.hear(topic, payload, retain=retain, qos=qos)
    bench.receiver.flush()
    bench.sink.journal()

    assert bench.receiver.counts.failed == 0
    assert len(bench.deliveries.due()) + len(bench.receiver.acknowledge) == qos
