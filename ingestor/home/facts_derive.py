"""From what a home answered to its facts; keeps nothing, asks nobody."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ingestor.home.derive import Current, Registries
from ingestor.home.facts import (
    AreaFacts,
    AutomationFacts,
    DeviceFacts,
    HomeFacts,
    IntegrationFacts,
    PersonFacts,
    ZoneFacts,
)
from ingestor.home.model import domain_of
from ingestor.home.reading import Reading

Row = Mapping[str, Any]
_MAX_PARENTS: Final = 10
_CLIMATE: Final = ("temperature", "humidity")
#: How integrations call the link quality of Zigbee; it has no device class.
_LINK_QUALITY: Final = ("linkquality", "link_quality", "lqi")


@dataclass(frozen=True, slots=True)
class _Home:
    """What one home answered, by id."""

    registries: Registries
    current: Mapping[str, Current]
    entities: Mapping[str, Row]
    attributes: Mapping[str, Row]


def derive_facts(home: str, registries: Registries, current: Mapping[str, Current], reading: Reading) -> HomeFacts:
    """Return the facts of a home; `current` is what `derive` made of the registries. The version is not set."""
    found = _Home(
        registries,
        current,
        {str(row.get("entity_id")): row for row in registries.entities},
        {str(row.get("entity_id")): _object(row.get("attributes")) for row in registries.states},
    )
    config, units = reading.config, _object(reading.config.get("unit_system"))
    return HomeFacts(
        home=home,
        latitude=_number(config.get("latitude")),
        longitude=_number(config.get("longitude")),
        elevation_m=_number(config.get("elevation")) or 0.0,
        time_zone=_text(config.get("time_zone")),
        country=_text(config.get("country")),
        temperature_unit=_text(units.get("temperature")),
        ha_version=_text(config.get("version")),
        areas=_areas(found),
        persons=[_person(*one) for one in _of_domain(found, "person")],
        zones=[zone for one in _of_domain(found, "zone") if (zone := _zone(*one))],
        weather_entity_ids=[entity_id for entity_id, _ in _of_domain(found, "weather")],
        integrations=_integrations(reading),
        devices=_devices(found, reading),
        entity_devices=_entity_devices(found),
        users={_text(row.get("id")): _text(row.get("name")) for row in reading.users or ()},
        automations={one.entity_id: one for one in _automations(found)},
        hidden=list(reading.hidden),
    )


def _areas(found: _Home) -> dict[str, AreaFacts]:
    floors = {row.get("floor_id"): _text(row.get("name")) for row in found.registries.floors}
    sensors = _climate_sensors(found)
    made = {}
    for row in found.registries.areas:
        area_id, name = _text(row.get("area_id")), _text(row.get("name"))
        chosen = [_text(row.get(f"{kind}_entity_id")) or sensors.get((name, kind), "") for kind in _CLIMATE]
        made[area_id] = AreaFacts(area_id, name, floors.get(row.get("floor_id"), ""), *chosen)
    return dict(sorted(made.items()))


def _climate_sensors(found: _Home) -> dict[tuple[str, str], str]:
    """Return the first fitting sensor of each area and kind.

    A device that measures both stands in the room; one that measures a temperature alone may as well be a fridge.
    """
    kinds: dict[str, set[str]] = defaultdict(set)
    fitting = []
    for entity_id, one in found.current.items():
        place, row = one.place, found.entities.get(entity_id, {})
        if place.device_class not in _CLIMATE or place.domain != "sensor" or not place.area or not _is_shown(row):
            continue
        device = _text(row.get("device_id")) or entity_id
        kinds[device].add(place.device_class)
        fitting.append((entity_id, place, device))
    fitting.sort(key=lambda one: (len(kinds[one[2]]) < len(_CLIMATE), one[0]))
    chosen: dict[tuple[str, str], str] = {}
    for entity_id, place, _ in fitting:
        chosen.setdefault((place.area, place.device_class), entity_id)
    return chosen


def _is_shown(row: Row) -> bool:
    return not any(row.get(key) for key in ("disabled_by", "hidden_by", "entity_category"))


def _of_domain(found: _Home, domain: str) -> Iterator[tuple[str, Row]]:
    """Yield the entities of a domain that have a state, and the attributes of those."""
    yield from ((key, found.attributes[key]) for key in sorted(found.attributes) if domain_of(key) == domain)


def _person(entity_id: str, attributes: Row) -> PersonFacts:
    return PersonFacts(entity_id, _name(entity_id, attributes), _text(attributes.get("user_id")))


def _zone(entity_id: str, attributes: Row) -> ZoneFacts | None:
    latitude, longitude = _number(attributes.get("latitude")), _number(attributes.get("longitude"))
    if latitude is None or longitude is None:
        return None
    radius_m = _number(attributes.get("radius")) or 0.0
    return ZoneFacts(entity_id, _name(entity_id, attributes), latitude, longitude, radius_m)


def _automations(found: _Home) -> Iterator[AutomationFacts]:
    for entity_id in sorted({*found.attributes, *found.entities}):
        if (domain := domain_of(entity_id)) not in {"automation", "script"}:
            continue
        row, attributes = found.entities.get(entity_id, {}), found.attributes.get(entity_id, {})
        own_id = _text(attributes.get("id")) or _text(row.get("unique_id")) if domain == "automation" else ""
        name = _text(attributes.get("friendly_name")) or _text(row.get("name")) or _text(row.get("original_name"))
        yield AutomationFacts(entity_id, name or entity_id, own_id)


def _integrations(reading: Reading) -> dict[str, IntegrationFacts]:
    states = _entry_states(reading.config_entries or ())
    manifests = {_text(row.get("domain")): row for row in reading.manifests or ()}
    made = {}
    for domain in sorted({*states, *manifests} - {""}):
        manifest = manifests.get(domain, {})
        # A built-in integration has no version of its own: it is that of Home Assistant.
        version = _text(manifest.get("version")) or (
            _text(reading.config.get("version")) if manifest.get("is_built_in") else ""
        )
        made[domain] = IntegrationFacts(
            domain,
            name=_text(manifest.get("name")) or domain,
            version=version,
            quality_scale=_text(manifest.get("quality_scale")),
            iot_class=_text(manifest.get("iot_class")),
            state=states.get(domain, ""),
            loggers=tuple(one for one in manifest.get("loggers") or () if isinstance(one, str)),
        )
    return made


def _entry_states(entries: Iterable[Row]) -> dict[str, str]:
    """Return the state of each integration: of its entries the first that is not loaded speaks for all."""
    states: dict[str, str] = {}
    for row in entries:
        domain, state = _text(row.get("domain")), _text(row.get("state"))
        if row.get("disabled_by"):
            states.setdefault(domain, "disabled")
        elif states.get(domain, "loaded") in {"loaded", "disabled"}:
            states[domain] = state
    return states


def _devices(found: _Home, reading: Reading) -> dict[str, DeviceFacts]:
    domains = {_text(row.get("entry_id")): _text(row.get("domain")) for row in reading.config_entries or ()}
    areas = {_text(row.get("area_id")): _text(row.get("name")) for row in found.registries.areas}
    rows = {_text(row.get("id")): row for row in found.registries.devices}
    network = _network_entities(found)
    made = {}
    for device_id, row in sorted(rows.items()):
        lineage = list(_with_parents(row, rows))
        kinds = network.get(device_id, {})
        made[device_id] = DeviceFacts(
            device_id,
            name=next((_text(name) for one in lineage if (name := one.get("name_by_user") or one.get("name"))), ""),
            area=next((areas.get(area_id, "") for one in lineage if (area_id := _text(one.get("area_id")))), ""),
            link_quality_entity_id=kinds.get("link_quality", ""),
            signal_entity_id=kinds.get("signal_strength", ""),
            battery_entity_id=kinds.get("battery", ""),
            via_device_id=_text(row.get("via_device_id")) or _text(row.get("parent_device_id")),
            integration=next((domains.get(entry, "") for one in lineage if (entry := _entry_of(one))), ""),
        )
    return made


def _with_parents(row: Row, rows: Mapping[str, Row]) -> Iterator[Row]:
    for _ in range(_MAX_PARENTS):
        yield row
        parent = rows.get(_text(row.get("parent_device_id")))
        if parent is None:
            return
        row = parent


def _network_entities(found: _Home) -> dict[str, dict[str, str]]:
    made: dict[str, dict[str, str]] = defaultdict(dict)
    for entity_id, row in sorted(found.entities.items()):
        device_id, one = _text(row.get("device_id")), found.current.get(entity_id)
        if not device_id or one is None or one.place.domain != "sensor" or row.get("disabled_by"):
            continue
        kind = one.place.device_class
        if kind in {"battery", "signal_strength"}:
            made[device_id].setdefault(kind, entity_id)
        elif not kind and _is_link_quality(entity_id, row, found.attributes.get(entity_id, {})):
            made[device_id].setdefault("link_quality", entity_id)
    return made


def _is_link_quality(entity_id: str, row: Row, attributes: Row) -> bool:
    if attributes.get("unit_of_measurement") == "lqi" or row.get("translation_key") in _LINK_QUALITY:
        return True
    return entity_id.endswith(_LINK_QUALITY) or _text(row.get("unique_id")).endswith(_LINK_QUALITY)


def _entity_devices(found: _Home) -> dict[str, str]:
    return {key: str(row["device_id"]) for key, row in sorted(found.entities.items()) if row.get("device_id")}


def _entry_of(row: Row) -> str:
    """Return the config entry of a device, in the shapes of 2024 to 2027."""
    several = row.get("config_entries")
    first = several[0] if isinstance(several, list) and several else ""
    return _text(row.get("config_entry_id") or row.get("primary_config_entry") or first)


def _name(entity_id: str, attributes: Row) -> str:
    return _text(attributes.get("friendly_name")) or entity_id


def _object(value: Any) -> Row:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None
