"""From what a home answered to its objects; keeps nothing, asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ingestor.home.derive import Registries
from ingestor.home.graph.templates import open_templates
from ingestor.home.model import domain_of
from ingestor.home.objects import Observed
from ingestor.home.reading import Reading, zwave_node_of

Row = Mapping[str, Any]
_Rows = dict[str, Row]

#: What a state tells of what its entity can do; unlike the rest of a state it stays as it is.
_CAPABILITIES: Final = (
    *("device_class", "state_class", "unit_of_measurement", "supported_features", "supported_color_modes"),
    *("options", "min", "max", "step", "min_temp", "max_temp", "target_temp_step", "min_humidity", "max_humidity"),
    *("hvac_modes", "preset_modes", "fan_modes", "swing_modes", "available_modes", "operation_list", "effect_list"),
    *("source_list", "sound_mode_list", "event_types", "source_type", "min_mireds", "max_mireds"),
    *("min_color_temp_kelvin", "max_color_temp_kelvin", "fan_speed_list", "code_format", "assumed_state"),
)
_OF_ZONE: Final = ("latitude", "longitude", "radius", "passive", "icon")
_OF_USER: Final = ("id", "name", "is_owner", "is_active", "local_only", "system_generated", "group_ids")
_ADMINS: Final = "system-admin"
_DEAD_NODE: Final = 3


def derive_objects(registries: Registries, reading: Reading) -> Observed:
    """Return every object of a home.

    While Home Assistant starts, only what it reads from its own disk: integrations and states come one by one.
    """
    objects: dict[str, _Rows] = {
        "area": _by(registries.areas, "area_id"),
        "floor": _by(registries.floors, "floor_id"),
        "label": _by(registries.labels, "label_id"),
        "device": _by(registries.devices, "id"),
    }
    if reading.categories is not None:
        objects["category"] = {f"{row.get('scope')}/{row.get('category_id')}": row for row in reading.categories}
    if reading.config_entries is not None:
        objects["config_entry"] = _by(reading.config_entries, "entry_id")
    if reading.users is not None:
        objects["user"] = {key: _user(row) for key, row in _by(reading.users, "id").items()}
    if not reading.starting:
        objects |= _of_states(registries, reading) | _of_integrations(reading)
        if reading.zwave is not None:
            objects |= _zwave(reading.zwave, _zwave_ways(registries, reading.zwave_statistics))
    return Observed(objects)


def _of_states(registries: Registries, reading: Reading) -> dict[str, _Rows]:
    attributes = {key: _object(row.get("attributes")) for key, row in _by(registries.states, "entity_id").items()}
    found: dict[str, dict[str, Any]] = {"entity": _entities(registries, attributes)}
    for kind in ("person", "zone", "automation", "script", "scene"):
        found[kind] = {}
    for entity_id, shown in attributes.items():
        kind = domain_of(entity_id)
        if kind in found and kind != "entity":
            found[kind][entity_id] = _thing(kind, entity_id, shown, reading)
    # A script does not show its id; Home Assistant keeps its runs under it.
    for row in registries.entities:
        script = found["script"].get(str(row.get("entity_id")))
        if script is not None and script.get("id") is None:
            script["id"] = row.get("unique_id")
    return found


def _entities(registries: Registries, attributes: Mapping[str, Row]) -> _Rows:
    """Return registry entries by their id, and entities that only have a state by their entity_id."""
    found: _Rows = {}
    registered = set()
    for row in registries.entities:
        entity_id = str(row.get("entity_id"))
        registered.add(entity_id)
        found[str(row.get("id") or entity_id)] = {**row, **_shown(entity_id, attributes.get(entity_id, {}))}
    for entity_id, shown in attributes.items():
        if entity_id not in registered:
            name = shown.get("friendly_name")
            unregistered = {"entity_id": entity_id, "name": name, "registered": False}
            found[entity_id] = {**unregistered, **_shown(entity_id, shown)}
    return found


def _shown(entity_id: str, shown: Row) -> dict[str, Any]:
    """Return what a state tells of its entity: what it can do, and of a group whom it consists of."""
    found: dict[str, Any] = {"capabilities": {key: shown[key] for key in _CAPABILITIES if key in shown}}
    members = shown.get("entity_id")
    # What a scene sets are not its members.
    if isinstance(members, list) and domain_of(entity_id) != "scene":
        found["members"] = [one for one in members if isinstance(one, str)]
    return found


def _thing(kind: str, entity_id: str, shown: Row, reading: Reading) -> dict[str, Any]:
    named = {"entity_id": entity_id, "name": shown.get("friendly_name")}
    if kind == "zone":
        return named | {key: shown.get(key) for key in _OF_ZONE}
    if kind == "person":
        trackers = shown.get("device_trackers")
        return named | {"id": shown.get("id"), "user_id": shown.get("user_id"), "device_trackers": trackers}
    found = named | {"id": shown.get("id")}
    if kind == "scene":
        found["entities"] = shown.get("entity_id")
    else:
        found["mode"] = shown.get("mode")
        # When it last ran changes all day; whether it ever did changes once.
        found["has_run"] = shown.get("last_triggered") is not None
    if (config := reading.configurations.get(entity_id)) is not None:
        found["config"] = config
        rendered = {text: reading.rendered[text] for text in open_templates(config) if text in reading.rendered}
        if rendered:
            found["rendered"] = rendered
    return found


def _of_integrations(reading: Reading) -> dict[str, _Rows]:
    found: dict[str, _Rows] = {}
    if reading.manifests is not None:
        found["manifest"] = _by(reading.manifests, "domain")
    if reading.services is not None:
        found["service"] = {f"{domain}.{name}": row for domain, name, row in _services(reading.services)}
    if reading.energy is not None:
        found["energy"] = {"preferences": reading.energy}
    if reading.discoveries is not None:
        found["discovery"] = {key: _discovery(row) for key, row in _by(reading.discoveries, "flow_id").items()}
    if reading.issues is not None:
        found["issue"] = {f"{row.get('domain')}/{row.get('issue_id')}": row for row in reading.issues}
    if reading.blueprints is not None:
        found["blueprint"] = dict(reading.blueprints)
    if reading.zigbee is not None:
        found["zigbee_device"] = _by(reading.zigbee, "ieee")
    return found


def _services(services: Row) -> Iterable[tuple[str, str, Row]]:
    for domain, of_domain in services.items():
        yield from ((domain, name, _object(row)) for name, row in _object(of_domain).items())


def _discovery(row: Row) -> dict[str, Any]:
    """Return what was found; not its whole context, which may hold an address with a key in it."""
    context = _object(row.get("context"))
    about = {key: row.get(key) for key in ("flow_id", "handler", "step_id")}
    return about | {"source": context.get("source"), "title": _object(context.get("title_placeholders")).get("name")}


def _user(row: Row) -> dict[str, Any]:
    """Return who a user is: no login name, no credentials."""
    groups = row.get("group_ids")
    return {key: row.get(key) for key in _OF_USER} | {"is_admin": isinstance(groups, list) and _ADMINS in groups}


def _zwave_ways(registries: Registries, statistics: Mapping[str, Row]) -> dict[tuple[str, int], Row]:
    """Return each node's device and, where it is told, the nodes that hand its messages on, by network and number."""
    nodes = {str(row.get("id")): node for row in registries.devices if (node := zwave_node_of(row))}
    found: dict[tuple[str, int], Row] = {}
    for device_id, node in nodes.items():
        way = _object(_object(statistics.get(device_id)).get("lwr"))
        repeaters = way.get("repeaters")
        told = (
            {"repeaters": [nodes[one][1] for one in repeaters if one in nodes]} if isinstance(repeaters, list) else {}
        )
        found[node] = {"device_id": device_id, **told}
    return found


