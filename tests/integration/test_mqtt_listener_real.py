"""What two real Home Assistants say by statestream and eventstream is the twin of what they say by WebSocket."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from ingestor.events.event import Event
from ingestor.events.frame import Frame, RawBatch
from ingestor.intake.mqtt.listener import MqttListener
from ingestor.intake.websocket import WebSocketListener
from ingestor.pipeline.validate import validate
from ingestor.settings import HomeAssistantSettings, HomeSettings, MqttSettings
from tests.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.homeassistant.run import HomeAssistant

pytestmark = pytest.mark.homeassistant


class Kept:
    """A sink that journals at once."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def add(self, frame: Frame, on_journaled: Callable[[], None] | None = None) -> None:
        self.frames.append(frame)
        if on_journaled is not None:
            on_journaled()

    def events(self, source: str, prefix: str) -> list[Event]:
        raw = RawBatch("b", "home", "mqtt", "j", 0, list(self.frames))
        found = validate(raw, frozenset({"attributes"})).batch.events
        return [event for event in found if event.source == source and event.subject.startswith(prefix)]


@pytest.fixture(params=["homeassistant", "homeassistant_2026"])
def home(request: pytest.FixtureRequest) -> HomeAssistant:
    """Each of the two in turn."""
    found: HomeAssistant = request.getfixturevalue(request.param)
    return found


def test_the_same_changes_by_all_three_roads_are_the_same_events(home: HomeAssistant) -> None:
    prefix = "sensor.mqtt_twin_"
    by_websocket, by_mqtt = Kept(), Kept()
    settings = HomeSettings(
        homeassistant=HomeAssistantSettings.model_validate({"url": home.url, "token": home.token}),
        mqtt=MqttSettings(url=home.mqtt_url, eventstream_topic="events", client_id="twins"),
    )
    websocket = WebSocketListener(settings, sink=by_websocket)
    mqtt = MqttListener(settings, sink=by_mqtt, known_deliveries=set(), websocket_up=lambda: True)
    with ExitStack() as stack:
        for listener in (websocket, mqtt):
            stop = threading.Event()
            thread = threading.Thread(target=listener.run, args=(stop,))
            thread.start()
            stack.callback(thread.join, 20)
            stack.callback(stop.set)
        wait_until(lambda: websocket.status()["up"], timeout_s=60, what="the WebSocket is up")
        wait_until(lambda: mqtt.status()["subscribed"], timeout_s=60, what="MQTT is up")

        for number in range(40):
            attributes = {"unit_of_measurement": "W", "device_class": "power", "number": number}
            home.set_state(f"{prefix}{number % 5}", number / 2, **attributes)

        for kept, source in ((by_websocket, "websocket"), (by_mqtt, "statestream"), (by_mqtt, "eventstream")):
            wait_until(
                lambda kept=kept, source=source: len(kept.events(source, prefix)) >= 40,  # type: ignore[misc]  # bound for this turn
                timeout_s=60,
                what=f"40 events by {source}",
            )

    roads = [(by_websocket, "websocket"), (by_mqtt, "statestream"), (by_mqtt, "eventstream")]
    websocket_set, statestream_set, eventstream_set = ({key(one) for one in k.events(s, prefix)} for k, s in roads)
    assert len(websocket_set) == 40
    assert statestream_set == websocket_set
    assert eventstream_set == websocket_set
    joined = {event.state: event.attributes for event in by_mqtt.events("statestream", prefix)}
    heard = {event.state: event.attributes for event in by_websocket.events("websocket", prefix)}
    assert joined == heard


def key(event: Event) -> tuple[object, ...]:
    """Return what makes an event the same event, and what each road knows of it."""
    return (event.subject, event.time_us, event.identity, event.state, event.value, event.unit, event.device_class)
