"""MQTT out on a real Mosquitto: messages, sensors, restarts of either side, and that nothing comes back as an event."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingestor import bootstrap
from ingestor.events.frame import Frame
from ingestor.intake.mqtt.listener import MqttListener
from ingestor.live.cursor import Position
from ingestor.live.entry import encode_entry, entry_of
from ingestor.live.places import ReaderPlaces
from ingestor.mqtt_out.sensors import configs
from ingestor.mqtt_out.service import READER
from ingestor.queue.topics_board import TopicsTeller
from ingestor.settings import HomeSettings
from ingestor.settings_mqtt_out import MqttOutSettings, own_topics
from tests.conftest import StartServer
from tests.homeassistant.run import HomeAssistant
from tests.integration.api_bench import KEY, served
from tests.integration.live_home import LiveHome, batch_of
from tests.servers import wait_until
from tests.servers_brokers import Mosquitto, ValkeyServer

Start = Callable[..., "Out"]


class Out(LiveHome):
    """An API that publishes to a broker."""

    def publish(self, *entities: str, **changes: Any) -> None:
        super().publish(*entities, **{"time_us": time.time_ns() // 1000, **changes})

    def topic(self, entity: str, name: str = "event.new") -> str:
        return f"ha-ingestor/{self.home}/{entity.replace('.', '/')}/{name}"

    def is_connected(self) -> bool:
        return bool(self.topics().get("connected"))

    def topics(self) -> dict[str, Any]:
        answer = requests.get(f"{self.address}/api/v1/mqtt/topics", headers={"X-API-Key": KEY}, timeout=60)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def kept_cursor(self) -> str:
        database = bootstrap.open_metadata(self.settings)
        try:
            return ReaderPlaces(database).find(READER)
        finally:
            database.dispose()

    def has_begun(self) -> bool:
        """Whether what is written from now on is published."""
        return self.kept_cursor() != ""

    def has_kept(self, place: Position) -> bool:
        """Whether it is kept that all up to there was published."""
        return not self.is_behind(self.kept_cursor(), place)


@pytest.fixture
def start(tmp_path: Path, valkey_server: ValkeyServer) -> Start:
    """Make such an API on one folder, however often."""
    home: list[str] = []

    def made(url: str, live: dict[str, Any] | None = None, **out: Any) -> Out:
        known = home[0] if home else None
        given = {"url": url, "sensors_every_s": 1, "client_id": uuid.uuid4().hex, **out}
        state = f"{valkey_server.url.removesuffix('/0')}/8"  # nobody else publishes there
        found = Out(tmp_path, state, home=known, more={"mqtt_out": given}, **live or {})
        if not home:
            bootstrap.open_state(found.settings).delete("ha_ingestor:mqtt_topics")  # what another test told
        home[:] = [found.home]
        return found

    return made


class Subscriber:
    """What came to a subscriber, by topic and in order."""

    def __init__(self, broker_port: int, *filters: str) -> None:
        self.came: list[tuple[str, bytes]] = []
        self._ready = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, uuid.uuid4().hex, protocol=paho.MQTTv5)
        self.client.on_message = self._note
        self.client.on_connect = lambda client, *_: client.subscribe([(one, 1) for one in filters])
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.reconnect_delay_set(1, 1)
        # What comes while it is away is kept for it.
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # it has no types
        properties.SessionExpiryInterval = 600
        self.client.connect("127.0.0.1", broker_port, clean_start=False, properties=properties)
        self.client.loop_start()
        assert self._ready.wait(60)

    def _note(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        self.came.append((message.topic, bytes(message.payload)))

    def on(self, topic: str) -> list[Any]:
        """What came on a topic, as JSON."""
        return [json.loads(payload) for one, payload in list(self.came) if one == topic and payload]

    def subjects(self) -> list[str]:
        """The subjects of messages, as often as they came."""
        told = [json.loads(payload) for topic, payload in list(self.came) if topic.endswith("/event.new")]
        return [one["subject"] for one in told]


@contextmanager
def subscribed(port: int, *filters: str) -> Iterator[Subscriber]:
    found = Subscriber(port, *filters)
    try:
        yield found
    finally:
        found.client.disconnect()
        found.client.loop_stop()


def test_messages_and_sensors_are_published_and_announced_again_when_home_assistant_starts(
    mosquitto: Mosquitto, start: Start
) -> None:
    out = start(mosquitto.url, discovery_prefix="ha-test-1", filter={"domain": ["light"]})
    with (
        subscribed(mosquitto.port, "ha-test-1/#", "ha-ingestor/#") as heard,
        served(out.app) as out.address,
    ):
        wait_until(out.is_connected, timeout_s=60, what="it is connected")
        wait_until(out.has_begun, timeout_s=60, what="it has begun")
        out.publish("light.hall", "sensor.kitchen")
        wait_until(lambda: bool(heard.on(out.topic("light.hall"))), timeout_s=60, what="the message came")
        sensors = f"ha-ingestor/{out.home}/sensors"
        wait_until(lambda: len(heard.on(sensors)) > 1, timeout_s=60, what="figures came")

        message = heard.on(out.topic("light.hall"))[0]
        assert (message["subject"], message["data"]["area"]) == ("light.hall", "Küche")
        assert heard.on(out.topic("sensor.kitchen")) == []
        assert heard.on(sensors)[0]["ingest_rate"] == 0.0
        config = f"ha-test-1/sensor/ha_ingestor/{out.home}_ingest_rate/config"
        before = len(heard.on(config))
        assert heard.on(config)[0]["state_topic"] == sensors

        heard.client.publish("ha-test-1/status", "online")
        wait_until(lambda: len(heard.on(config)) > before, timeout_s=60, what="it is announced again")
        assert ("ha-ingestor/out/status", b"online") in heard.came
        assert "ingestor_mqtt_out_connected 1.0" in requests.get(f"{out.address}/metrics", timeout=60).text
        published = {one["kind"]: one for one in out.topics()["published"]}
        wait_until(lambda: out.topics()["published_by_event"] == {"event.new": 1}, timeout_s=60, what="it is counted")
        assert published["messages"]["topic"] == "ha-ingestor/{home}/{domain}/{object_id}/{event}"
    with subscribed(mosquitto.port, "ha-ingestor/out/status") as later:
        wait_until(
            lambda: later.came == [("ha-ingestor/out/status", b"offline")], timeout_s=60, what="it says that it went"
        )


def test_what_was_written_while_either_side_was_away_comes_in_order_and_not_twice_over(
    start_server: StartServer, start: Start
) -> None:
    broker = start_server(Mosquitto)
    first = start(broker.url, discovery=False)
    names = [f"light.n{number}" for number in range(6)]
    with subscribed(broker.port, "ha-ingestor/+/light/#") as heard:
        with served(first.app) as first.address:
            wait_until(first.has_begun, timeout_s=60, what="it has begun")
            first.publish(names[0])
            wait_until(lambda: heard.subjects() == names[:1], timeout_s=60, what="the first came")
            broker.stop()
            wait_until(lambda: not first.is_connected(), timeout_s=60, what="the broker is missed")
            first.publish(names[1])
            first.publish(names[2])
            broker.start()
            first.publish(names[3])
            fourth = first.newest()
            wait_until(lambda: names[3] in heard.subjects(), timeout_s=60, what="all came")
            wait_until(lambda: first.has_kept(fourth), timeout_s=60, what="that is kept")
        first.publish(names[4])
        second = start(broker.url, discovery=False)
        with served(second.app) as second.address:
            second.publish(names[5])
            wait_until(lambda: names[5] in heard.subjects(), timeout_s=60, what="the rest came")

    assert list(dict.fromkeys(heard.subjects())) == names


def test_what_fell_out_of_the_channel_is_told_as_a_gap(mosquitto: Mosquitto, start: Start) -> None:
    first = start(mosquitto.url, {"max_entries": 10}, discovery=False)
    with served(first.app) as first.address:
        wait_until(first.has_begun, timeout_s=60, what="it has begun")
        first.publish("light.0")
        place = first.newest()
        wait_until(lambda: first.has_kept(place), timeout_s=60, what="that is kept")
    for number in range(13):
        first.publish(f"light.{number}")
    second = start(mosquitto.url, {"max_entries": 10}, discovery=False)
    with subscribed(mosquitto.port, f"ha-ingestor/{second.home}/#") as heard, served(second.app) as second.address:
        wait_until(lambda: "light.12" in heard.subjects(), timeout_s=60, what="the rest came")

    (gap,) = heard.on(f"ha-ingestor/{second.home}/gap")
    assert (gap["type"], gap["home"]) == ("gap", second.home)
    assert gap["data"]["from"] < gap["data"]["to"]
    # What the installation tells of itself may stand in the channel, too.
    names = [f"light.{number}" for number in range(13)]
    assert heard.subjects() == names[-len(heard.subjects()) :]
    assert 8 <= len(heard.subjects()) <= 10


def publish_with_one_too_large(out: Out) -> None:
    """Publish three messages in one entry, of which the middle one has 30,000 characters."""
    batch = batch_of(out.home, ["light.n1", "light.bad", "light.n2"], time_us=time.time_ns() // 1000)
    batch.events[1].attributes = {"text": "x" * 30_000}
    entry = entry_of(batch, [(event, event.time_us * 1000, False) for event in batch.events])
    assert entry is not None
    out.channel.publish(out.home, encode_entry(entry))


@pytest.mark.parametrize(
    "case",
    [
        ("5", "max_packet_size 20000", "packets of up to 20,000 bytes"),
        ("3.1.1", "max_packet_size 20000", "the connection ended 3 times"),
        ("5", "acl_file {acl}", "Not authorized"),  # Mosquitto 2.0.11 ends the connection as well
    ],
)
def test_a_message_that_the_broker_refuses_is_passed_over_and_told(
    start_server: StartServer, start: Start, tmp_path: Path, case: tuple[str, str, str]
) -> None:
    protocol, line, why = case
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite #\ntopic deny ha-ingestor/+/light/bad/#\n")
    acl.chmod(0o700)
    broker = start_server(Mosquitto, extra=(line.format(acl=acl),))
    out = start(broker.url, protocol=protocol, discovery=False)
    names = [f"light.n{number}" for number in range(5)]
    with subscribed(broker.port, "ha-ingestor/+/light/#") as heard, served(out.app) as out.address:
        wait_until(out.has_begun, timeout_s=60, what="it has begun")
        out.publish(names[0])
        publish_with_one_too_large(out)
        out.publish(names[3], names[4])
        last = out.newest()
        wait_until(lambda: names[4] in heard.subjects(), timeout_s=60, what="what comes behind it came")
        wait_until(lambda: out.has_kept(last), timeout_s=60, what="that is kept")
        wait_until(lambda: out.topics()["refused"] == 1, timeout_s=60, what="it is told")
        told = out.topics()
        metrics = requests.get(f"{out.address}/metrics", timeout=60).text

    assert list(dict.fromkeys(heard.subjects())) == names
    assert why in told["last_refused"]
    assert out.topic("light.bad") in told["last_refused"]
    assert "ingestor_mqtt_out_refused 1.0" in metrics


def test_an_announcement_that_the_broker_refuses_stops_nothing_else(start_server: StartServer, start: Start) -> None:
    like_ours = configs(MqttOutSettings(discovery_prefix="ha-test-3"), "sse-12345678")
    largest = max(len(topic) + len(config) for topic, config in like_ours.items())
    broker = start_server(Mosquitto, extra=(f"max_packet_size {largest + 3}",))
    out = start(broker.url, protocol="3.1.1", discovery_prefix="ha-test-3")
    with subscribed(broker.port, "ha-ingestor/+/light/#", "ha-test-3/#") as heard, served(out.app) as out.address:
        wait_until(out.has_begun, timeout_s=60, what="it has begun")
        out.publish("light.hall")
        wait_until(lambda: bool(heard.subjects()), timeout_s=60, what="the message came")
        wait_until(lambda: out.topics()["refused"] == 1, timeout_s=60, what="it is told")
        told = out.topics()["last_refused"]
        ours = configs(out.settings.mqtt_out, out.home)
        (refused,) = [topic for topic in ours if topic in told]
        wait_until(
            lambda: {topic for topic, _ in heard.came} >= {*ours} - {refused}, timeout_s=60, what="the others came"
        )

    assert "the connection ended 3 times" in told
    assert refused not in {topic for topic, _ in heard.came}


def test_a_device_may_have_whatever_name(mosquitto: Mosquitto, start: Start) -> None:
    out = start(mosquitto.url, topic="ha-ingestor/{device}/{entity_id}", discovery=False)
    batch = batch_of(out.home, ["light.bob"], time_us=time.time_ns() // 1000)
    batch.places[0] = msgspec.structs.replace(batch.places[0], device="Bob\x92s \uffff\U0001fffelamp")
    entry = entry_of(batch, [(event, event.time_us * 1000, False) for event in batch.events])
    assert entry is not None
    with subscribed(mosquitto.port, "ha-ingestor/+/light.bob") as heard, served(out.app) as out.address:
        wait_until(out.has_begun, timeout_s=60, what="it has begun")
        out.channel.publish(out.home, encode_entry(entry))
        wait_until(lambda: bool(heard.came), timeout_s=60, what="it came")

    assert heard.came[0][0] == "ha-ingestor/Bob_s __lamp/light.bob"


class Kept:
    """A sink that journals at once."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def add(self, frame: Frame, on_journaled: Callable[[], None] | None = None) -> None:
        self.frames.append(frame)
        if on_journaled is not None:
            on_journaled()


