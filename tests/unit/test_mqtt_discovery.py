"""What discovery configs announce: in full and in short names, one entity or a whole device; and what withdraws it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingestor.intake.mqtt.discovery import Discovery


def learned(config: dict[str, Any], topic: str = "homeassistant/sensor/node/temp/config") -> Discovery:
    discovery = Discovery("homeassistant")
    assert discovery.is_config_topic(topic)
    assert discovery.learn(topic, json.dumps(config).encode())
    return discovery


def test_short_names_and_the_base_topic_are_understood() -> None:
    config = {
        "~": "home/boiler",
        "stat_t": "~/temp",
        "uniq_id": "b1",
        "val_tpl": "{{ value_json.t }}",
        "unit_of_meas": "°C",
        "dev_cla": "temperature",
    }

    [entity] = learned(config).entities_at("home/boiler/temp")

    assert (entity.component, entity.object_id, entity.unique_id) == ("sensor", "temp", "b1")
    assert (entity.value_template, entity.unit, entity.device_class) == ("{{ value_json.t }}", "°C", "temperature")


def test_a_device_announces_all_its_components_at_once() -> None:
    config = {
        "dev": {"ids": "x"},
        "state_topic": "dev/state",
        "cmps": {
            "t": {"p": "sensor", "unique_id": "x_t", "value_template": "{{ value_json.t }}"},
            "d": {"p": "binary_sensor", "unique_id": "x_d", "state_topic": "dev/door", "payload_on": "1"},
            "b": {"p": "button", "command_topic": "dev/cmd"},
        },
    }

    discovery = learned(config, "homeassistant/device/x/config")

    assert [entity.unique_id for entity in discovery.entities_at("dev/state")] == ["x_t"]
    [door] = discovery.entities_at("dev/door")
    assert (door.component, door.payloads) == ("binary_sensor", {"1": "on", "OFF": "off"})


def test_a_boolean_payload_is_met_by_what_a_template_makes_of_it() -> None:
    config = {"state_topic": "t", "payload_on": True, "payload_off": False}

    [entity] = learned(config, "homeassistant/binary_sensor/c/config").entities_at("t")

    assert entity.payloads == {"True": "on", "False": "off"}


def test_a_light_with_the_json_schema_is_read_by_its_state() -> None:
    config = {"state_topic": "t", "schema": "json", "command_topic": "t/set"}

    [entity] = learned(config, "homeassistant/light/l/light/config").entities_at("t")

    assert entity.value_template == "{{ value_json.state }}"


def test_an_empty_config_withdraws_the_entity() -> None:
    discovery = learned({"state_topic": "t"})

    assert discovery.learn("homeassistant/sensor/node/temp/config", b"")

    assert discovery.entities_at("t") == []
    assert len(discovery) == 0


@pytest.mark.parametrize("payload", [b'"an attribute named config"', b"5", b"{}", b'{"a":1}', b"\xff", b"", b"[]"])
def test_an_attribute_named_config_is_no_config(payload: bytes) -> None:
    assert not Discovery("homeassistant").learn("homeassistant/sensor/probe/config", payload)


def test_a_config_of_the_wrong_shape_is_counted_and_costs_no_other() -> None:
    discovery = learned({"state_topic": 5})

    discovery.learn("homeassistant/sensor/b/config", b'{"state_topic":"t"}')

    assert discovery.refused == 1
    assert len(discovery.entities_at("t")) == 1


def test_an_entity_that_home_assistant_knows_goes_by_its_name() -> None:
    known = {("sensor", "b1"): "sensor.boiler"}
    discovery = Discovery("homeassistant", lambda component, unique_id: known.get((component, unique_id)))

    discovery.learn("homeassistant/sensor/b/config", b'{"state_topic":"t","unique_id":"b1"}')

    assert [entity.entity_id for entity in discovery.entities_at("t")] == ["sensor.boiler"]


@pytest.mark.parametrize("topic", ["homeassistant/config", "other/sensor/a/config", "homeassistant/sensor/a/state"])
def test_other_topics_are_no_config_topics(topic: str) -> None:
    assert not Discovery("homeassistant").is_config_topic(topic)


def test_a_state_topic_with_a_wildcard_is_read_on_each_topic_that_it_matches() -> None:
    discovery = learned({"stat_t": "home/OMG/433toMQTT/#", "uniq_id": "gateway"})

    found = [len(discovery.entities_at(f"home/OMG/{topic}")) for topic in ("433toMQTT", "433toMQTT/1234", "LWT")]

    assert found == [1, 1, 0]
    assert discovery.topics() == ["home/OMG/433toMQTT/#"]
    assert discovery.entities_at("home/OMG/433toMQTT/1234", also_wide=False) == []


@pytest.mark.parametrize("topic", ["#", "+/state", "$SYS/#", ""])
def test_an_entity_that_announces_all_that_is_on_the_broker_is_refused(topic: str) -> None:
    discovery = learned({"state_topic": topic})

    assert discovery.topics() == []
    assert discovery.refused == 1


@pytest.mark.parametrize(
    ("component", "config", "template"),
    [
        ("fan", {"stat_val_tpl": "{{ value_json.fan_state }}"}, "{{ value_json.fan_state }}"),
        ("siren", {"state_value_template": "{{ value_json.s }}"}, "{{ value_json.s }}"),
        ("humidifier", {"stat_val_tpl": "{{ value_json.h }}", "val_tpl": "{{ value }}"}, "{{ value_json.h }}"),
        ("light", {"stat_val_tpl": "{{ value_json.l }}"}, "{{ value_json.l }}"),
        ("light", {"schema": "template", "stat_tpl": "{{ value.split(',')[0] }}"}, "{{ value.split(',')[0] }}"),
        ("vacuum", {}, "{{ value_json.state }}"),
        ("switch", {"val_tpl": "{{ value_json.p }}"}, "{{ value_json.p }}"),
    ],
)
def test_each_component_is_read_by_the_template_that_home_assistant_reads_it_by(
    component: str, config: dict[str, Any], template: str
) -> None:
    discovery = learned({"state_topic": "t", **config}, f"homeassistant/{component}/x/config")

    assert [entity.value_template for entity in discovery.entities_at("t")] == [template]


def test_the_payload_of_a_button_press_is_not_written_as_the_state_of_home_assistants_event_entity() -> None:
    discovery = Discovery("homeassistant", lambda component, unique_id: f"{component}.{unique_id}")

    discovery.learn("homeassistant/event/b/config", b'{"state_topic":"t","unique_id":"b"}')

    assert [entity.entity_id for entity in discovery.entities_at("t")] == [None]
