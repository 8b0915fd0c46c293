"""The configuration of the Home Assistant of the tests: what is in that home. Writes files, starts nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.servers import HOST

if TYPE_CHECKING:
    from pathlib import Path

#: Where the tests put what: an entity by itself, or through its device.
AREA_OF_ENTITY = {"light.ceiling_lights": "Living Room", "input_boolean.chain_one": "Kitchen"}
AREA_OF_DEVICE_OF = {"sensor.outside_temperature": "Garden", "light.kitchen_lights": "Kitchen"}
#: The floor of each area, where Home Assistant can have it (2024.3 cannot).
FLOOR_OF_AREA = {"Living Room": "Ground floor", "Kitchen": "Ground floor", "Garden": "Outside"}

#: Integrations that are set up as they are.
WITHOUT_SETTINGS = (
    *("api", "websocket_api", "config", "demo", "history", "logbook", "search"),
    *("trace", "sun", "zone", "person", "scene", "counter", "timer"),
)
#: An event that sets off the automation that always fails.
WANTED = {"platform": "event", "event_type": "fail_please"}
#: A script's question to a service, whose answer its run shows.
ASKING = {
    "service": "weather.get_forecasts",
    "target": {"entity_id": "weather.demo_weather_south"},
    "data": {"type": "daily"},
    "response_variable": "forecast",
}
BLUEPRINT = "test/follow.yaml"
BLUEPRINT_TEXT = """
blueprint:
  name: Follow
  domain: automation
  input:
    leader:
      name: Leader
    follower:
      name: Follower
trigger:
  platform: state
  entity_id: !input leader
  to: "on"
action:
  service: light.turn_on
  target:
    entity_id: !input follower
"""
INPUTS = {"leader": "input_boolean.leader", "follower": "light.office_rgbw_lights"}


@dataclass(frozen=True, slots=True)
class InfluxTarget:
    """The InfluxDB 1.x that Home Assistant's own integration writes to."""

    port: int
    database: str


def automation(name: str, trigger: str, actions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an automation that acts on every change of an entity."""
    return {
        "id": name,
        "alias": name.replace("_", " ").title(),
        "trigger": {"platform": "state", "entity_id": trigger},
        "action": actions,
    }


def chain() -> list[dict[str, Any]]:
    """Return three automations of which each sets off the next: pressing the button runs A, B and C."""
    first, second = "input_boolean.chain_one", "input_boolean.chain_two"
    light = {"entity_id": "light.ceiling_lights"}
    return [
        automation("chain_a", "input_button.press", [{"service": "input_boolean.toggle", "entity_id": first}]),
        automation("chain_b", first, [{"service": "input_boolean.toggle", "entity_id": second}]),
        automation("chain_c", second, [{"service": "light.toggle", "target": light}, {"service": "script.greet"}]),
    ]


def others() -> list[dict[str, Any]]:
    """Return automations beside the chain: from a blueprint, with a template to be rendered, and one that fails."""
    level = {"platform": "state", "entity_id": "input_number.level"}
    dim = {"service": "light.turn_off", "target": {"entity_id": "light.kitchen_lights"}}
    # Nobody can say what that names without rendering it.
    rendered = "{{ expand(area_entities('Kitchen')) | map(attribute='state') | list | count > 99 }}"
    area = {"service": "light.turn_off", "target": {"area_id": "living_room"}}
    return [
        {
            "id": "always_fails",
            "alias": "Always fails",
            "trigger": WANTED,
            "action": [{"service": "nonexistent.do_it"}],
        },
        {"id": "from_blueprint", "alias": "From blueprint", "use_blueprint": {"path": BLUEPRINT, "input": INPUTS}},
        {"id": "renders", "alias": "Renders", "trigger": level, "condition": rendered, "action": [dim, area]},
    ]


def configuration(port: int, influx: InfluxTarget | None) -> dict[str, Any]:
    """Return what configuration.yaml says; `default_config` is left out, since it talks to the internet."""
    settings: dict[str, Any] = {
        "homeassistant": {
            "name": "Test home",
            "latitude": 52.5,
            "longitude": 13.4,
            "elevation": 40,
            "unit_system": "metric",
            "time_zone": "Europe/Berlin",
            "country": "DE",
            "currency": "EUR",
        },
        "http": {"server_host": HOST, "server_port": port},
        "recorder": {"commit_interval": 1},
        "system_log": {"fire_event": True},
        "logger": {"default": "warning"},
        "mqtt_statestream": {"base_topic": "homeassistant", "publish_attributes": True, "publish_timestamps": True},
        "mqtt_eventstream": {"publish_topic": "events"},
        "automation": [*chain(), *others()],
        "script": {
            "greet": {"sequence": [{"event": "test_greeting", "event_data": {"from": "script"}}]},
            "ask": {"sequence": [ASKING, {"event": "test_asked"}]},
        },
        "input_boolean": {
            "chain_one": {"name": "Chain one"},
            "chain_two": {"name": "Chain two"},
            "leader": {"name": "Leader"},
        },
        "input_button": {"press": {"name": "Press"}},
        "input_number": {"level": {"name": "Level", "min": 0, "max": 1_000_000, "step": 0.1, "initial": 20}},
        "input_text": {"note": {"name": "Note", "max": 255}},
        "template": [{"sensor": [{"name": "Twice level", "state": "{{ states('input_number.level') | float * 2 }}"}]}],
        **{name: {} for name in WITHOUT_SETTINGS},
    }
    if influx is not None:
        settings["influxdb"] = {"host": HOST, "port": influx.port, "database": influx.database, "ssl": False}
    return settings


def mqtt_entry(port: int) -> dict[str, Any]:
    """Return the stored configuration entry of MQTT, in its oldest form: later versions bring it up to date."""
    entry = {
        "entry_id": "0123456789abcdef0123456789abcdef",
        "version": 1,
        "domain": "mqtt",
        "title": "Test broker",
        "data": {"broker": HOST, "port": port, "discovery": True, "discovery_prefix": "homeassistant"},
        "options": {},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "unique_id": None,
        "disabled_by": None,
    }
    return {"version": 1, "minor_version": 1, "key": "core.config_entries", "data": {"entries": [entry]}}


def write(folder: Path, *, port: int, mqtt_port: int, influx: InfluxTarget | None) -> None:
    """Write a configuration folder for the first start; what is there already stays."""
    storage = folder / ".storage"
    if storage.exists():
        return
    storage.mkdir(parents=True)
    blueprint = folder / "blueprints" / "automation" / BLUEPRINT
    blueprint.parent.mkdir(parents=True)
    blueprint.write_text(BLUEPRINT_TEXT)
    # JSON is YAML too.
    (folder / "configuration.yaml").write_text(json.dumps(configuration(port, influx), indent=2))
    (storage / "core.config_entries").write_text(json.dumps(mqtt_entry(mqtt_port)))
