"""From registries to places: on the recorded homes of 2024 and 2026, and on the shapes that they lack."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ingestor.events.event import Place
from ingestor.home.derive import Registries, derive

RECORDINGS = Path(__file__).parent.parent / "recordings"


def recording(year: int) -> dict[str, Any]:
    with gzip.open(RECORDINGS / f"home_registries_{year}.json.gz") as file:
        found: dict[str, Any] = json.load(file)
        return found


def recorded(year: int) -> Registries:
    return Registries(**{name: rows for name, rows in recording(year).items() if name != "related"})


def entity(**fields: Any) -> dict[str, Any]:
    return {"id": "r1", "entity_id": "sensor.a", "platform": "mqtt", "area_id": None, "device_id": None, **fields}


def device(**fields: Any) -> dict[str, Any]:
    return {"id": "d1", "name": "Node", "name_by_user": None, "area_id": None, **fields}


AREAS = [{"area_id": "hall", "name": "Hall", "floor_id": "ground"}, {"area_id": "attic", "name": "Attic"}]


def place_of_a(entity_row: dict[str, Any], *devices: dict[str, Any], **more: Any) -> Place:
    return derive(Registries(entities=[entity_row], devices=devices, areas=AREAS, **more))["sensor.a"].place


def test_the_recorded_home_of_2024_is_read_with_its_areas_and_without_floors() -> None:
    home = derive(recorded(2024))

    assert len(home) == 187
    assert home["sensor.zoo_node_1_power"].place == Place("", "sensor", "Garage", "", "Zoo node 1", "power", "mqtt", ())
    assert home["automation.chain_a"].place.area == "Attic"
    assert {one.place.floor for one in home.values()} == {""}


def test_the_recorded_home_of_2026_is_read_with_floors_and_labels_by_name() -> None:
    home = derive(recorded(2026))

    assert len(home) == 199
    assert home["light.bed_light"].place == Place(
        "", "light", "Bedroom", "First floor", "Bed Light", "", "demo", ("Energy",)
    )
    assert home["switch.zoo_node_4_relay"].place.floor == "Zolder ⌂"


def test_areas_and_floors_are_those_that_home_assistant_itself_finds_related() -> None:
    home = derive(recorded(2026))
    related = recording(2026)["related"]

    assert {name for name, one in home.items() if one.place.area == "Kitchen"} == set(related["area_kitchen"])
    assert {name for name, one in home.items() if one.place.area == "Living Room"} == set(related["area_living_room"])
    assert {name for name, one in home.items() if one.place.floor == "Ground floor"} == set(
        related["floor_ground_floor"]
    )


@pytest.mark.parametrize("year", [2024, 2026])
def test_an_entity_without_a_registry_entry_is_there_with_nothing_but_its_attributes(year: int) -> None:
    sun = derive(recorded(year))["sun.sun"]

    assert (sun.registry_id, sun.place, sun.class_known) == ("", Place("", "sun"), True)


@pytest.mark.parametrize(("year", "rising"), [(2024, "sensor"), (2026, "binary_sensor")])
def test_of_a_disabled_entity_nobody_says_a_device_class(year: int, rising: str) -> None:
    unknown = {name for name, one in derive(recorded(year)).items() if not one.class_known}

    assert unknown == {f"{rising}.sun_solar_rising", "sensor.sun_solar_azimuth", "sensor.sun_solar_elevation"}


def test_the_area_is_the_entitys_own_before_that_of_its_device() -> None:
    assert place_of_a(entity(area_id="attic", device_id="d1"), device(area_id="hall")).area == "Attic"
    assert place_of_a(entity(device_id="d1"), device(area_id="hall")).area == "Hall"
    assert place_of_a(entity(), device(area_id="hall")).area == ""


def test_a_child_device_takes_area_and_name_from_its_parent_but_not_from_its_hub() -> None:
    parent = device(area_id="hall")
    child = {"id": "d2", "parent_device_id": "d1"}
    behind_hub = {"id": "d2", "name": "Bulb", "via_device_id": "d1"}

    of_child = place_of_a(entity(device_id="d2"), parent, child)
    of_hub = place_of_a(entity(device_id="d2"), parent, behind_hub)

    assert (of_child.area, of_child.device) == ("Hall", "Node")
    assert (of_hub.area, of_hub.device) == ("", "Bulb")


def test_devices_that_are_each_others_parent_end_nowhere() -> None:
    first, second = {"id": "d1", "parent_device_id": "d2"}, {"id": "d2", "parent_device_id": "d1"}

    assert place_of_a(entity(device_id="d1"), first, second).area == ""


def test_the_users_name_of_a_device_comes_before_the_integrations() -> None:
    assert place_of_a(entity(device_id="d1"), device(name_by_user="My node")).device == "My node"


def test_labels_of_entity_and_device_are_named_once_and_sorted() -> None:
    labels = [{"label_id": "b", "name": "Beta"}, {"label_id": "a", "name": "Zeta"}]

    place = place_of_a(entity(device_id="d1", labels=["a", "b"]), device(labels=["b", "gone"]), labels=labels)

    assert place.labels == ("Beta", "Zeta", "gone")


def test_the_device_class_comes_from_the_registry_before_the_state() -> None:
    states = [{"entity_id": "sensor.a", "attributes": {"device_class": "power"}}]

    assert place_of_a(entity(), states=states).device_class == "power"
    assert place_of_a(entity(original_device_class="energy"), states=states).device_class == "energy"
    assert place_of_a(entity(original_device_class="energy", device_class="gas")).device_class == "gas"


def test_values_of_a_wrong_type_count_as_empty() -> None:
    states = [{"entity_id": "sensor.a", "attributes": {"device_class": 5}}, {"entity_id": None}, {}]

    place = place_of_a(entity(platform=None, labels=None, device_id=7), device(name=[1]), states=states)

    assert place == Place("", "sensor")
