"""How the commands of `home` show an object; prints nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson

from ingestor.reading.objects import name_of

if TYPE_CHECKING:
    from ingestor.home.objects import Held

_MAX_CELL: Final = 100
#: What the table of a kind shows beside the id.
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "area": ("name", "floor_id", "labels"),
    "floor": ("name", "level"),
    "category": ("name", "scope"),
    "device": ("name", "manufacturer", "model", "area_id", "via_device_id"),
    "entity": ("entity_id", "name", "platform", "device_id", "area_id", "disabled_by"),
    "config_entry": ("title", "domain", "state", "reason", "disabled_by"),
    "discovery": ("title", "handler", "source"),
    "user": ("name", "is_admin", "is_active", "system_generated"),
    "manifest": ("name", "version", "quality_scale", "iot_class"),
    "service": ("name", "description"),
    "person": ("name", "user_id", "device_trackers"),
    "zone": ("name", "latitude", "longitude", "radius"),
    "scene": ("name", "entities"),
    "automation": ("name", "id", "mode"),
    "script": ("name", "mode"),
    "blueprint": ("name", "domain", "used_by"),
    "issue": ("severity", "issue_domain", "translation_key", "ignored"),
    "zigbee_device": ("name", "device_type", "manufacturer", "model"),
    "zwave_node": ("node_id", "is_routing", "is_dead", "repeaters", "device_id", "entry_id"),
}


def columns_of(kind: str) -> tuple[str, ...]:
    """Return what the table of a kind shows beside the id."""
    return _COLUMNS.get(kind, ("name",))


def changes(history: Sequence[Held]) -> list[str]:
    """Return for each state of an object what is different from the one before."""
    told, before = [], None
    for held in history:
        told.append("" if before is None else _difference(before.data, held.data))
        before = held
    return told


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    keys = sorted(key for key in {*old, *new} - {"modified_at"} if old.get(key) != new.get(key))
    return "; ".join(f"{key}: {cell(old, key) or '-'} → {cell(new, key) or '-'}" for key in keys)


def cell(data: Mapping[str, Any], key: str) -> str:
    """Return a value as a table shows it."""
    value = name_of(data, "") if key == "name" else data.get(key)
    if value is None or value == "":
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return text if len(text) <= _MAX_CELL else f"{text[: _MAX_CELL - 1]}…"
