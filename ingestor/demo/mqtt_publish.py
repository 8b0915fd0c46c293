"""Publishes the demo home's state changes to an MQTT broker, as Home Assistant's statestream and eventstream do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from ingestor import errors
from ingestor.demo.home import DemoHome
from ingestor.demo.wire import Event, State, iso

_PORT: Final = 1883
#: So many states are published before something else may happen.
_AT_A_TIME: Final = 20
_CLIENT_ID: Final = "ha-ingestor-demo"


class MqttPublisher:
    """Publishes every change of a home until it is closed. What the broker misses meanwhile is kept by paho."""

    def __init__(
        self,
        home: DemoHome,
        url: str,
        *,
        base_topic: str = "homeassistant",
        event_topic: str | None = None,
    ) -> None:
        self._home = home
        self._base = base_topic
        self._event_topic = event_topic
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=_CLIENT_ID)
        self._client.max_inflight_messages_set(1000)
        self._connect(url)
        self._stop_listening = home.listen(self._publish)

    def _connect(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.username:
            self._client.username_pw_set(parts.username, parts.password)
        try:
            self._client.connect(parts.hostname or "", parts.port or _PORT)
        except OSError as error:
            raise errors.BrokerUnavailable(f"cannot connect to {parts.hostname}:{parts.port or _PORT}") from error
        self._client.loop_start()

    async def publish_all(self) -> None:
        """Publish the state that every entity has now, as happens at a start; live changes go on in between."""
        for number, entity_id in enumerate(list(self._home.bus.states)):
            if state := self._home.bus.states.get(entity_id):
                self._publish_state(state)
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)

    def _publish(self, event: Event) -> None:
        if self._event_topic and event.origin == "LOCAL":
            self._client.publish(self._event_topic, eventstream_payload(event), qos=0)
        if event.new is not None:
            self._publish_state(event.new)

    def _publish_state(self, state: State) -> None:
        for topic, payload in statestream_messages(self._base, state):
            self._client.publish(topic, payload, qos=1, retain=True)

    def close(self) -> None:
        """Stop publishing and say goodbye."""
        self._stop_listening()
        self._client.disconnect()
        self._client.loop_stop()


def statestream_messages(base: str, state: State) -> Iterator[tuple[str, str]]:
    """Yield topic and payload in Home Assistant's order: state, last_updated, last_changed, then the attributes."""
    start = f"{base}/{state.entity_id.replace('.', '/')}"
    yield f"{start}/state", state.state
    yield f"{start}/last_updated", iso(state.updated_us)
    yield f"{start}/last_changed", iso(state.changed_us)
    for name, value in state.attributes.items():
        yield f"{start}/{name}", json.dumps(value)


def eventstream_payload(event: Event) -> str:
    """Return the event as mqtt_eventstream sends it: without time, origin and context of its own."""
    data: Any = orjson.loads(event.data_json())
    return json.dumps({"event_type": event.event_type, "event_data": data})
