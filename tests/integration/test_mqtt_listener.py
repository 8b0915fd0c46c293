"""The MQTT listener on a real Mosquitto: restarts and kills lose nothing, nothing retained is written as new."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

import ingestor.intake.mqtt
from ingestor import errors
from ingestor.events.event import Event
from ingestor.events.frame import Frame
from ingestor.intake.mqtt.connection import end_session
from ingestor.intake.mqtt.listener import MqttListener
from ingestor.intake.mqtt.receiver import Sink
from ingestor.pipeline.validate import DECODERS
from ingestor.settings import HomeSettings, MqttSettings
from tests.conftest import StartServer
from tests.servers import free_port, wait_until
from tests.servers_brokers import Mosquitto

SHIPPED = (Path(ingestor.intake.mqtt.__file__).parent / "mosquitto.conf").read_text().splitlines()
SHIPPED_LINES = tuple(line for line in SHIPPED if line and not line.startswith(("#", "persistence ")))
CONNECT, SUBSCRIBE = 1, 8
WHEN = "2026-11-21T02:47:23.157068+00:00"


class JournalTwin:
    """A sink whose disk the test holds: frames are journaled at once, or when the test says so."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.frames: list[Frame] = []
        self.at_once = at_once
        self.full = False
        self._waiting: list[Callable[[], None]] = []

    def add(self, frame: Frame, on_journaled: Callable[[], None] | None = None) -> None:
        if self.full:
            raise errors.JournalFull
        self.frames.append(frame)
        if on_journaled is not None:
            self._waiting.append(on_journaled)
        if self.at_once:
            self.sync()

    def sync(self) -> None:
        waiting, self._waiting = self._waiting, []
        for on_journaled in waiting:
            on_journaled()

    def deliveries(self) -> set[tuple[int, int]]:
        return {delivery for frame in self.frames for delivery in frame.deliveries}

    def states(self) -> list[str | None]:
        found = [DECODERS[frame.kind](frame, 0, frozenset()) for frame in list(self.frames)]
        return [element.state for elements in found for element in elements if isinstance(element, Event)]


def home(broker: Mosquitto, name: str = "home", **changes: Any) -> HomeSettings:
    return HomeSettings(name=name, mqtt=MqttSettings.model_validate({"url": broker.url, **changes}))


@contextmanager
def listening(settings: HomeSettings, sink: Sink, known: set[tuple[int, int]] | None = None) -> Iterator[MqttListener]:
    listener = MqttListener(settings, sink=sink, known_deliveries=known or set(), websocket_up=lambda: False)
    stop = threading.Event()
    thread = threading.Thread(target=listener.run, args=(stop,))
    thread.start()
    try:
        until(lambda: listener.status()["connected"], "connected")
        yield listener
    finally:
        stop.set()
        thread.join(15)
        assert not thread.is_alive()


def until(condition: Callable[[], object], what: str, timeout_s: float = 15) -> None:
    wait_until(lambda: bool(condition()), timeout_s=timeout_s, what=what)


@contextmanager
def publisher(broker: Mosquitto, name: str = "publisher") -> Iterator[paho.Client]:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def publish(broker: Mosquitto, *messages: tuple[str, Any], retain: bool = False, qos: int = 1) -> None:
    with publisher(broker) as client:
        sent = [
            client.publish(topic, body if isinstance(body, bytes) else json.dumps(body), qos, retain)
            for topic, body in messages
        ]
        for one in sent:
            one.wait_for_publish(15)


def event(entity: str, state: str, when: str = WHEN) -> list[tuple[str, bytes]]:
    base = f"homeassistant/{entity.replace('.', '/')}"
    return [
        (f"{base}/state", state.encode()),
        (f"{base}/last_updated", when.encode()),
        (f"{base}/last_changed", when.encode()),
        (f"{base}/friendly_name", b'"A name"'),
    ]


