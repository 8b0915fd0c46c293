"""The demo home's areas, floors, labels, devices and entities, and the events that tell of their changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ingestor.demo import entries
from ingestor.demo.bus import Bus
from ingestor.demo.clock import SECOND_US
from ingestor.demo.wire import Event

#: What a client may change of an entity, beside its id.
CHANGEABLE: Final = ("area_id", "hidden_by", "icon", "labels", "name")


class RefusedError(Exception):
    """A command cannot be done; carries Home Assistant's error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Registry:
    """All registries of one home. What changes is told on the bus, as Home Assistant does."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.floors: dict[str, entries.Floor] = {}
        self.areas: dict[str, entries.Area] = {}
        self.labels: dict[str, entries.Label] = {}
        self.categories: dict[str, entries.Category] = {}
        self.devices: dict[str, entries.Device] = {}
        self.entities: dict[str, entries.Entity] = {}
        self.config_entries: dict[str, entries.ConfigEntry] = {}
        self._followers: list[Callable[[entries.ConfigEntry], bool]] = []

    def area_of(self, entity_id: str) -> str | None:
        """Return the area of an entity: its own, else its device's."""
        entity = self.entities.get(entity_id)
        if entity is None:
            return None
        device = self.devices.get(entity.device_id or "")
        return entity.area_id or (device.area_id if device else None)

    def update_entity(self, entity_id: str, new: dict[str, Any], new_entity_id: str | None = None) -> entries.Entity:
        """Change an entity. Raise RefusedError where Home Assistant would."""
        entity = self.entities.get(entity_id)
        if entity is None:
            raise RefusedError("not_found", "Entity not found")
        changes = {key: getattr(entity, key) for key, value in new.items() if getattr(entity, key) != value}
        renamed = new_entity_id is not None and new_entity_id != entity_id
        if renamed:
            self._check_rename(entity_id, str(new_entity_id))
        for key in changes:
            setattr(entity, key, new[key])
        if changes or renamed:
            entity.modified = self._bus.clock.now_us() / SECOND_US
        if renamed:
            self._rename(entity, str(new_entity_id), changes)
        elif changes:
            self._tell_entity(entity, changes)
        return entity

    def _check_rename(self, entity_id: str, new_entity_id: str) -> None:
        if new_entity_id in self.entities or new_entity_id in self._bus.states:
            raise RefusedError("invalid_info", "Entity with this ID is already registered")
        if not new_entity_id.startswith(entity_id.partition(".")[0] + "."):
            raise RefusedError("invalid_info", "New entity ID should be same domain")

    def _rename(self, entity: entries.Entity, new_entity_id: str, changes: dict[str, Any]) -> None:
        """Rename: 2024.3 tells first and then moves the state; later ones tell last, with an earlier time."""
        old_entity_id, entity.entity_id = entity.entity_id, new_entity_id
        self.entities = {entry.entity_id: entry for entry in self.entities.values()}
        changed = {**changes, "entity_id": old_entity_id}
        data = {"action": "update", "entity_id": new_entity_id, "changes": changed, "old_entity_id": old_entity_id}
        notice = Event("entity_registry_updated", self._bus.now_us(), self._bus.context(), data)
        if not self._bus.modern:
            self._bus.tell(notice)
        self._move_state(old_entity_id, new_entity_id)
        if self._bus.modern:
            self._bus.tell(notice)

    def _move_state(self, old_entity_id: str, new_entity_id: str) -> None:
        state = self._bus.states.get(old_entity_id)
        if state is None:
            return
        context = self._bus.context()
        self._bus.remove(old_entity_id, context)
        self._bus.set_state(new_entity_id, state.state, state.attributes, context)

    def _tell_entity(self, entity: entries.Entity, changes: dict[str, Any]) -> None:
        data = {"action": "update", "entity_id": entity.entity_id, "changes": changes}
        self._bus.fire("entity_registry_updated", data)

    def remove_entity(self, entity_id: str) -> None:
        """Remove an entity from the registry, and its state."""
        if self.entities.pop(entity_id, None) is None:
            raise RefusedError("not_found", "Entity not found")
        self._bus.fire("entity_registry_updated", {"action": "remove", "entity_id": entity_id})
        self._bus.remove(entity_id)

    def move_device(self, device_id: str, area_id: str | None) -> entries.Device:
        """Put a device into another area."""
        device = self.devices.get(device_id)
        if device is None:
            raise RefusedError("not_found", "Device not found")
        if device.area_id != area_id:
            changes, device.area_id = {"area_id": device.area_id}, area_id
            data = {"action": "update", "device_id": device_id, "changes": changes}
            self._bus.fire("device_registry_updated", data)
        return device

    def set_entry_state(self, domain: str, state: str) -> None:
        """Let an integration fail, or come back; it fires no event on the bus."""
        for entry in self.config_entries.values():
            if entry.domain == domain and entry.state != state:
                entry.state = state
                self._followers = [follow for follow in self._followers if follow(entry)]

    def follow_entries(self, follow: Callable[[entries.ConfigEntry], bool]) -> None:
        """Call this with each config entry that changes, until it returns False."""
        self._followers.append(follow)

    def add_area(self, name: str) -> entries.Area:
        """Make an area."""
        area = entries.Area(slug(name), name, created=self._bus.clock.now_us() / SECOND_US)
        if area.area_id in self.areas:
            raise RefusedError("invalid_info", f"The name {name} ({area.area_id}) is already in use")
        self.areas[area.area_id] = area
        self._bus.fire("area_registry_updated", {"action": "create", "area_id": area.area_id})
        return area

    def related(self, item_type: str, item_id: str) -> dict[str, list[str]]:
        """Return what belongs to an area, a device or an entity, by kind; nothing for other kinds."""
        if item_type == "area":
            found = {"device": [one.id for one in self.devices.values() if one.area_id == item_id]}
            found["entity"] = [entity_id for entity_id in self.entities if self.area_of(entity_id) == item_id]
            return {**self._above(item_id), **found} if found["device"] or found["entity"] else {}
        if item_type == "device" and (device := self.devices.get(item_id)):
            owned = [one.entity_id for one in self.entities.values() if one.device_id == item_id]
            return {**self._around(device), "entity": owned}
        if item_type == "entity" and (entity := self.entities.get(item_id)):
            return self._around_entity(entity)
        return {}

    def _around_entity(self, entity: entries.Entity) -> dict[str, list[str]]:
        device = self.devices.get(entity.device_id or "")
        found = self._around(device) if device else {}
        if area_id := self.area_of(entity.entity_id):
            found = {"area": [area_id], **self._above(area_id), **found}
        if device:
            found["device"] = [device.id]
        return found | ({"label": entity.labels} if entity.labels and self._bus.modern else {})

    def _around(self, device: entries.Device) -> dict[str, list[str]]:
        found = {"area": [device.area_id], **self._above(device.area_id)} if device.area_id else {}
        found["config_entry"] = [device.config_entry]
        if self._bus.modern:
            found["integration"] = [self.config_entries[device.config_entry].domain]
        return found

    def _above(self, area_id: str) -> dict[str, list[str]]:
        area = self.areas.get(area_id)
        return {"floor": [area.floor_id]} if area and area.floor_id and self._bus.modern else {}


def slug(name: str) -> str:
    """Return a name as it stands in ids: lower case, letters, digits and underscores."""
    return "_".join("".join(sign if sign.isalnum() else " " for sign in name.lower()).split())
