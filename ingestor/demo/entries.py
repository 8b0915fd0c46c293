"""What the demo home's registries hold, and how each version of Home Assistant shows it; changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

#: Short names of `config/entity_registry/list_for_display`.
_CATEGORIES: Final = {"config": 0, "diagnostic": 1}


@dataclass(slots=True)
class Floor:
    """A floor."""

    floor_id: str
    name: str
    level: int
    icon: str | None = None
    created: float = 0.0

    def as_dict(self, modern: bool) -> dict[str, Any]:
        """Return the floor as the given version shows it."""
        if not modern:
            return {"floor_id": self.floor_id, "icon": self.icon, "level": self.level, "name": self.name}
        return {
            "aliases": [],
            "created_at": self.created,
            "floor_id": self.floor_id,
            "icon": self.icon,
            "level": self.level,
            "name": self.name,
            "modified_at": self.created,
        }


@dataclass(slots=True)
class Label:
    """A label."""

    label_id: str
    name: str
    color: str | None = None
    icon: str | None = None
    description: str | None = None
    created: float = 0.0

    def as_dict(self, modern: bool) -> dict[str, Any]:
        """Return the label as the given version shows it."""
        shown = {"color": self.color, **({"created_at": self.created} if modern else {})}
        shown |= {"description": self.description, "icon": self.icon, "label_id": self.label_id, "name": self.name}
        return shown | ({"modified_at": self.created} if modern else {})


@dataclass(slots=True)
class Category:
    """A category: a heading of one of Home Assistant's pages, of its automations, say (`scope`)."""

    category_id: str
    name: str
    scope: str
    icon: str | None = None
    created: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the category as the list of its scope shows it."""
        shown = {"category_id": self.category_id, "created_at": self.created, "icon": self.icon}
        return {**shown, "modified_at": self.created, "name": self.name}


@dataclass(slots=True)
class Area:
    """A room, or the garden."""

    area_id: str
    name: str
    floor_id: str | None = None
    icon: str | None = None
    labels: list[str] = field(default_factory=list)
    created: float = 0.0

    def as_dict(self, modern: bool) -> dict[str, Any]:
        """Return the area as the given version shows it; 2024.3 knows neither its floor nor its labels."""
        if not modern:
            return {"aliases": [], "area_id": self.area_id, "icon": self.icon, "name": self.name, "picture": None}
        return {
            "aliases": [],
            "area_id": self.area_id,
            "floor_id": self.floor_id,
            "humidity_entity_id": None,
            "icon": self.icon,
            "labels": self.labels,
            "name": self.name,
            "picture": None,
            "temperature_entity_id": None,
            "created_at": self.created,
            "modified_at": self.created,
        }


@dataclass(slots=True)
class ConfigEntry:
    """An integration that was set up."""

    entry_id: str
    domain: str
    title: str
    source: str = "user"
    state: str = "loaded"
    created: float = 0.0

    def as_dict(self, modern: bool) -> dict[str, Any]:
        """Return the entry as the given version shows it."""
        shown: dict[str, Any] = {"entry_id": self.entry_id, "domain": self.domain}
        if modern:
            shown = {"created_at": self.created, **shown, "modified_at": self.created}
        shown |= {"title": self.title, "source": self.source, "state": self.state, "supports_options": True}
        shown |= {"supports_remove_device": False, "supports_unload": True}
        if modern:
            shown |= {"supports_reconfigure": False, "supported_subentry_types": {}}
        shown |= {"pref_disable_new_entities": False, "pref_disable_polling": False, "disabled_by": None}
        shown["reason"] = None
        if modern:
            shown |= {"error_reason_translation_key": None, "error_reason_translation_placeholders": None}
            shown["num_subentries"] = 0
        return shown


@dataclass(slots=True)
class Device:
    """A device."""

    id: str
    name: str
    config_entry: str
    identifiers: list[list[str]]
    area_id: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    sw_version: str | None = None
    serial_number: str | None = None
    connections: list[list[str]] = field(default_factory=list)
    via_device_id: str | None = None
    entry_type: str | None = None
    name_by_user: str | None = None
    labels: list[str] = field(default_factory=list)
    created: float = 0.0

    def as_dict(self, modern: bool) -> dict[str, Any]:
        """Return the device as the given version shows it."""
        shown = {
            "area_id": self.area_id,
            "configuration_url": None,
            "config_entries": [self.config_entry],
            "config_entries_subentries": {self.config_entry: [None]},
            "connections": self.connections,
            "created_at": self.created,
            "disabled_by": None,
            "entry_type": self.entry_type,
            "hw_version": None,
            "id": self.id,
            "identifiers": self.identifiers,
            "labels": self.labels,
            "manufacturer": self.manufacturer,
            "model": self.model,
            "model_id": None,
            "modified_at": self.created,
            "name_by_user": self.name_by_user,
            "name": self.name,
            "primary_config_entry": self.config_entry,
            "serial_number": self.serial_number,
            "sw_version": self.sw_version,
            "via_device_id": self.via_device_id,
        }
        return shown if modern else {key: value for key, value in shown.items() if key not in _NEW_IN_DEVICES}


_NEW_IN_DEVICES: Final = frozenset(
    ("config_entries_subentries", "created_at", "labels", "model_id", "modified_at", "primary_config_entry")
)
_NEW_IN_ENTITIES: Final = frozenset(("categories", "config_subentry_id", "created_at", "modified_at"))


@dataclass(slots=True)
class Entity:
    """An entry of the entity registry."""

    id: str
    entity_id: str
    unique_id: str
    platform: str
    original_name: str
    config_entry_id: str | None = None
    device_id: str | None = None
    area_id: str | None = None
    entity_category: str | None = None
    has_entity_name: bool = False
    name: str | None = None
    icon: str | None = None
    labels: list[str] = field(default_factory=list)
    categories: dict[str, str] = field(default_factory=dict)
    device_class: str | None = None
    state_class: str | None = None
    precision: int | None = None
    disabled_by: str | None = None
    hidden_by: str | None = None
    created: float = 0.0
    modified: float = 0.0

    def as_dict(self, modern: bool) -> dict[str, Any]:
        """Return the entry as a list of the given version shows it."""
        shown = {
            "area_id": self.area_id,
            "categories": self.categories,
            "config_entry_id": self.config_entry_id,
            "config_subentry_id": None,
            "created_at": self.created,
            "device_id": self.device_id,
            "disabled_by": self.disabled_by,
            "entity_category": self.entity_category,
            "entity_id": self.entity_id,
            "has_entity_name": self.has_entity_name,
            "hidden_by": self.hidden_by,
            "icon": self.icon,
            "id": self.id,
            "labels": self.labels,
            "modified_at": self.modified,
            "name": self.name,
            "options": {"conversation": {"should_expose": False}},
            "original_name": self.original_name,
            "platform": self.platform,
            "translation_key": None,
            "unique_id": self.unique_id,
        }
        return shown if modern else {key: value for key, value in shown.items() if key not in _NEW_IN_ENTITIES}

    def extended(self, modern: bool) -> dict[str, Any]:
        """Return the entry as `config/entity_registry/get` shows it."""
        return self.as_dict(modern) | {
            "aliases": [],
            "capabilities": {"state_class": self.state_class} if self.state_class else None,
            "device_class": None,
            "original_device_class": self.device_class,
            "original_icon": None,
        }

    def for_display(self) -> dict[str, Any]:
        """Return the entry in the short form of `list_for_display`."""
        shown: dict[str, Any] = {"ei": self.entity_id, "pl": self.platform}
        short = {"ai": self.area_id, "di": self.device_id, "ic": self.icon, "hb": self.hidden_by or None}
        shown |= {key: value for key, value in short.items() if value is not None}
        shown["lb"] = self.labels
        if self.entity_category:
            shown["ec"] = _CATEGORIES[self.entity_category]
        shown |= {"hn": True} if self.has_entity_name else {}
        shown["en"] = self.name or self.original_name
        return shown | ({"dp": self.precision} if self.precision is not None else {})