def test_nothing_that_is_published_comes_back_as_an_event(mosquitto: Mosquitto, start: Start) -> None:
    out = start(mosquitto.url, discovery_prefix="ha-test-2")
    wide = {"topic": "elsewhere/#", "entity_id": "sensor.wide"}
    mqtt = {"url": mosquitto.url, "discovery_prefix": "ha-test-2", "statestream_base": "stream-2", "topics": [wide]}
    home = HomeSettings.model_validate({"name": out.home, "mqtt": mqtt})
    sink = Kept()
    listener = MqttListener(
        home,
        sink=sink,
        known_deliveries=set(),
        websocket_up=lambda: False,
        own_topics=own_topics(out.settings.mqtt_out),
    )
    tell = TopicsTeller(bootstrap.open_topics_board(out.settings), f"{out.home}:mqtt", listener.topics)
    stop = threading.Event()
    thread = threading.Thread(target=listener.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: listener.status()["connected"], timeout_s=60, what="the listener is up")
        # Somebody announces one of our topics: the listener must not subscribe to it.
        announced = {"state_topic": out.topic("light.n0"), "unique_id": "mine", "name": "Mine"}
        with subscribed(mosquitto.port, "ha-ingestor/+/light/#") as other, served(out.app) as out.address:
            other.client.publish("ha-test-2/sensor/mine/config", json.dumps(announced), qos=1)
            wait_until(lambda: listener.status()["discovered"] == 1, timeout_s=60, what="it is announced")
            wait_until(out.has_begun, timeout_s=60, what="it publishes")
            for number in range(5):
                out.publish(f"light.n{number}")
            wait_until(lambda: len(other.subjects()) == 5, timeout_s=60, what="all are published")
            config = f"ha-test-2/sensor/ha_ingestor/{out.home}_ingest_rate/config"
            wait_until(
                lambda: any(topic == config for topic, *_ in listener.topics()["topics"]),
                timeout_s=60,
                what="the listener has seen our announcement",
            )
            other.client.publish("elsewhere/x", "1", qos=1)
            wait_until(lambda: bool(sink.frames), timeout_s=60, what="what is no message of ours came")
            tell()
            seen = {one["topic"]: one["kind"] for one in out.topics()["seen"]}
    finally:
        stop.set()
        thread.join(60)

    assert [frame.topic for frame in sink.frames] == ["elsewhere/x"]
    assert (seen[config], seen["elsewhere/x"]) == ("own", "topic")
    assert out.topic("light.n0") not in seen


@pytest.mark.homeassistant
def test_our_sensors_appear_in_a_real_home_assistant_with_values(homeassistant: HomeAssistant, start: Start) -> None:
    out = start(homeassistant.mqtt_url, topic="")
    name = f"ha_ingestor_{out.home.replace('-', '_')}"
    with served(out.app):
        wait_until(
            lambda: homeassistant.states().get(f"sensor.{name}_ingest_rate", {}).get("state") == "0.0",
            timeout_s=60,
            what="the rate is shown",
        )
        states = homeassistant.states()
        rate = states[f"sensor.{name}_ingest_rate"]["attributes"]
        assert (rate["unit_of_measurement"], rate["state_class"]) == ("events/s", "measurement")
        assert states[f"binary_sensor.{name}_listening"]["state"] == "off"
        assert {f"sensor.{name}_{one}" for one in ("lag", "quality_score", "queue_depth")} <= set(states)
    wait_until(
        lambda: homeassistant.states()[f"sensor.{name}_ingest_rate"]["state"] == "unavailable",
        timeout_s=60,
        what="who ends is not available",
    )
