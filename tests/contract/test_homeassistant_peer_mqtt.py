"""What Home Assistant publishes to MQTT, tried on the demo home and on real ones; and the demo's load."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from ingestor import errors
from ingestor.demo.home import DemoHome
from ingestor.demo.mqtt_load import publish
from ingestor.demo.mqtt_publish import MqttPublisher
from tests.servers import free_port, wait_until
from tests.servers_brokers import Mosquitto

PROBE = "sensor.contract_mqtt_probe"


class Listener:
    """Everything that a broker sends, in its order."""

    def __init__(self, port: int, topic: str) -> None:
        self.messages: list[mqtt.MQTTMessage] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _client, _data, message: self.messages.append(message)
        granted: list[int] = []
        self._client.on_subscribe = lambda *_: granted.append(1)
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(topic, qos=1)
        self._client.loop_start()
        wait_until(lambda: bool(granted), timeout_s=60, what="subscribed")

    def about(self, entity_id: str) -> list[mqtt.MQTTMessage]:
        return [message for message in self.messages if f"/{entity_id.replace('.', '/')}/" in message.topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


Change = Callable[[str, dict[str, Any]], object]


@pytest.fixture(
    params=[
        pytest.param("demo", id="demo"),
        pytest.param("homeassistant", id="real-2024", marks=pytest.mark.homeassistant),
        pytest.param("homeassistant_2026", id="real-2026", marks=pytest.mark.homeassistant),
    ]
)
def publisher(request: pytest.FixtureRequest) -> Iterator[tuple[int, Change]]:
    """A broker's port, and how to change the probe's state."""
    if request.param != "demo":
        server = request.getfixturevalue(request.param)
        yield server.mqtt_port, lambda state, attributes: server.set_state(PROBE, state, **attributes)
        return
    broker: Mosquitto = request.getfixturevalue("mosquitto")
    home = DemoHome(entities=20)
    home.begin()
    published = MqttPublisher(home, broker.url, event_topic="events")
    yield broker.port, lambda state, attributes: home.bus.set_state(PROBE, state, attributes)
    published.close()


def names_of(listener: Listener) -> list[str]:
    """Return the last parts of the topics about the probe that are no retained replay."""
    return [message.topic.rpartition("/")[2] for message in listener.about(PROBE) if not message.retain]


def test_a_change_is_published_as_state_times_and_attributes_in_this_order(publisher: tuple[int, Change]) -> None:
    port, change = publisher
    attributes = {"unit_of_measurement": "°C", "step": 3, "list": [1, "b"], "nothing": None}
    listener = Listener(port, "homeassistant/#")
    change(f"first {time.time()}", {})
    wait_until(lambda: "last_changed" in names_of(listener), timeout_s=60, what="the state before")
    listener.messages.clear()

    change(f"{time.time()}", attributes)
    wait_until(lambda: "nothing" in names_of(listener), timeout_s=60, what="the last attribute")
    listener.close()

    live = listener.about(PROBE)
    names = names_of(listener)
    payloads = dict(zip(names, (message.payload.decode() for message in live), strict=True))
    expected = ["state", "last_updated", "last_changed", *(name for name in names[3:] if name != "friendly_name")]
    assert names[: len(expected)] == expected
    assert expected[3:] == list(attributes)
    assert {message.qos for message in live} == {1}
    assert payloads["last_updated"] == payloads["last_changed"]
    assert payloads["unit_of_measurement"] == '"\\u00b0C"'
    assert (payloads["step"], payloads["list"], payloads["nothing"]) == ("3", '[1, "b"]', "null")


def test_what_was_published_is_retained_for_who_comes_later(publisher: tuple[int, Change]) -> None:
    port, change = publisher
    state = f"{time.time()}"
    change(state, {"step": 1})

    def kept() -> str:
        listener = Listener(port, "homeassistant/sensor/contract_mqtt_probe/state")
        wait_until(lambda: bool(listener.messages), timeout_s=60, what="a retained state")
        listener.close()
        assert listener.messages[0].retain
        return listener.messages[0].payload.decode()

    wait_until(lambda: kept() == state, timeout_s=60, what="the new state is retained")


def test_eventstream_has_type_and_data_and_no_time_or_context_of_its_own(publisher: tuple[int, Change]) -> None:
    port, change = publisher
    listener = Listener(port, "events")

    state = f"{time.time()}"
    change(state, {"step": 5})
    wait_until(lambda: any(state in str(one.payload) for one in listener.messages), timeout_s=60, what="the event")
    listener.close()

    message = next(one for one in listener.messages if state in str(one.payload))
    event = json.loads(message.payload)
    assert list(event) == ["event_type", "event_data"]
    assert list(event["event_data"]) == ["entity_id", "old_state", "new_state"]
    assert {"last_updated", "context"} <= event["event_data"]["new_state"].keys()
    assert (message.qos, message.retain) == (0, False)


def test_load_by_statestream_arrives_in_full_and_in_order_for_each_entity(mosquitto: Mosquitto) -> None:
    home = DemoHome(entities=20, sensors_only=True)
    listener = Listener(mosquitto.port, "load/#")

    result = publish(mosquitto.url, home, form="statestream", rate=0, count=200, base_topic="load", window=50)
    wait_until(lambda: len(listener.messages) == result.messages, timeout_s=60, what="all messages")
    listener.close()

    states = [int(message.payload) for message in listener.messages if message.topic.endswith("/state")]
    assert (result.sent, result.messages) == (200, 200 * 8)
    assert sorted(states) == list(range(200))
    for entity_id in home.bus.states:
        names = [message.topic.rpartition("/")[2] for message in listener.about(entity_id)]
        assert names[:3] == ["state", "last_updated", "last_changed"]
        assert names == names[:8] * 10


def test_events_that_happen_together_mix_their_messages(mosquitto: Mosquitto) -> None:
    listener = Listener(mosquitto.port, "mixed/#")

    home = DemoHome(entities=20, sensors_only=True)
    result = publish(mosquitto.url, home, form="statestream", rate=0, count=4, base_topic="mixed", together=2)
    wait_until(lambda: len(listener.messages) == result.messages, timeout_s=60, what="all messages")
    listener.close()

    names = [message.topic.rpartition("/")[2] for message in listener.messages]
    assert names[:4] == ["state", "state", "last_updated", "last_updated"]


def test_load_by_eventstream_arrives_in_full_with_times_that_grow(mosquitto: Mosquitto) -> None:
    listener = Listener(mosquitto.port, "load-events")

    home = DemoHome(entities=20, sensors_only=True)
    result = publish(mosquitto.url, home, rate=2000, count=300, event_topic="load-events", window=100)
    wait_until(lambda: len(listener.messages) == result.messages, timeout_s=60, what="all messages")
    listener.close()

    new = [json.loads(message.payload)["event_data"]["new_state"] for message in listener.messages]
    times = [state["last_updated"] for state in new]
    assert [int(state["state"]) for state in new] == list(range(300))
    assert times == sorted(set(times))


def test_load_without_a_broker_says_where_there_is_none() -> None:
    port = free_port()

    with pytest.raises(errors.BrokerUnavailable, match=str(port)):
        publish(f"mqtt://127.0.0.1:{port}", DemoHome(entities=10, sensors_only=True), count=1)
