"""Builds the demo home: devices into rooms until it has as many entities as asked for; the same for the same seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from ingestor.demo import catalogue, chance, entries
from ingestor.demo.bus import Bus
from ingestor.demo.catalogue import DeviceKind, EntityKind
from ingestor.demo.clock import SECOND_US
from ingestor.demo.registry import Registry, slug
from ingestor.demo.routines import BEDTIME, GUESTS, MODE, MODES, RUNS, Routines, routines
from ingestor.demo.things import Thing
from ingestor.demo.world import LATITUDE, LONGITUDE

_LABEL_OF: Final = {"power": "energy", "energy": "energy", "smoke": "security", "window": "security"}
_LIGHT, _HOUSE = (category_id for category_id, _name, _icon in catalogue.CATEGORIES)
_SERVICE_DEVICES: Final = frozenset(("met", "sun"))

_ICON: Final = {"icon": "mdi:counter"}
_LOAD: Final = DeviceKind(
    "Meter",
    "mqtt",
    "Demo",
    "Load meter",
    (
        EntityKind("sensor", "Power", "constant", 0, "power", "W", "measurement", attributes=_ICON),
        EntityKind("sensor", "Voltage", "constant", 0, "voltage", "V", "measurement", attributes=_ICON),
        EntityKind("sensor", "Current", "constant", 0, "current", "A", "measurement", attributes=_ICON),
        EntityKind("sensor", "Temperature", "constant", 0, "temperature", "°C", "measurement", attributes=_ICON),
    ),
)


@dataclass(slots=True)
class Blueprint:
    """What was built: things that live, states that stand still, and what the home does by itself."""

    things: dict[str, Thing] = field(default_factory=dict)
    still: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    routines: Routines = field(default_factory=lambda: Routines((), (), ()))
    users: dict[str, str] = field(default_factory=dict)

    def count(self) -> int:
        """Return how many entities there are."""
        return len(self.things) + len(self.still)


class Builder:
    """Builds one home into a registry."""

    def __init__(self, registry: Registry, bus: Bus, seed: int, entities: int) -> None:
        self._registry = registry
        self._seed = seed
        self._wanted = entities
        self._limit = entities
        self._created = bus.clock.now_us() / SECOND_US - 90 * 86400
        self._names: Counter[str] = Counter()
        self._room_names = {area_id: name for area_id, name, _floor, _kinds in catalogue.ROOMS}
        self.built = Blueprint()

    def build(self) -> Blueprint:
        """Build a home to live in."""
        self._limit = self._wanted - min(46, self._wanted // 5)
        self._build_rooms()
        self._build_common()
        self._build_devices()
        self._limit = self._wanted
        self._build_routines()
        self._build_more()
        return self.built

    def build_for_load(self) -> Blueprint:
        """Build a home of sensors alone, so that each state can be a number."""
        self._build_rooms()
        rooms = list(self._room_names)
        while self.built.count() < self._wanted:
            self._device(_LOAD, rooms[len(self._registry.devices) % len(rooms)])
        return self.built

    def _build_rooms(self) -> None:
        registry, created = self._registry, self._created
        for floor_id, name, level in catalogue.FLOORS:
            registry.floors[floor_id] = entries.Floor(floor_id, name, level, f"mdi:home-floor-{level}", created)
        for label_id, name, color in catalogue.LABELS:
            registry.labels[label_id] = entries.Label(label_id, name, color, created=created)
        for category_id, name, icon in catalogue.CATEGORIES:
            registry.categories[category_id] = entries.Category(category_id, name, "automation", icon, created)
        for area_id, name, above, _kinds in catalogue.ROOMS:
            registry.areas[area_id] = entries.Area(area_id, name, above, created=created)
        for name in ("admin", *(person for person, _name, _phone in catalogue.PEOPLE)):
            self.built.users[name] = self._id("user", name)

    def _build_common(self) -> None:
        """Build what every home has; some of it only from YAML, without an entry in the registry."""
        place = {"latitude": LATITUDE, "longitude": LONGITUDE, "radius": 100, "passive": False}
        people = [f"person.{person}" for person, _name, _phone in catalogue.PEOPLE]
        self._still("zone.home", "2", {**place, "persons": people, "editable": True, "friendly_name": "Home"})
        self._thing("sun.sun", EntityKind("sun", "", "sun", 240), "Sun")
        self._device(DeviceKind("Forecast", "met", "Met.no", "Forecast", (_WEATHER,)), None, "Forecast Home")
        self._still("binary_sensor.anyone_home", "on", {"device_class": "presence", "friendly_name": "Anyone home"})
        for person, name, phone in catalogue.PEOPLE:
            self._build_person(person, name, phone)
        average = EntityKind("sensor", "", "temperature", 120, "temperature", "°C", "measurement", None, 1)
        self._thing("sensor.average_temperature", average, "Average temperature")

    def _build_person(self, person: str, name: str, phone: str) -> None:
        user_id, tracker = self.built.users[person], f"device_tracker.{slug(phone)}"
        kind = DeviceKind(phone, "mobile_app", "Google" if "Pixel" in phone else "Apple", phone, _PHONE)
        self._device(kind, None, phone)
        attributes = {"editable": True, "id": person, "device_trackers": [tracker], "user_id": user_id}
        position = {"latitude": LATITUDE, "longitude": LONGITUDE, "gps_accuracy": 12, "source": tracker}
        self._registered(f"person.{person}", "home", {**attributes, **position, "friendly_name": name}, "person")

    def _build_devices(self) -> None:
        rooms = [(area_id, kinds) for area_id, _name, _floor, kinds in catalogue.ROOMS]
        for rank in range(max(len(kinds) for _area_id, kinds in rooms)):
            for area_id, kinds in rooms:
                if rank < len(kinds):
                    self._device(kinds[rank], area_id)
            if rank == 1:
                self._build_single()

    def _build_single(self) -> None:
        for kind, area_id in catalogue.SINGLE:
            self._device(kind, area_id, kind.name)

    def _build_more(self) -> None:
        rooms = list(self._room_names)
        number = 0
        while self.built.count() < self._wanted:
            kinds = catalogue.MORE
            self._device(kinds[number // len(rooms) % len(kinds)], rooms[number % len(rooms)])
            number += 1

    def _build_routines(self) -> None:
        known = self.built.things
        found = routines(lambda entity_id: entity_id in known, list(self._room_names.items()))
        for entity_id, state, attributes, platform in _HELPERS:
            self._registered(entity_id, state, dict(attributes), platform)
        for scene in found.scenes:
            parts: dict[str, Any] = {"entity_id": [step.entity_id for step in scene.steps], "id": scene.item_id}
            scene_shown = {**parts, "friendly_name": scene.name}
            self._registered(scene.entity_id, "unknown", scene_shown, "homeassistant", unique_id=scene.item_id)
        for script in found.scripts:
            run: dict[str, Any] = {"last_triggered": None, "mode": "single", "current": 0}
            script_shown = {**run, "friendly_name": script.alias}
            self._registered(script.entity_id, "off", script_shown, "script", unique_id=script.object_id)
        for one in found.automations:
            parts = {"id": one.item_id, "last_triggered": None, "mode": one.mode, "current": 0}
            shown = {**parts, "friendly_name": one.alias}
            self._registered(one.entity_id, "on", shown, "automation", unique_id=one.item_id)
            if (entry := self._registry.entities.get(one.entity_id)) is not None:
                entry.categories["automation"] = _LIGHT if " light " in one.alias else _HOUSE
        self.built.routines = found

    def _device(self, kind: DeviceKind, area_id: str | None, name: str | None = None) -> None:
        if self.built.count() >= self._limit:
            return
        name = name or self._numbered(f"{self._room_names[area_id or '']} {kind.name}")
        entry = self._config_entry(kind.integration)
        device = entries.Device(
            self._id("device", name),
            name,
            entry.entry_id,
            [[kind.integration, self._id("identifier", name)[:12]]],
            area_id,
            kind.manufacturer,
            kind.model,
            "1.4.4",
            entry_type="service" if kind.integration in _SERVICE_DEVICES else None,
            via_device_id=self._id("device", kind.hub) if kind.hub else None,
            created=self._created,
        )
        self._registry.devices[device.id] = device
        for entity in kind.entities:
            self._entity(device, entity)

    def _entity(self, device: entries.Device, kind: EntityKind) -> None:
        if self.built.count() >= self._limit:
            return
        full = f"{device.name} {kind.name}".strip()
        entity_id = f"{kind.domain}.{slug(full)}"
        thing = self._thing(entity_id, kind, full)
        thing.area_id, thing.device_id = device.area_id or "", device.id
        if kind.behaviour == "meter" or "Solar" in full:
            thing.memory["single"] = True
        label = _LABEL_OF.get(kind.device_class or "")
        self._registry.entities[entity_id] = entries.Entity(
            self._id("entity", entity_id),
            entity_id,
            f"{device.identifiers[0][1]}_{slug(kind.name) or kind.domain}",
            device.identifiers[0][0],
            kind.name or device.name,
            device.config_entry,
            device.id,
            entity_category=kind.category,
            has_entity_name=True,
            labels=[label] if label else [],
            device_class=kind.device_class,
            state_class=kind.state_class,
            precision=kind.precision,
            created=self._created,
            modified=self._created,
        )

    def _thing(self, entity_id: str, kind: EntityKind, name: str) -> Thing:
        thing = Thing(entity_id, kind, name, chance.source(self._seed, entity_id))
        self.built.things[entity_id] = thing
        return thing

    def _still(self, entity_id: str, state: str, attributes: dict[str, Any]) -> None:
        if self.built.count() < self._limit:
            self.built.still[entity_id] = (state, attributes)

    def _registered(
        self, entity_id: str, state: str, attributes: dict[str, Any], platform: str, *, unique_id: str = ""
    ) -> None:
        if self.built.count() >= self._limit:
            return
        self._still(entity_id, state, attributes)
        number = self._id("entity", entity_id)
        unique, name = unique_id or entity_id.partition(".")[2], str(attributes["friendly_name"])
        entry = entries.Entity(number, entity_id, unique, platform, name, created=self._created, modified=self._created)
        self._registry.entities[entity_id] = entry

    def _config_entry(self, domain: str) -> entries.ConfigEntry:
        made = self._registry.config_entries
        entry_id = self._id("config_entry", domain)
        return made.setdefault(entry_id, entries.ConfigEntry(entry_id, domain, domain.title(), created=self._created))

    def _numbered(self, name: str) -> str:
        self._names[name] += 1
        return name if self._names[name] == 1 else f"{name} {self._names[name]}"

    def _id(self, *key: str) -> str:
        return f"{chance.source(self._seed, *key).getrandbits(128):032x}"


_WEATHER: Final = EntityKind("weather", "", "weather", 600, attributes={"attribution": "Demo", "supported_features": 3})
_PHONE: Final = (
    EntityKind("device_tracker", "", "constant", attributes={"source_type": "gps", "gps_accuracy": 12}),
    EntityKind("sensor", "Battery level", "phone", 300, "battery", "%", "measurement", "diagnostic", 0),
)
_HELPERS: Final[tuple[tuple[str, str, dict[str, Any], str], ...]] = (
    (MODE, "Home", {"options": list(MODES), "editable": True, "friendly_name": "House mode"}, "input_select"),
    (GUESTS, "off", {"editable": True, "friendly_name": "Guest mode"}, "input_boolean"),
    (BEDTIME, "unknown", {"editable": True, "friendly_name": "Good night"}, "input_button"),
    (RUNS, "0", {"editable": True, "initial": 0, "step": 1, "friendly_name": "Motion lights"}, "counter"),
)