@pytest.fixture
def broker(start_server: StartServer) -> Mosquitto:
    """A broker with the settings that we ship."""
    return start_server(Mosquitto, base=SHIPPED_LINES)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_statestream_event_arrives_as_one_frame_and_is_acknowledged(broker: Mosquitto, protocol: str) -> None:
    sink = JournalTwin()

    with listening(home(broker, protocol=protocol), sink):
        publish(broker, *event("light.a", "on"))
        until(lambda: sink.frames, "a frame")

    [frame] = sink.frames
    [decoded] = DECODERS[frame.kind](frame, 0, frozenset({"attributes"}))
    assert isinstance(decoded, Event)
    assert (decoded.entity_id, decoded.state, decoded.attributes) == ("light.a", "on", {"friendly_name": "A name"})
    again = JournalTwin()
    with listening(home(broker, protocol=protocol), again) as listener:
        publish(broker, *event("light.b", "end"))
        until(lambda: again.frames, "the second frame")
        assert listener.status()["redelivered"] == 0
    assert again.states() == ["end"]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_is_not_journaled_comes_again_after_a_restart_of_the_listener(broker: Mosquitto, protocol: str) -> None:
    settings = home(broker, protocol=protocol)
    unsynced, sink = JournalTwin(at_once=False), JournalTwin()
    with listening(settings, unsynced):
        publish(broker, *[("zigbee2mqtt/kitchen", {"n": n}) for n in range(50)])
        until(lambda: len(unsynced.frames) == 50, "50 frames")
    publish(broker, *[("zigbee2mqtt/kitchen", {"n": n}) for n in range(50, 60)])

    with listening(settings, sink):
        until(lambda: len(sink.frames) >= 60, "all 60 frames")

    assert sorted(sink.states(), key=lambda state: int(state or -1)) == [str(n) for n in range(60)]


def test_a_redelivery_of_what_the_journal_has_is_acknowledged_and_not_written(broker: Mosquitto) -> None:
    settings = home(broker)
    before, after, last = JournalTwin(at_once=False), JournalTwin(), JournalTwin()
    with listening(settings, before):
        publish(broker, *[("zigbee2mqtt/kitchen", {"n": n}) for n in range(20)])
        until(lambda: len(before.frames) == 20, "20 frames")

    with listening(settings, after, before.deliveries()) as listener:
        until(lambda: listener.status()["redelivered"] == 20, "20 redeliveries")
        publish(broker, ("zigbee2mqtt/kitchen", {"n": 99}))
        until(lambda: after.frames, "the new one")
    with listening(settings, last) as listener:
        publish(broker, ("zigbee2mqtt/kitchen", {"n": 100}))
        until(lambda: last.frames, "the last one")
        redelivered = listener.status()["redelivered"]

    assert after.states() == ["99"]
    assert last.states() == ["100"]
    assert redelivered == 0


def test_what_the_listener_has_is_written_once_though_the_broker_is_killed(broker: Mosquitto) -> None:
    sink = JournalTwin(at_once=False)
    settings = home(broker)
    with listening(settings, sink) as listener:
        publish(broker, *[("zigbee2mqtt/kitchen", {"n": n}) for n in range(30)])
        until(lambda: len(sink.frames) == 30, "30 frames")

        broker.kill()
        until(lambda: not listener.status()["connected"], "the loss noticed")
        broker.start()
        until(lambda: listener.status()["connected"], "connected again", 30)
        publish(broker, ("zigbee2mqtt/kitchen", {"n": 30}))
        until(lambda: len(sink.frames) == 31, "the new one")
        sink.sync()

    assert [int(state or -1) for state in sink.states()] == list(range(31))
    fresh = JournalTwin()
    with listening(settings, fresh) as listener:
        publish(broker, ("zigbee2mqtt/kitchen", {"n": 31}))
        until(lambda: fresh.frames, "one more")
    assert fresh.states() == ["31"]


def test_statestream_messages_that_are_not_journaled_come_again_though_broker_and_listener_are_killed(
    broker: Mosquitto,
) -> None:
    settings = home(broker)
    lost, sink = JournalTwin(at_once=False), JournalTwin()
    with listening(settings, lost) as listener:
        publish(broker, *event("light.a", "on"), retain=True)
        until(lambda: lost.frames, "the event")
        broker.kill()
        until(lambda: not listener.status()["connected"], "the loss noticed")

    broker.start()
    with listening(settings, sink):
        until(lambda: sink.frames, "the event again")

    assert sink.states() == ["on"]


