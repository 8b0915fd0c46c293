"""How the commands of `home` find an object by what a person calls it, and how they show it; prints nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from ingestor import errors

if TYPE_CHECKING:
    from ingestor.home.objects import Held
    from ingestor.home.objects_store import RegistryObjects

_US: Final = 1_000_000
_NAMES: Final = ("name_by_user", "name", "title", "alias", "original_name")
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


def find(store: RegistryObjects, home: str, kind: str, text: str, at_us: int | None = None) -> tuple[str, Held]:
    """Return the object that a person means: by id, by entity_id, by name; one that has gone too, if none lives.

    Raises IngestorError where there is none, or where there are several.
    """
    known = store.last_known(home, kind)
    if at_us is None:
        key = _match({key: held.data for key, held in known.items() if held.until_us is None}, text) or _match(
            {key: held.data for key, held in known.items()}, text
        )
        if key is not None:
            return key, known[key]
    else:
        then = store.load(home, kind, at_us).get(kind, {})
        key = _match(then, text) or _match({key: held.data for key, held in known.items()}, text)
        for held in store.history(home, kind, key) if key is not None else ():
            if held.from_us <= at_us and (held.until_us is None or held.until_us > at_us):
                return str(key), held
    raise errors.IngestorError(f"no {kind.replace('_', ' ')} is known as {text!r}{' at that time' if at_us else ''}")


def _match(objects: Mapping[str, Mapping[str, Any]], text: str) -> str | None:
    if text in objects:
        return text
    wanted = text.casefold()
    for by in (_entity_id, _shown_name):
        found = [key for key, data in objects.items() if by(data).casefold() == wanted]
        if len(found) > 1:
            raise errors.IngestorError(f"{text!r} names {len(found)} of them; their ids: {', '.join(sorted(found))}")
        if found:
            return found[0]
    return None


def _entity_id(data: Mapping[str, Any]) -> str:
    return str(data.get("entity_id") or "")


def _shown_name(data: Mapping[str, Any]) -> str:
    return name_of(data, "")


def name_of(data: Mapping[str, Any], otherwise: str) -> str:
    """Return what an object is called."""
    return next((str(data[key]) for key in _NAMES if data.get(key)), otherwise)


def former_names(history: Sequence[Held], entity_id: str) -> list[str]:
    """Return the entity_ids that an entity had before, oldest first."""
    names = dict.fromkeys(_entity_id(held.data) for held in history)
    return [name for name in names if name and name != entity_id]


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


def moment(time_us: int | None) -> str | None:
    """Return a time as ISO text, in UTC."""
    return None if time_us is None else datetime.fromtimestamp(time_us / _US, UTC).isoformat(timespec="seconds")