def _zwave(networks: Mapping[str, Row], ways: Mapping[tuple[str, int], Row]) -> dict[str, _Rows]:
    found: dict[str, _Rows] = {"zwave_network": {}, "zwave_node": {}}
    for entry_id, network in networks.items():
        controller = dict(_object(network.get("controller")))
        nodes = controller.pop("nodes", None)
        found["zwave_network"][entry_id] = {**network, "controller": controller}
        for node in nodes if isinstance(nodes, list) else ():
            row = _zwave_node(node if isinstance(node, dict) else {"node_id": node})
            way = ways.get((str(controller.get("home_id")), row.get("node_id", -1)), {})
            found["zwave_node"][f"{entry_id}/{row.get('node_id')}"] = {**row, "entry_id": entry_id, **way}
    return found


def _zwave_node(node: Row) -> dict[str, Any]:
    # A battery device sleeps and wakes all day: that is no change of the network, its death is.
    status = node.get("status")
    return {**{key: one for key, one in node.items() if key != "status"}, "is_dead": status == _DEAD_NODE}


def _by(rows: Iterable[Row], key: str) -> _Rows:
    return {row[key]: row for row in rows if isinstance(row.get(key), str)}


def _object(value: Any) -> Row:
    return value if isinstance(value, dict) else {}