def test_messages_sent_while_the_listener_is_away_and_the_broker_is_killed_all_arrive(broker: Mosquitto) -> None:
    settings = home(broker)
    with listening(settings, JournalTwin()) as listener:
        until(lambda: listener.status()["subscribed"], "subscribed")
    publish(broker, *[("zigbee2mqtt/kitchen", {"n": n}) for n in range(300)])

    broker.kill()
    broker.start()
    sink = JournalTwin()
    with listening(settings, sink):
        until(lambda: len(sink.frames) >= 300, "all 300")

    assert sorted(int(state or -1) for state in sink.states()) == list(range(300))


def test_retained_replays_are_not_written_but_what_changes_afterwards_is(broker: Mosquitto) -> None:
    publish(broker, *event("light.a", "on"), ("zigbee2mqtt/kitchen", {"n": 1}), retain=True)
    sink = JournalTwin()

    with listening(home(broker), sink) as listener:
        until(lambda: listener.status()["retained"] >= 5, "the replay")
        publish(broker, *event("light.a", "off"), retain=True)
        until(lambda: sink.frames, "the change")

    assert sink.states() == ["off"]


def test_a_joined_event_whose_shape_is_known_from_the_replay_does_not_wait_for_quiet(broker: Mosquitto) -> None:
    publish(broker, *event("light.a", "on"), retain=True)
    sink = JournalTwin()

    with listening(home(broker, statestream_quiet_s=10), sink) as listener:
        until(lambda: listener.status()["retained"] >= 4, "the replay")
        publish(broker, *event("light.a", "off"), retain=True)
        until(lambda: sink.frames, "the change, long before ten seconds", 5)

    assert sink.states() == ["off"]


def test_an_event_cut_in_two_by_a_restart_of_the_listener_arrives_whole(broker: Mosquitto) -> None:
    settings = home(broker, statestream_quiet_s=3)
    first, rest = event("light.a", "on")[:2], event("light.a", "on")[2:]
    with listening(settings, JournalTwin()) as listener:
        before = listener.status()["messages"]
        publish(broker, *first)
        until(lambda: listener.status()["messages"] >= before + 2, "its first half")
    publish(broker, *rest)
    sink = JournalTwin()

    with listening(settings, sink):
        until(lambda: sink.frames, "the event")

    assert len(sink.frames) == 1
    assert set(json.loads(sink.frames[0].payload)) == {
        "entity_id",
        "state",
        "last_updated",
        "last_changed",
        "attributes",
    }
    assert json.loads(sink.frames[0].payload)["attributes"] == {"friendly_name": "A name"}


def test_announced_topics_are_subscribed_to_and_read_by_template(broker: Mosquitto) -> None:
    config = {"state_topic": "boiler/tele", "unique_id": "b1", "value_template": "{{ value_json.t | round(1) }}"}
    publish(broker, ("homeassistant/sensor/boiler/config", config), retain=True)
    sink = JournalTwin()

    with listening(home(broker), sink) as listener:
        until(lambda: "boiler/tele" in listener.status()["subscribed"], "its topic subscribed to")
        publish(broker, ("boiler/tele", {"t": 55.55}))
        until(lambda: sink.frames, "a reading")

    assert [frame.kind for frame in sink.frames] == ["discovery"]
    assert sink.states() == ["55.5"]


def test_while_the_journal_is_full_nothing_is_read_or_acknowledged_and_then_all_of_it(broker: Mosquitto) -> None:
    sink = JournalTwin()
    with listening(home(broker), sink) as listener:
        sink.full = True
        publish(broker, *[("zigbee2mqtt/kitchen", {"n": n}) for n in range(500)])
        until(lambda: listener.status()["holding"], "it holds")

        sink.full = False
        until(lambda: len(sink.frames) == 500, "all 500")
        until(lambda: not listener.status()["holding"], "it reads again")

    assert [int(state or -1) for state in sink.states()] == list(range(500))


def test_binary_empty_and_huge_payloads_pass_or_are_cut_to_their_hash(broker: Mosquitto) -> None:
    sink = JournalTwin()
    bodies = [b"\xff\xfe\x00", b"", b"x" * 10_000_000, b'{"v":NaN}']

    with listening(home(broker, max_payload_bytes=1_000_000), sink) as listener:
        publish(broker, *[("zigbee2mqtt/odd", body) for body in bodies])
        until(lambda: len(sink.frames) == 4, "four frames")

    assert [len(frame.payload) < 200 for frame in sink.frames] == [True] * 4
    assert listener.status()["oversize"] == 1


