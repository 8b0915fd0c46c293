"""From what a home answered to its facts: on the recorded home of 2026, and on small ones made for one question."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ingestor import errors
from ingestor.home.derive import Registries, derive
from ingestor.home.facts import AreaFacts, DeviceFacts, HomeFacts, IntegrationFacts, PersonFacts, ZoneFacts
from ingestor.home.facts_derive import derive_facts
from ingestor.home.facts_redis import pack_facts, unpack_facts, version_of
from ingestor.home.reading import Reading, read_home

RECORDINGS = Path(__file__).parent.parent / "recordings"
CONFIG = {
    "latitude": 52.1,
    "longitude": 5,
    "elevation": 12,
    "time_zone": "Europe/Amsterdam",
    "country": "NL",
    "version": "2026.2.3",
    "state": "RUNNING",
    "unit_system": {"temperature": "°C"},
}


def facts_of(registries: Registries, **reading: Any) -> HomeFacts:
    return derive_facts("h", registries, derive(registries), Reading(**reading))


def sensor(name: str, device_class: str, **fields: Any) -> dict[str, Any]:
    entity_id = f"sensor.{name}"
    return {"id": name, "entity_id": entity_id, "platform": "zha", "original_device_class": device_class, **fields}


def state(entity_id: str, **attributes: Any) -> dict[str, Any]:
    return {"entity_id": entity_id, "state": "x", "attributes": attributes}


def test_the_recorded_home_has_its_devices_and_automations() -> None:
    with gzip.open(RECORDINGS / "home_registries_2026.json.gz") as file:
        rows = json.load(file)
    registries = Registries(**{name: found for name, found in rows.items() if name != "related"})

    facts = facts_of(registries, config=CONFIG)

    assert len(facts.devices) == 56
    assert facts.devices[facts.entity_devices["light.bed_light"]].name == "Bed Light"
    assert facts.automations["automation.chain_a"].unique_id == "1700000000001"
    assert facts.automations["script.chain_finish"].unique_id == ""
    assert [one.entity_id for one in facts.persons] == ["person.test_owner"]
    assert facts.weather_entity_ids == ["weather.demo_weather_north", "weather.demo_weather_south"]


def test_a_person_has_a_name_and_the_id_of_their_login() -> None:
    states = [state("person.b"), state("person.a", friendly_name="Anna", user_id="u1")]

    facts = facts_of(Registries(states=states), users=[{"id": "u1", "name": "anna", "credentials": ["x"]}])

    assert facts.persons == [PersonFacts("person.a", "Anna", "u1"), PersonFacts("person.b", "person.b")]
    assert facts.users == {"u1": "anna"}


def test_the_location_and_units_are_those_of_the_configuration() -> None:
    facts = facts_of(Registries(), config=CONFIG)

    assert (facts.latitude, facts.longitude, facts.elevation_m) == (52.1, 5.0, 12.0)
    assert (facts.time_zone, facts.country, facts.temperature_unit) == ("Europe/Amsterdam", "NL", "°C")


def test_an_area_has_the_sensors_that_its_settings_name_else_those_of_a_device_that_measures_both() -> None:
    entities = [
        sensor("a_fridge", "temperature", area_id="kitchen", device_id="d0"),
        sensor("wall_humidity", "humidity", area_id="kitchen", device_id="d1"),
        sensor("wall_temperature", "temperature", area_id="kitchen", device_id="d1"),
        sensor("a_chip", "temperature", area_id="hall", device_id="d2", entity_category="diagnostic"),
        sensor("hall", "temperature", area_id="hall", device_id="d3"),
    ]
    areas = [
        {"area_id": "kitchen", "name": "Kitchen", "floor_id": "g", "humidity_entity_id": "sensor.chosen"},
        {"area_id": "hall", "name": "Hall"},
    ]

    facts = facts_of(Registries(entities=entities, areas=areas, floors=[{"floor_id": "g", "name": "Ground"}]))

    assert facts.areas == {
        "hall": AreaFacts("hall", "Hall", "", "sensor.hall", ""),
        "kitchen": AreaFacts("kitchen", "Kitchen", "Ground", "sensor.wall_temperature", "sensor.chosen"),
    }


@pytest.mark.parametrize(
    "about", [{"unique_id": "x-lqi"}, {"translation_key": "lqi"}, {"unique_id": "0x1_linkquality_zigbee2mqtt"}]
)
def test_a_device_has_its_network_and_battery_entities_and_the_area_of_its_parent(
    about: dict[str, Any],
) -> None:
    name = "plug_linkquality" if "zigbee2mqtt" in about.get("unique_id", "") else "plug_x"
    entities = [
        sensor(name, "", device_id="d1", **about),
        sensor("plug_rssi", "signal_strength", device_id="d1"),
        sensor("plug_battery", "battery", device_id="d1"),
        sensor("plug_old_battery", "battery", device_id="d1", disabled_by="user"),
    ]
    devices = [
        {"id": "d1", "name": "Plug", "parent_device_id": "d2", "via_device_id": "hub"},
        {"id": "d2", "name": "Strip", "area_id": "hall", "config_entry_id": "e1"},
    ]
    areas = [{"area_id": "hall", "name": "Hall"}]
    entries = [{"entry_id": "e1", "domain": "zha", "state": "loaded"}]

    facts = facts_of(Registries(entities=entities, devices=devices, areas=areas), config_entries=entries)

    assert facts.devices["d1"] == DeviceFacts(
        "d1", "Plug", "Hall", f"sensor.{name}", "sensor.plug_rssi", "sensor.plug_battery", "hub", "zha"
    )
    assert facts.entity_devices == {row["entity_id"]: "d1" for row in entities}


def test_an_integration_has_the_state_of_its_worst_entry_and_a_built_in_one_the_version_of_home_assistant() -> None:
    manifests = [
        {"domain": "zha", "name": "Zigbee", "is_built_in": True, "quality_scale": "gold", "iot_class": "local_polling"},
        {"domain": "mine", "name": "Mine", "is_built_in": False, "version": "1.2"},
    ]
    entries = [
        {"domain": "zha", "state": "loaded"},
        {"domain": "zha", "state": "setup_retry"},
        {"domain": "mine", "state": "not_loaded", "disabled_by": "user"},
    ]

    facts = facts_of(Registries(), config=CONFIG, manifests=manifests, config_entries=entries)

    assert facts.integrations == {
        "mine": IntegrationFacts("mine", "Mine", "1.2", state="disabled"),
        "zha": IntegrationFacts("zha", "Zigbee", "2026.2.3", "gold", "local_polling", "setup_retry"),
    }


def test_a_zone_without_a_place_is_none() -> None:
    states = [state("zone.home", latitude=1, longitude=2.5, radius=100), state("zone.odd", latitude=None, longitude=3)]

    assert facts_of(Registries(states=states)).zones == [ZoneFacts("zone.home", "zone.home", 1.0, 2.5, 100.0)]


class Refusing:
    """A Home Assistant that answers these commands and refuses the others."""

    def __init__(self, reason: str, **answers: Any) -> None:
        self.reason = reason
        self.answers = answers

    def command(self, type: str, **_: Any) -> Any:  # noqa: A002 - as in the client
        if type in self.answers:
            return self.answers[type]
        raise errors.CommandRefused(self.reason, type)

    def commands(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        return [errors.CommandRefused(self.reason, name) for name, _ in asked]

    def first_events(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        return [None for _ in asked]


def test_what_a_token_may_not_see_is_left_out_and_named() -> None:
    reading = read_home(
        Refusing("unauthorized", get_config=CONFIG, **{"manifest/list": [{"domain": "sun"}]}), Registries()
    )

    facts = facts_of(Registries(), **{name: getattr(reading, name) for name in ("config", "manifests", "hidden")})

    assert (reading.users, facts.users, facts.hidden) == (
        None,
        {},
        [
            *("config entries", "users", "categories", "discoveries", "repairs", "services", "energy preferences"),
            *("runs of automations and scripts", "blueprints"),
        ],
    )
    assert facts.time_zone == "Europe/Amsterdam"


def test_what_an_older_home_assistant_does_not_know_is_not_called_hidden() -> None:
    assert not read_home(Refusing("unknown_command"), Registries()).hidden


def test_the_version_of_facts_is_that_of_their_content() -> None:
    one = facts_of(Registries(), config=CONFIG)
    other = facts_of(Registries(), config=CONFIG | {"country": "BE"})

    assert version_of(one) == version_of(facts_of(Registries(), config=CONFIG)) > 0
    assert version_of(one) != version_of(other)


def test_facts_survive_being_published_and_rubbish_is_none() -> None:
    facts = facts_of(Registries(states=[state("zone.home", latitude=1, longitude=2.5)]), config=CONFIG)

    assert unpack_facts(pack_facts(facts)) == facts
    assert unpack_facts(b"rubbish") is None
