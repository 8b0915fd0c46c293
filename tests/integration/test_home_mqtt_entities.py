"""A discovered entity gets the name that Home Assistant gave it, wherever a listener runs."""

from __future__ import annotations

from typing import Any

import pytest

from ingestor import errors
from ingestor.home.mqtt_entities import MqttEntities, publish_mqtt_entities
from ingestor.queue.state import connect_state
from tests.servers_brokers import ValkeyServer

ENTITIES: list[dict[str, Any]] = [
    {"entity_id": "sensor.kitchen_temp", "platform": "mqtt", "unique_id": "0x01_temperature"},
    {"entity_id": "light.kitchen", "platform": "hue", "unique_id": "0x02"},
    {"entity_id": "switch.no_id", "platform": "mqtt", "unique_id": None},
]


def test_a_listener_finds_ha_names_by_component_and_unique_id(valkey_server: ValkeyServer) -> None:
    state = connect_state(valkey_server.url)
    now = [0.0]
    names = MqttEntities(state, "names", clock=lambda: now[0])
    names.refresh()
    assert names.find("sensor", "0x01_temperature") is None

    publish_mqtt_entities(state, "names", ENTITIES)
    now[0] += 11
    names.refresh()

    assert names.find("sensor", "0x01_temperature") == "sensor.kitchen_temp"
    assert names.find("binary_sensor", "0x01_temperature") is None
    assert names.find("light", "0x02") is None


def test_a_removed_entity_is_forgotten_and_an_away_state_server_is_said(valkey_server: ValkeyServer) -> None:
    state = connect_state(valkey_server.url)
    publish_mqtt_entities(state, "gone", ENTITIES)
    publish_mqtt_entities(state, "gone", [])
    names = MqttEntities(state, "gone")

    names.refresh()

    assert names.find("sensor", "0x01_temperature") is None
    with pytest.raises(errors.StateUnavailable):
        MqttEntities(connect_state("redis://127.0.0.1:1/0"), "gone").refresh()