def test_wrong_credentials_stop_the_listener_with_a_clear_error(start_server: StartServer, tmp_path: Path) -> None:
    secured = start_server(Mosquitto, extra=[f"password_file {_passwords(tmp_path)}"], anonymous=False)
    for protocol in ("5", "3.1.1"):
        settings = home(secured, protocol=protocol, username="user", password="wrong")
        listener = MqttListener(settings, sink=JournalTwin(), known_deliveries=set(), websocket_up=lambda: False)

        with pytest.raises(errors.AuthenticationRefused):
            listener.run(threading.Event())

        assert "refuse" in listener.status()["last_error"]


def test_tls_with_password_and_client_certificate(start_server: StartServer, tmp_path: Path) -> None:
    _certificates(tmp_path)
    extra = [
        f"password_file {_passwords(tmp_path)}",
        f"cafile {tmp_path}/ca.crt",
        f"certfile {tmp_path}/server.crt",
        f"keyfile {tmp_path}/server.key",
        "require_certificate true",
    ]
    secured = start_server(Mosquitto, extra=extra, anonymous=False)
    files: dict[str, Any] = {
        "ca_file": tmp_path / "ca.crt",
        "cert_file": tmp_path / "client.crt",
        "key_file": tmp_path / "client.key",
    }
    sink = JournalTwin()

    with listening(home(secured, url=f"mqtts://user:right@127.0.0.1:{secured.port}", **files), sink):
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.tls_set(str(files["ca_file"]), str(files["cert_file"]), str(files["key_file"]))
        client.username_pw_set("user", "right")
        client.connect("127.0.0.1", secured.port)
        client.loop_start()
        for number in range(300):
            client.publish("zigbee2mqtt/kitchen", json.dumps({"n": number}), qos=1)
        until(lambda: len(sink.frames) == 300, "300 frames by TLS")
        client.disconnect()
        client.loop_stop()

    assert [int(state or -1) for state in sink.states()] == list(range(300))


def test_a_line_that_breaks_before_the_subscriptions_are_confirmed_leaves_no_listener_that_hears_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        heard: list[int] = []
        peer = threading.Thread(target=_forget_the_first_subscription, args=(server, heard))
        peer.start()
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}"
        settings = HomeSettings(mqtt=MqttSettings.model_validate({"url": url, "protocol": "3.1.1"}))

        with listening(settings, JournalTwin()) as listener:
            until(lambda: len(heard) == 4, "two connections", timeout_s=60)
            until(lambda: listener.status()["connected"], "connected once more")
        peer.join(60)

    assert heard == [CONNECT, SUBSCRIBE, CONNECT, SUBSCRIBE], "by the second connection of the session once more"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_listener_that_holds_for_longer_than_its_keep_alive_stays_connected(broker: Mosquitto, protocol: str) -> None:
    settings = home(broker, protocol=protocol)
    quick = settings.model_copy(update={"mqtt": settings.mqtt.model_copy(update={"keepalive_s": 1})})
    sink = JournalTwin()
    with listening(quick, sink) as listener:
        sink.full = True
        publish(broker, *[("zigbee2mqtt/kitchen", {"n": n}) for n in range(100)])
        until(lambda: listener.status()["holding"], "it holds")
        threading.Event().wait(3.5)  # the time itself is what is tried: three keep-alives

        sink.full = False
        until(lambda: len(sink.frames) == 100, "all 100")
        connections = listener.status()["connections"]

    assert connections == 1
    assert [int(state or -1) for state in sink.states()] == list(range(100))


def test_mqtt_over_websocket(start_server: StartServer) -> None:
    port = free_port()
    spoken = start_server(Mosquitto, extra=[f"listener {port} 127.0.0.1", "protocol websockets"])
    sink = JournalTwin()

    with listening(home(spoken, url=f"ws://127.0.0.1:{port}/mqtt"), sink):
        publish(spoken, *[("zigbee2mqtt/kitchen", {"n": n}) for n in range(300)])
        until(lambda: len(sink.frames) == 300, "300 frames by WebSocket")

    assert [int(state or -1) for state in sink.states()] == list(range(300))


