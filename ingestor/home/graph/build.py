"""Builds the graph from what is kept of a home: its objects, their configurations, and the edges that were observed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ingestor.events.observed import ObservedEdge
from ingestor.home.graph.model import ALL_DOMAINS, EdgeKind, Evidence, HomeGraph, Node, kind_of
from ingestor.home.graph.references import Reference, references_of

Row = Mapping[str, Any]
Objects = Mapping[str, Mapping[str, Row]]

#: What a service may be called on that stands for entities.
_GROUPS: Final = frozenset(("device", "area", "floor", "label"))
#: What `homeassistant.turn_on` and its like reach in an area: the domains that can be turned on and off.
_SWITCHED: Final = (
    *("automation", "camera", "climate", "fan", "group", "humidifier", "input_boolean", "light", "media_player"),
    *("remote", "scene", "script", "siren", "switch", "vacuum", "water_heater"),
)


def build_graph(home: str, objects: Objects, observed: Iterable[ObservedEdge] = ()) -> HomeGraph:
    """Return the graph of a home. `objects` are rows by kind and id, as `RegistryObjects.load` returns them."""
    return _Builder(home, objects).build(observed)


@dataclass(slots=True)
class _Index:
    """What is looked up while edges are made."""

    #: entity_id by registry id, and the entities of each device, area and label.
    entity_ids: dict[str, str] = field(default_factory=dict)
    by_device: dict[str, list[str]] = field(default_factory=dict)
    by_area: dict[str, list[str]] = field(default_factory=dict)
    by_label: dict[str, list[str]] = field(default_factory=dict)
    area_floor: dict[str, str] = field(default_factory=dict)
    device_area: dict[str, str] = field(default_factory=dict)


class _Builder:
    """One building of one graph."""

    def __init__(self, home: str, objects: Objects) -> None:
        self._graph = HomeGraph(home)
        self._objects = objects
        self._index = _Index()
        rows = objects.get("entity", {}).items()
        self._known = {_text(row, "entity_id") or object_id for object_id, row in rows}
        self._known.update(
            key for kind in ("automation", "script", "scene", "person", "zone") for key in objects.get(kind, {})
        )

    def build(self, observed: Iterable[ObservedEdge]) -> HomeGraph:
        self._places()
        self._integrations()
        self._devices()
        self._entities()
        self._routines()
        self._blueprints()
        self._people()
        self._energy()
        self._users()
        for edge in observed:
            self._observed(edge)
        return self._graph

    def _rows(self, kind: str) -> Iterable[tuple[str, Row]]:
        return self._objects.get(kind, {}).items()

    def _link(self, source: str, target: str, kind: EdgeKind, detail: str, state: str | None = None) -> None:
        self._graph.link(source, target, kind, Evidence("configured", detail, state=state))

    # -- what stands where ---------------------------------------------------------------------------------

    def _places(self) -> None:
        for floor_id, row in self._rows("floor"):
            self._graph.add(Node(f"floor:{floor_id}", "floor", _text(row, "name")))
        for area_id, row in self._rows("area"):
            self._graph.add(Node(f"area:{area_id}", "area", _text(row, "name")))
            if floor_id := _text(row, "floor_id"):
                self._index.area_floor[area_id] = floor_id
                self._link(f"floor:{floor_id}", f"area:{area_id}", "contains", "floor of the area")
        for label_id, row in self._rows("label"):
            self._graph.add(Node(f"label:{label_id}", "label", _text(row, "name")))
        for area_id, row in self._rows("area"):
            self._labels(f"area:{area_id}", row, "area")

    def _integrations(self) -> None:
        manifests = self._objects.get("manifest", {})
        for entry_id, row in self._rows("config_entry"):
            domain = _text(row, "domain")
            key = f"config_entry:{entry_id}"
            self._graph.add(Node(key, "config_entry", _text(row, "title"), data={"state": row.get("state")}))
            self._integration(domain, manifests)
            self._link(key, f"integration:{domain}", "provided_by", "config entry of the integration")

    def _integration(self, domain: str, manifests: Mapping[str, Row]) -> None:
        key = f"integration:{domain}"
        if key in self._graph:
            return
        manifest = manifests.get(domain, {})
        self._graph.add(Node(key, "integration", _text(manifest, "name") or domain))
        for needed in manifest.get("dependencies") or ():
            self._integration(str(needed), manifests)
            self._link(key, f"integration:{needed}", "uses", "manifest: dependencies")

    def _devices(self) -> None:
        devices = dict(self._rows("device"))
        for device_id, row in devices.items():
            name = _text(row, "name_by_user") or _text(row, "name")
            self._graph.add(Node(f"device:{device_id}", "device", name, data={"disabled_by": row.get("disabled_by")}))
        for device_id, row in devices.items():
            key = f"device:{device_id}"
            if area_id := _area_of(row, devices):
                self._index.device_area[device_id] = area_id
                self._link(f"area:{area_id}", key, "contains", "area of the device")
            self._labels(key, row, "device")
            if parent := _text(row, "parent_device_id"):
                self._link(f"device:{parent}", key, "parent", "part of that device")
            if hub := _text(row, "via_device_id"):
                self._link(f"device:{hub}", key, "via", "connected via that device")
            for entry_id in _config_entries(row):
                self._link(key, f"config_entry:{entry_id}", "provided_by", "config entry of the device")

    def _entities(self) -> None:
        manifests = self._objects.get("manifest", {})
        for object_id, row in self._rows("entity"):
            entity_id = _text(row, "entity_id") or object_id
            self._index.entity_ids[object_id] = entity_id
            name = _text(row, "name") or _text(row, "original_name")
            data = {"disabled_by": row.get("disabled_by")} if row.get("disabled_by") else {}
            self._graph.add(Node(entity_id, kind_of(entity_id), name, data=data))
        for object_id, row in self._rows("entity"):
            self._entity(_text(row, "entity_id") or object_id, row, manifests)

    def _entity(self, entity_id: str, row: Row, manifests: Mapping[str, Row]) -> None:
        device_id, own_area = _text(row, "device_id"), _text(row, "area_id")
        area_id = own_area or self._index.device_area.get(device_id, "")
        if device_id:
            self._index.by_device.setdefault(device_id, []).append(entity_id)
            self._link(f"device:{device_id}", entity_id, "contains", "device of the entity")
        if area_id:
            self._index.by_area.setdefault(area_id, []).append(entity_id)
        if own_area:
            self._link(f"area:{own_area}", entity_id, "contains", "area of the entity")
        if entry_id := _text(row, "config_entry_id"):
            self._link(entity_id, f"config_entry:{entry_id}", "provided_by", "config entry of the entity")
        elif platform := _text(row, "platform"):
            self._integration(platform, manifests)
            self._link(entity_id, f"integration:{platform}", "provided_by", "platform of the entity")
        self._labels(entity_id, row, "entity")
        for label_id in row.get("labels") or ():
            self._index.by_label.setdefault(str(label_id), []).append(entity_id)
        for member in row.get("members") or ():
            self._link(entity_id, str(member), "contains", "member of the group")

    def _labels(self, key: str, row: Row, what: str) -> None:
        for label_id in row.get("labels") or ():
            self._link(f"label:{label_id}", key, "contains", f"label of the {what}")

    # -- what does what ------------------------------------------------------------------------------------

    def _routines(self) -> None:
        for kind in ("automation", "script", "scene"):
            for entity_id, row in self._rows(kind):
                known = self._graph.node(entity_id).data if entity_id in self._graph else {}
                self._graph.add(Node(entity_id, kind, _text(row, "name"), data=known | _routine_data(row)))
        for kind in ("automation", "script"):
            for entity_id, row in self._rows(kind):
                config = row.get("config")
                if isinstance(config, Mapping):
                    self._routine(entity_id, config, row.get("rendered") or {})
                else:
                    self._graph.hidden.append(f"configuration of {entity_id}")
        for entity_id, row in self._rows("scene"):
            self._scene(entity_id, row)

    def _blueprints(self) -> None:
        for _, row in self._rows("blueprint"):
            path = _text(row, "path")
            self._graph.add(Node(f"blueprint:{path}", "blueprint", _text(row, "name")))
            for routine in row.get("used_by") or ():
                self._link(str(routine), f"blueprint:{path}", "uses", "made from the blueprint")

    def _routine(self, entity_id: str, config: Row, rendered: Row) -> None:
        for reference in references_of(config, self._is_entity):
            if reference.kind == "template":
                self._template(entity_id, reference, rendered.get(reference.target))
                continue
            for key, detail in self._targets(reference):
                self._reference(entity_id, key, reference, detail)

    def _template(self, routine: str, reference: Reference, rendered: Row | None) -> None:
        """Link what a template depends on; of the target of a call, what it gave."""
        if rendered is None:
            self._graph.undecided.append(f"{routine} {reference.path}")
            return
        names = rendered["result"] if reference.role == "controls" else rendered["entities"]
        if reference.role != "controls":
            names = [*names, *(f"domain:{domain}" for domain in rendered["domains"])]
            names += [ALL_DOMAINS] if rendered["all"] else []
        evidence = Evidence("render_template", reference.path, state=reference.state)
        for name in names:
            source, target = (name, routine) if reference.role == "triggers" else (routine, name)
            self._graph.link(source, target, reference.role, evidence)

    def _reference(self, routine: str, key: str, reference: Reference, detail: str) -> None:
        kind: EdgeKind = reference.role
        if reference.role == "triggers":
            self._link(key, routine, kind, detail, reference.state)
        else:
            self._link(routine, key, kind, detail, reference.state)

    def _targets(self, reference: Reference) -> Iterable[tuple[str, str]]:
        """Yield the nodes that a reference means: itself, and for a device, area, floor or label what is in it."""
        target, path = reference.target, reference.path
        if reference.kind == "entity":
            # A device trigger or action names its entity by registry id.
            yield self._index.entity_ids.get(target, target), path
            return
        key = f"{reference.kind}:{target}"
        yield key, path
        if reference.role != "controls" or reference.kind not in _GROUPS:
            return
        reached = _SWITCHED if reference.domain == "homeassistant" else (reference.domain, "group")
        for entity_id in self._members(reference.kind, target):
            if not reference.domain or entity_id.partition(".")[0] in reached:
                yield (
                    entity_id,
                    f"{path} (by {reference.kind} {self._graph.label(key) if key in self._graph else target})",
                )

    def _members(self, kind: str, name: str) -> list[str]:
        index = self._index
        if kind == "floor":
            areas = [area_id for area_id, floor_id in index.area_floor.items() if floor_id == name]
            return [entity_id for area_id in areas for entity_id in index.by_area.get(area_id, ())]
        table = {"device": index.by_device, "area": index.by_area, "label": index.by_label}.get(kind, {})
        return table.get(name, [])

    def _scene(self, entity_id: str, row: Row) -> None:
        config = row.get("config")
        states = config.get("entities") if isinstance(config, Mapping) else None
        wanted = states if isinstance(states, Mapping) else dict.fromkeys(row.get("entities") or ())
        for member, state in wanted.items():
            named = state.get("state") if isinstance(state, Mapping) else state
            self._link(entity_id, str(member), "controls", "scene", named if isinstance(named, str) else None)

    def _people(self) -> None:
        for entity_id, row in self._rows("person"):
            self._graph.add(Node(entity_id, "person", _text(row, "name")))
            for tracker in row.get("device_trackers") or ():
                self._link(entity_id, str(tracker), "uses", "device tracker of the person")

    def _users(self) -> None:
        for user_id, row in self._rows("user"):
            self._graph.add(Node(f"user:{user_id}", "user", _text(row, "name")))

    def _energy(self) -> None:
        for _, row in self._rows("energy"):
            for path, entity_id in _entity_texts(row, "energy"):
                if self._is_entity(entity_id):
                    self._graph.add(Node("energy:preferences", "energy", "Energy dashboard"))
                    self._link("energy:preferences", entity_id, "uses", path)

    def _observed(self, edge: ObservedEdge) -> None:
        evidence = Evidence("observed", edge.kind, edge.count, edge.first_us, edge.last_us)
        self._graph.link(edge.source, edge.target, edge.kind, evidence)

    def _is_entity(self, name: str) -> bool:
        return name in self._known


def _routine_data(row: Row) -> dict[str, Any]:
    return {key: row.get(key) for key in ("mode", "has_run")}


def _area_of(row: Row, devices: Mapping[str, Row]) -> str:
    parent: Row | None = row
    for _ in range(10):
        if parent is None:
            return ""
        if area_id := _text(parent, "area_id"):
            return area_id
        parent = devices.get(_text(parent, "parent_device_id"))
    return ""


def _config_entries(row: Row) -> list[str]:
    if one := _text(row, "config_entry_id"):
        return [one]
    return [str(one) for one in row.get("config_entries") or ()]


def _entity_texts(value: Any, path: str) -> Iterable[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _entity_texts(one, f"{path}.{key}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _entity_texts(one, f"{path}[{number}]")


def _text(row: Row, key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""
