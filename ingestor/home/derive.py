"""From Home Assistant's registries to the place of each entity as it is now; keeps nothing, asks nobody.

Takes the shapes of 2024 to 2026: a key that a version leaves out counts as empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ingestor.events.event import Place
from ingestor.home.model import domain_of

_MAX_PARENTS: Final = 10
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Registries:
    """What one home answered. While Home Assistant starts, states are missing."""

    entities: Sequence[Row] = ()
    devices: Sequence[Row] = ()
    areas: Sequence[Row] = ()
    floors: Sequence[Row] = ()
    labels: Sequence[Row] = ()
    states: Sequence[Row] = ()
    #: The newest time that Home Assistant's own clock has put on any of it (Unix, microseconds); 0: none.
    newest_us: int = 0


@dataclass(frozen=True, slots=True)
class Current:
    """An entity as it is now. `registry_id` is "" for one without a registry entry.

    The place has no series yet (`home.merge` knows it). `class_known` is False where neither registry nor state
    said a device class: what was known before stands then.
    """

    registry_id: str
    place: Place
    class_known: bool


@dataclass(slots=True)
class _Names:
    """The registries by id."""

    devices: dict[str, Row] = field(default_factory=dict)
    areas: dict[str, Row] = field(default_factory=dict)
    floors: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, Row] = field(default_factory=dict)


def derive(registries: Registries) -> dict[str, Current]:
    """Return every entity of the registry, and every one that only has a state, by entity_id."""
    names = _Names(
        devices=_by(registries.devices, "id"),
        areas=_by(registries.areas, "area_id"),
        floors={key: _text(row.get("name")) for key, row in _by(registries.floors, "floor_id").items()},
        labels={key: _text(row.get("name")) for key, row in _by(registries.labels, "label_id").items()},
        attributes={key: _object(row.get("attributes")) for key, row in _by(registries.states, "entity_id").items()},
    )
    found = {
        entity_id: _of_registry(entity_id, entity, names)
        for entity_id, entity in _by(registries.entities, "entity_id").items()
    }
    for entity_id in names.attributes:
        if entity_id not in found:
            found[entity_id] = _of_state(entity_id, names)
    return found


def _of_registry(entity_id: str, entity: Row, names: _Names) -> Current:
    device = names.devices.get(_text(entity.get("device_id")), {})
    area = names.areas.get(_area_id(entity, device, names), {})
    device_class, class_known = _device_class(entity_id, entity, names)
    place = Place(
        series="",
        domain=domain_of(entity_id),
        area=_text(area.get("name")),
        floor=names.floors.get(_text(area.get("floor_id")), ""),
        device=_device_name(device, names),
        device_class=device_class,
        integration=_text(entity.get("platform")),
        labels=_labels([*_items(entity.get("labels")), *_items(device.get("labels"))], names),
    )
    return Current(_text(entity.get("id")) or entity_id, place, class_known)


def _of_state(entity_id: str, names: _Names) -> Current:
    device_class, _ = _device_class(entity_id, {}, names)
    return Current("", Place(series="", domain=domain_of(entity_id), device_class=device_class), class_known=True)


def _area_id(entity: Row, device: Row, names: _Names) -> str:
    """Return the effective area: the entity's own, else its device's, else that of a device it is part of."""
    if entity.get("area_id"):
        return _text(entity["area_id"])
    for one in _with_parents(device, names):
        if one.get("area_id"):
            return _text(one["area_id"])
    return ""


def _device_name(device: Row, names: _Names) -> str:
    """Return the name that the user gave, else the integration's, else that of the device it is part of."""
    for one in _with_parents(device, names):
        if name := one.get("name_by_user") or one.get("name"):
            return _text(name)
    return ""


def _with_parents(device: Row, names: _Names) -> Iterable[Row]:
    # `via_device_id` is no parent: what a hub connects does not stand where the hub stands.
    for _ in range(_MAX_PARENTS):
        if not device:
            return
        yield device
        device = names.devices.get(_text(device.get("parent_device_id")), {})


def _device_class(entity_id: str, entity: Row, names: _Names) -> tuple[str, bool]:
    """Return the device class, and whether anybody knows: a disabled entity has no state to tell it."""
    if chosen := entity.get("device_class") or entity.get("original_device_class"):
        return _text(chosen), True
    attributes = names.attributes.get(entity_id)
    if attributes is None:
        return "", False
    return _text(attributes.get("device_class")), True


def _labels(label_ids: Iterable[Any], names: _Names) -> tuple[str, ...]:
    return tuple(sorted({names.labels.get(one, one) for one in map(_text, label_ids)} - {""}))


def _by(rows: Iterable[Row], key: str) -> dict[str, Row]:
    return {row[key]: row for row in rows if isinstance(row, dict) and isinstance(row.get(key), str)}


def _object(value: Any) -> Row:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
