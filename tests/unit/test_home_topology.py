"""What of groups, Zigbee and Z-Wave networks and categories becomes an object; the answers have HA's own shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ingestor import errors
from ingestor.home.derive import Registries
from ingestor.home.objects import digest_of
from ingestor.home.objects_derive import derive_objects
from ingestor.home.reading import Reading, read_home, zwave_node_of

COORDINATOR, PLUG, SENSOR = "00:12:4b:00:01", "00:12:4b:00:02", "00:12:4b:00:03"
ZHA = {"entry_id": "z1", "domain": "zha", "state": "loaded"}
ZWAVE = {"entry_id": "w1", "domain": "zwave_js", "state": "loaded"}


def neighbor(ieee: str, lqi: int, relationship: str = "Child") -> dict[str, Any]:
    return {
        "device_type": "Router",
        "rx_on_when_idle": "On",
        "relationship": relationship,
        "extended_pan_id": "8d:4c:f0:36:b5:c6:1d:2b",
        "ieee": ieee,
        "nwk": "0x1A2B",
        "permit_joining": "Unknown",
        "depth": "1",
        "lqi": str(lqi),
    }


def zigbee(ieee: str, kind: str, *neighbors: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "ieee": ieee,
        "nwk": "0x0000" if kind == "Coordinator" else "0x1A2B",
        "manufacturer": "LUMI",
        "model": "lumi.plug",
        "name": "LUMI lumi.plug",
        "quirk_applied": False,
        "quirk_class": "zigpy.device.Device",
        "power_source": "Mains",
        "lqi": 200,
        "rssi": -40,
        "last_seen": "2026-11-21T12:00:00",
        "available": True,
        "device_type": kind,
        "active_coordinator": kind == "Coordinator",
        "entities": [{"entity_id": "switch.plug", "name": "LUMI plug"}],
        "neighbors": list(neighbors),
        "routes": [{"dest_nwk": "0x1A2B", "next_hop": "0x0000", "route_status": "Active"}],
        "user_given_name": "Plug",
        "device_reg_id": "d-" + ieee[-2:],
        "area_id": "kitchen",
        **changes,
    }


def node(node_id: int, **changes: Any) -> dict[str, Any]:
    return {
        "node_id": node_id,
        "is_routing": True,
        "status": 4,
        "is_secure": True,
        "ready": True,
        "zwave_plus_version": 2,
        "highest_security_class": 2,
        "is_controller_node": node_id == 1,
        "has_firmware_update_cc": False,
        **changes,
    }


def zwave_network(*nodes: Any) -> dict[str, Any]:
    return {
        "client": {"state": "connected", "ws_server_url": "ws://zwave:3000", "driver_version": "13.0.0"},
        "controller": {"home_id": 3601639587, "sdk_version": "Z-Wave 7.19", "nodes": list(nodes), "rf_region": 0},
    }


class Home:
    """A Home Assistant with these answers; to all else it says that it does not know the command."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = {"get_config": {"state": "RUNNING"}, **answers}
        self.asked: list[str] = []

    def command(self, type: str, **fields: Any) -> Any:  # noqa: A002 - it is called so in Home Assistant's messages
        self.asked.append(type)
        answer = self._answers.get(type)
        if callable(answer):
            answer = answer(**fields)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            raise errors.CommandRefused("unknown_command", type)
        return answer

    def commands(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        return [self.command(name, **fields) for name, fields in asked]

    def first_events(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        told: list[Any] = []
        for name, fields in asked:
            try:
                told.append(self.command(name, **fields))
            except errors.CommandRefused:
                told.append(None)
        return told


def objects_of(registries: Registries | None = None, **answers: Any) -> tuple[dict[str, Any], Reading, Home]:
    named = {name.replace("__", "/"): answer for name, answer in answers.items()}
    home = Home(named)
    registries = registries or Registries()
    reading = read_home(home, registries)
    return dict(derive_objects(registries, reading).objects), reading, home


def state(name: str, **attributes: Any) -> dict[str, Any]:
    return {"entity_id": name, "state": "on", "attributes": attributes}


@pytest.mark.parametrize("registered", [True, False])
def test_a_group_knows_its_members_whether_it_has_a_registry_entry_or_not(registered: bool) -> None:
    group = state("light.kitchen", entity_id=["light.a", "light.b", 7], supported_color_modes=["onoff"])
    entry = {"id": "r1", "entity_id": "light.kitchen", "platform": "group"}
    registries = Registries(entities=[entry] if registered else [], states=[group, state("light.a")])

    objects, _, _ = objects_of(registries)

    found = {row["entity_id"]: row for row in objects["entity"].values()}
    assert found["light.kitchen"]["members"] == ["light.a", "light.b"]
    assert found["light.kitchen"]["capabilities"] == {"supported_color_modes": ["onoff"]}
    assert "members" not in found["light.a"]


def test_what_a_scene_sets_are_not_its_members() -> None:
    objects, _, _ = objects_of(Registries(states=[state("scene.evening", entity_id=["light.a"], id="1")]))

    assert "members" not in objects["entity"]["scene.evening"]
    assert objects["scene"]["scene.evening"]["entities"] == ["light.a"]


def test_every_zigbee_device_has_its_neighbours() -> None:
    devices = [
        zigbee(COORDINATOR, "Coordinator", neighbor(PLUG, 180), neighbor(SENSOR, 90)),
        zigbee(PLUG, "Router", neighbor(COORDINATOR, 170, "Parent")),
        zigbee(SENSOR, "EndDevice"),
        {"ieee": None, "name": "no address"},
    ]

    objects, reading, _ = objects_of(config_entries__get=[ZHA], zha__devices=devices)

    found = objects["zigbee_device"]
    assert reading.hidden == []
    assert {ieee: [one["ieee"] for one in row["neighbors"]] for ieee, row in found.items()} == {
        COORDINATOR: [PLUG, SENSOR],
        PLUG: [COORDINATOR],
        SENSOR: [],
    }
    assert found[PLUG]["device_reg_id"] == "d-02"


def test_a_mesh_that_breathes_has_not_changed_and_one_with_another_neighbour_has() -> None:
    before = zigbee(PLUG, "Router", neighbor(COORDINATOR, 170), neighbor(SENSOR, 30))
    breathed = zigbee(
        PLUG,
        "Router",
        neighbor(SENSOR, 44),
        neighbor(COORDINATOR, 120),
        lqi=90,
        rssi=-71,
        last_seen="2026-11-21T13:00:00",
        routes=[],
    )
    moved = zigbee(PLUG, "Router", neighbor(SENSOR, 44))

    assert digest_of("zigbee_device", before) == digest_of("zigbee_device", breathed)
    assert digest_of("zigbee_device", before) != digest_of("zigbee_device", moved)


def test_a_zwave_network_and_its_nodes_are_objects_and_a_node_that_sleeps_has_not_changed() -> None:
    awake = zwave_network(node(1), node(7), node(9, status=3))
    asleep = zwave_network(node(1), node(7, status=1), node(9, status=3))

    objects, _, _ = objects_of(config_entries__get=[ZWAVE], zwave_js__network_status=lambda entry_id: awake)
    later, _, _ = objects_of(config_entries__get=[ZWAVE], zwave_js__network_status=lambda entry_id: asleep)

    assert objects["zwave_network"]["w1"]["controller"]["home_id"] == 3601639587
    assert "nodes" not in objects["zwave_network"]["w1"]["controller"]
    assert {key: row["is_dead"] for key, row in objects["zwave_node"].items()} == {
        "w1/1": False,
        "w1/7": False,
        "w1/9": True,
    }
    assert objects["zwave_node"] == later["zwave_node"]


def test_a_zwave_node_tells_which_nodes_hand_its_messages_on() -> None:
    def statistics(device_id: str) -> dict[str, Any]:
        way = {"d-near": [], "d-far": ["d-near", "d-gone"]}.get(device_id)
        lwr = None if way is None else {"protocol_data_rate": 3, "rssi": -60, "repeaters": way, "repeater_rssi": [-71]}
        source = {"event": "statistics updated", "source": "node", "nodeId": 7, "commands_tx": 21, "rtt": 30.5}
        return {**source, "lwr": lwr, "nlwr": None}

    def device(device_id: str, node_id: int) -> dict[str, Any]:
        named = [["zwave_js", f"3601639587-{node_id}-134:1:1"], ["zwave_js", f"3601639587-{node_id}"]]
        return {"id": device_id, "identifiers": named}

    nodes = (("d-near", 7), ("d-far", 9), ("d-silent", 11))
    registries = Registries(
        devices=[*(device(*one) for one in nodes), {"id": "d-mqtt", "identifiers": [["mqtt", "x"]]}]
    )

    objects, _, _ = objects_of(
        registries,
        config_entries__get=[ZWAVE],
        zwave_js__network_status=lambda entry_id: zwave_network(node(1), node(7), node(9), node(11)),
        zwave_js__subscribe_node_statistics=statistics,
    )

    found = objects["zwave_node"]
    assert {key: (row.get("device_id"), row.get("repeaters")) for key, row in found.items()} == {
        "w1/1": (None, None),
        "w1/7": ("d-near", []),
        "w1/9": ("d-far", [7]),
        "w1/11": ("d-silent", None),
    }


def test_an_old_home_assistant_that_tells_only_the_nodes_numbers_has_nodes_too() -> None:
    objects, _, _ = objects_of(
        config_entries__get=[ZWAVE], zwave_js__network_status=lambda entry_id: zwave_network(1, 7)
    )

    assert set(objects["zwave_node"]) == {"w1/1", "w1/7"}


def test_networks_that_this_home_has_not_are_not_asked_for_and_stay_as_they_were() -> None:
    objects, _, home = objects_of(config_entries__get=[{**ZHA, "state": "setup_retry"}])

    assert not {"zha/devices", "zwave_js/network_status"} & set(home.asked)
    assert not {"zigbee_device", "zwave_network", "zwave_node"} & objects.keys()


def test_a_token_that_may_not_see_the_networks_is_told_so() -> None:
    refused = errors.CommandRefused("unauthorized", "Unauthorized")

    objects, reading, _ = objects_of(
        config_entries__get=[ZHA, ZWAVE], zha__devices=refused, zwave_js__network_status=refused
    )

    assert {"Zigbee network", "Z-Wave network"} <= set(reading.hidden)
    assert not {"zigbee_device", "zwave_node"} & objects.keys()


def test_categories_of_all_scopes_are_objects_also_of_a_scope_that_only_an_entity_names() -> None:
    rows = {"automation": [{"category_id": "c1", "name": "Lights", "icon": None}], "odd": [{"category_id": "c2"}]}
    entry = {"id": "r1", "entity_id": "automation.a", "categories": {"automation": "c1", "odd": "c2"}}

    objects, _, _ = objects_of(
        Registries(entities=[entry]), config__category_registry__list=lambda scope: rows.get(scope, [])
    )

    assert {key: row.get("name") for key, row in objects["category"].items()} == {
        "automation/c1": "Lights",
        "odd/c2": None,
    }


@pytest.mark.parametrize("node", ["", "x", "²", "9" * 5000])
def test_a_zwave_device_whose_number_is_none_is_passed_over(node: str) -> None:
    assert zwave_node_of({"identifiers": [["zwave_js", f"home-{node}"]]}) is None