def test_birth_and_last_will_say_whether_the_listener_is_there(broker: Mosquitto) -> None:
    heard: list[str] = []
    with publisher(broker, "watcher") as watcher:
        watcher.on_message = lambda _client, _data, message: heard.append(message.payload.decode())
        watcher.subscribe("ha-ingestor/home/mqtt/status", qos=1)

        with listening(home(broker), JournalTwin()):
            until(lambda: heard == ["online"], "the birth message")
        until(lambda: heard == ["online", "offline"], "the farewell")


def test_a_listener_that_is_removed_leaves_no_session_behind(broker: Mosquitto) -> None:
    for protocol in ("5", "3.1.1"):
        settings = home(broker, f"home{protocol[0]}", protocol=protocol)
        with listening(settings, JournalTwin()) as listener:
            until(lambda: listener.status()["subscribed"], "subscribed")

        end_session(settings, "mqtt")
        publish(broker, ("zigbee2mqtt/kitchen", {"n": 1}))
        sink = JournalTwin()
        with listening(settings, sink):
            publish(broker, ("zigbee2mqtt/kitchen", {"n": 2}))
            until(partial(len, sink.frames), "the new one")

        assert sink.states() == ["2"]


def test_two_listeners_of_a_group_share_what_stands_alone(broker: Mosquitto) -> None:
    one, other = JournalTwin(), JournalTwin()
    first = home(broker, client_id="first", share_group="g")
    second = home(broker, client_id="second", share_group="g")

    with listening(first, one), listening(second, other):
        publish(broker, *[("zigbee2mqtt/kitchen", {"n": n}) for n in range(40)])
        until(lambda: len(one.frames) + len(other.frames) >= 40, "all 40")

    assert sorted(int(state or -1) for state in one.states() + other.states()) == list(range(40))
    assert one.frames
    assert other.frames


def test_the_rate_of_one_listener(start_server: StartServer, record_property: Callable[[str, object], None]) -> None:
    quick = start_server(Mosquitto, base=("max_queued_messages 0", "max_inflight_messages 0"))
    sink = JournalTwin()
    entities = [f"sensor.s{n}" for n in range(100)]
    publish(quick, *[message for entity in entities for message in event(entity, "0")], retain=True)

    with listening(home(quick), sink) as listener:
        until(lambda: listener.status()["retained"] >= 400, "the replay")
        started, cpu = time.monotonic(), time.thread_time()
        sent = [message for n in range(1, 11) for entity in entities for message in event(entity, str(n))]
        publish(quick, *sent)
        until(lambda: len(sink.frames) == 1000, "1,000 events of 4 messages")
        took_s = time.monotonic() - started

    record_property("messages_per_s", round(len(sent) / took_s))
    record_property("publisher_cpu_s", round(time.thread_time() - cpu, 3))
    assert len(sink.states()) == 1000


def _forget_the_first_subscription(server: socket.socket, heard: list[int]) -> None:
    """Play a broker that keeps the session, but lost the line before it had read the subscriptions."""
    for session_present in (0, 1):
        connection, _ = server.accept()
        with connection:
            connection.settimeout(60)
            heard.append(_next_packet(connection))
            connection.sendall(bytes((0x20, 2, session_present, 0)))
            heard.append(_next_packet(connection))
            while session_present and connection.recv(4096):
                pass  # the second line holds until the listener goes: "connected" is there for all to see


def _next_packet(connection: socket.socket) -> int:
    """Read a packet and return its type; 0 where none comes."""
    try:
        first = connection.recv(1)
        length, shift, digit = 0, 0, 128
        while digit & 128:
            digit = connection.recv(1)[0]
            length |= (digit & 127) << shift
            shift += 7
        while length:
            length -= len(connection.recv(length))
    except (OSError, IndexError):
        return 0
    return first[0] >> 4


def _passwords(folder: Path) -> Path:
    path = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", path, "user", "right"], check=True, capture_output=True)
    return path


def _certificates(folder: Path) -> None:
    """Make an authority, and certificates of a server at 127.0.0.1 and of a client."""
    _openssl(folder, "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        _openssl(folder, f"req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr")
        signing = "-CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names"
        _openssl(folder, f"x509 -req -in {name}.csr {signing} -out {name}.crt")


def _openssl(folder: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)
