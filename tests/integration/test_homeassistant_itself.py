"""The real Home Assistant of the tests is what they rely on: it runs, has areas, and speaks on both roads."""

from __future__ import annotations

import json
import urllib.parse
from typing import TYPE_CHECKING, Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.homeassistant.configuration import AREA_OF_DEVICE_OF, AREA_OF_ENTITY
from tests.homeassistant.talk import RefusedError, request
from tests.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.homeassistant.run import HomeAssistant

pytestmark = pytest.mark.homeassistant


@pytest.fixture(params=["homeassistant", "homeassistant_2026"])
def home(request: pytest.FixtureRequest) -> HomeAssistant:
    """Each of the two in turn."""
    found: HomeAssistant = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def published(home: HomeAssistant) -> Iterator[dict[str, list[bytes]]]:
    """What Home Assistant publishes from now on, by topic."""
    messages: dict[str, list[bytes]] = {}
    ready: list[bool] = []

    def note(_client: Client, _data: object, message: MQTTMessage) -> None:
        if not message.retain:
            messages.setdefault(message.topic, []).append(bytes(message.payload))

    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = note
    client.on_subscribe = lambda *_: ready.append(True)
    client.connect("127.0.0.1", home.mqtt_port)
    client.subscribe([("homeassistant/#", 1), ("events", 1)])
    client.loop_start()
    wait_until(lambda: bool(ready), timeout_s=60, what="subscribed")
    yield messages
    client.disconnect()
    client.loop_stop()


def test_it_runs_the_version_that_was_asked_for(home: HomeAssistant) -> None:
    config = home.command_result("get_config")

    assert (config["version"], config["state"]) == (home.version, "RUNNING")


def test_its_services_can_be_listed(home: HomeAssistant) -> None:
    services = home.command_result("get_services")

    assert {"light", "input_number", "mqtt"} <= set(services)


def test_its_entities_and_devices_have_areas(home: HomeAssistant) -> None:
    with home.connect() as admin:
        names = {area["area_id"]: area["name"] for area in admin.command("config/area_registry/list")}
        devices = {device["id"]: device for device in admin.command("config/device_registry/list")}
        entities = {entity["entity_id"]: entity for entity in admin.command("config/entity_registry/list")}

    by_entity = {entity_id: names[entities[entity_id]["area_id"]] for entity_id in AREA_OF_ENTITY}
    by_device = {
        entity_id: names[devices[entities[entity_id]["device_id"]]["area_id"]] for entity_id in AREA_OF_DEVICE_OF
    }
    assert by_entity == AREA_OF_ENTITY
    assert by_device == AREA_OF_DEVICE_OF


def test_the_user_is_no_admin(home: HomeAssistant) -> None:
    with home.connect(home.user_token) as user, pytest.raises(RefusedError, match="unauthorized"):
        user.command("config/auth/list")


def test_the_button_runs_the_chain_and_says_who_caused_what(home: HomeAssistant) -> None:
    with home.connect() as listener:
        listener.command("subscribe_events", event_type="automation_triggered")

        home.call_service("input_button.press", entity_id="input_button.press")

        events = [listener.next_event("automation_triggered") for _ in range(3)]
    assert [event["data"]["entity_id"] for event in events] == [f"automation.chain_{letter}" for letter in "abc"]
    assert events[1]["context"]["parent_id"] == events[0]["context"]["id"]


def test_a_change_is_heard_on_both_roads(home: HomeAssistant, published: dict[str, list[bytes]]) -> None:
    topic = "homeassistant/sensor/both_roads"
    with home.connect() as listener:
        listener.command("subscribe_events")

        home.set_state("sensor.both_roads", 21.5, unit_of_measurement="°C")

        event = next_change(listener, "sensor.both_roads")
    assert event["data"]["new_state"]["state"] == "21.5"
    wait_until(lambda: f"{topic}/unit_of_measurement" in published, timeout_s=60, what="statestream")
    assert published[f"{topic}/state"] == [b"21.5"]
    assert published[f"{topic}/last_updated"] == [event["data"]["new_state"]["last_updated"].encode()]
    wait_until(lambda: heard_by_eventstream(published, "sensor.both_roads"), timeout_s=60, what="eventstream")


def test_its_own_integration_writes_to_influxdb(home: HomeAssistant) -> None:
    home.set_state("sensor.to_influx", 3.25, unit_of_measurement="kWh")

    wait_until(lambda: points_of(home, "kWh", "to_influx") == [3.25], timeout_s=60, what="the point is stored")


@pytest.mark.timeout(240)
def test_a_restart_keeps_token_and_areas(home: HomeAssistant) -> None:
    first = home.pid

    home.restart()

    assert home.pid != first
    with home.connect(home.user_token) as user:
        assert user.command("get_config")["state"] == "RUNNING"
    entity = home.command_result("config/entity_registry/get", entity_id="light.ceiling_lights")
    assert entity["area_id"] is not None


def next_change(listener: Any, entity_id: str) -> dict[str, Any]:
    while True:
        event: dict[str, Any] = listener.next_event("state_changed")
        if event["data"]["entity_id"] == entity_id:
            return event


def heard_by_eventstream(published: dict[str, list[bytes]], entity_id: str) -> bool:
    events = [json.loads(payload) for payload in published.get("events", [])]
    return any(event["event_data"].get("entity_id") == entity_id for event in events)


def points_of(home: HomeAssistant, measurement: str, object_id: str) -> list[float]:
    statement = f"SELECT value FROM \"{measurement}\" WHERE entity_id = '{object_id}'"
    query = urllib.parse.urlencode({"db": home.influxdb_database, "q": statement})
    series = request(f"{home.influxdb_url}/query?{query}")["results"][0].get("series", [])
    return [float(value) for one in series for _, value in one["values"]]
