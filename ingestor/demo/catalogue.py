"""What devices there are in shops and in which rooms people put them: data for the demo home, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class EntityKind:
    """An entity that a device has: how it is called, what it measures, how it behaves and how often (0: on events)."""

    domain: str
    name: str
    behaviour: str
    every_s: float = 0.0
    device_class: str | None = None
    unit: str | None = None
    state_class: str | None = None
    category: str | None = None
    precision: int | None = None
    attributes: Mapping[str, Any] = field(default_factory=lambda: _NONE)


@dataclass(frozen=True, slots=True)
class DeviceKind:
    """A device that can be bought: its integration, and what it shows."""

    name: str
    integration: str
    manufacturer: str
    model: str
    entities: tuple[EntityKind, ...]
    hub: str | None = None


def _measured(
    name: str,
    behaviour: str,
    every_s: float,
    device_class: str | None,
    unit: str,
    *,
    precision: int = 1,
    category: str | None = None,
) -> EntityKind:
    return EntityKind("sensor", name, behaviour, every_s, device_class, unit, "measurement", category, precision)


def _detected(name: str, behaviour: str, device_class: str) -> EntityKind:
    return EntityKind("binary_sensor", name, behaviour, 0, device_class)


_BATTERY: Final = _measured("Battery", "battery", 3600, "battery", "%", precision=0, category="diagnostic")
_LINK: Final = _measured("Linkquality", "link", 240, None, "lqi", precision=0, category="diagnostic")
_SIGNAL: Final = _measured(
    "Signal strength", "signal", 300, "signal_strength", "dBm", precision=0, category="diagnostic"
)
_POWER: Final = _measured("Power", "power", 10, "power", "W")
_ENERGY: Final = EntityKind("sensor", "Energy", "energy", 30, "energy", "kWh", "total_increasing", None, 3)
_UPDATE: Final = EntityKind(
    "update",
    "Firmware",
    "constant",
    0,
    "firmware",
    category="config",
    attributes={"auto_update": False, "installed_version": "1.14.0", "latest_version": "1.14.0", "in_progress": False},
)

_KELVINS: Final = {"min_color_temp_kelvin": 2202, "max_color_temp_kelvin": 6535}
LIGHT: Final = DeviceKind(
    "Light",
    "hue",
    "Signify Netherlands B.V.",
    "Hue white ambiance (LTA001)",
    (
        EntityKind(
            "light",
            "",
            "light",
            attributes={**_KELVINS, "supported_color_modes": ["color_temp"], "supported_features": 40},
        ),
    ),
    hub="Hue Bridge",
)
MOTION: Final = DeviceKind(
    "Motion",
    "mqtt",
    "Aqara",
    "Motion sensor P1 (RTCGQ14LM)",
    (
        _detected("Occupancy", "motion", "occupancy"),
        _measured("Illuminance", "illuminance", 45, "illuminance", "lx", precision=0),
        _BATTERY,
        _LINK,
    ),
    hub="Zigbee Coordinator",
)
CLIMATE_SENSOR: Final = DeviceKind(
    "Climate",
    "mqtt",
    "Aqara",
    "Temperature and humidity sensor (WSDCGQ11LM)",
    (
        _measured("Temperature", "temperature", 40, "temperature", "°C", precision=2),
        _measured("Humidity", "humidity", 60, "humidity", "%", precision=1),
        _measured("Pressure", "pressure", 300, "atmospheric_pressure", "hPa", precision=1),
        _BATTERY,
        _LINK,
    ),
    hub="Zigbee Coordinator",
)
CONTACT: Final = DeviceKind(
    "Window",
    "mqtt",
    "Aqara",
    "Door and window sensor (MCCGQ11LM)",
    (_detected("Contact", "contact", "window"), _BATTERY, _LINK),
    hub="Zigbee Coordinator",
)
PLUG: Final = DeviceKind(
    "Plug",
    "shelly",
    "Shelly",
    "Shelly Plus Plug S",
    (
        EntityKind("switch", "", "switch", device_class="outlet"),
        _POWER,
        _ENERGY,
        _measured("Voltage", "voltage", 60, "voltage", "V"),
        _SIGNAL,
    ),
)
THERMOSTAT: Final = DeviceKind(
    "Radiator",
    "mqtt",
    "Danfoss",
    "Icon Zigbee thermostat (014G2461)",
    (
        EntityKind(
            "climate",
            "",
            "thermostat",
            90,
            attributes={"hvac_modes": ["heat", "off"], "min_temp": 5.0, "max_temp": 35.0, "supported_features": 385},
        ),
        _measured("Valve position", "valve", 120, None, "%", precision=0),
        _BATTERY,
    ),
    hub="Zigbee Coordinator",
)
COVER: Final = DeviceKind(
    "Blind",
    "mqtt",
    "IKEA of Sweden",
    "FYRTUR roller blind",
    (EntityKind("cover", "", "cover", device_class="blind", attributes={"supported_features": 15}), _BATTERY),
    hub="Zigbee Coordinator",
)
AIR: Final = DeviceKind(
    "Air",
    "esphome",
    "Espressif",
    "esp32dev (scd41)",
    (
        _measured("CO2", "co2", 30, "carbon_dioxide", "ppm", precision=0),
        _measured("Temperature", "temperature", 30, "temperature", "°C", precision=2),
        _measured("Humidity", "humidity", 45, "humidity", "%", precision=1),
        _SIGNAL,
    ),
)
SMOKE: Final = DeviceKind(
    "Smoke detector",
    "mqtt",
    "HEIMAN",
    "Smoke detector (HS1SA)",
    (_detected("Smoke", "never", "smoke"), _BATTERY),
    hub="Zigbee Coordinator",
)
MEDIA: Final = DeviceKind(
    "TV", "cast", "Sony", "BRAVIA 4K VH2", (EntityKind("media_player", "", "media", device_class="tv"),)
)
APPLIANCE: Final = DeviceKind(
    "Washing machine",
    "home_connect",
    "Bosch",
    "WAX32M00",
    (
        EntityKind(
            "sensor", "Operation state", "constant", 0, "enum", attributes={"options": ["ready", "run", "finished"]}
        ),
        _POWER,
        _ENERGY,
        _detected("Door", "contact", "door"),
    ),
)
LEAK: Final = DeviceKind(
    "Leak",
    "mqtt",
    "Aqara",
    "Water leak sensor (SJCGQ11LM)",
    (_detected("Moisture", "never", "moisture"), _BATTERY, _LINK),
    hub="Zigbee Coordinator",
)

#: One of a kind, and the room that each stands in.
SINGLE: Final = (
    (
        DeviceKind(
            "Electricity meter",
            "dsmr",
            "Landis+Gyr",
            "E360",
            (
                _measured("Power consumption", "meter", 10, "power", "kW", precision=3),
                EntityKind("sensor", "Energy consumption", "energy", 30, "energy", "kWh", "total_increasing", None, 3),
                EntityKind("sensor", "Gas consumption", "gas", 300, "gas", "m³", "total_increasing", None, 3),
                _measured("Voltage phase 1", "voltage", 60, "voltage", "V"),
            ),
        ),
        "hallway",
    ),
    (
        DeviceKind(
            "Solar",
            "enphase_envoy",
            "Enphase",
            "Envoy-S Metered",
            (
                _measured("Production", "solar", 10, "power", "W", precision=0),
                EntityKind("sensor", "Energy production", "energy", 30, "energy", "kWh", "total_increasing", None, 3),
            ),
        ),
        "attic",
    ),
    (
        DeviceKind(
            "Router",
            "fritz",
            "AVM",
            "FRITZ!Box 7590",
            (
                _measured("Download throughput", "throughput", 15, "data_rate", "kB/s", precision=1),
                _measured("Upload throughput", "throughput", 15, "data_rate", "kB/s", precision=1),
                _UPDATE,
            ),
        ),
        "office",
    ),
    (DeviceKind("Hue Bridge", "hue", "Signify Netherlands B.V.", "Hue Bridge V2 (BSB002)", (_UPDATE,)), "office"),
    (
        DeviceKind("Zigbee Coordinator", "mqtt", "Nabu Casa", "Home Assistant Connect ZBT-1", (_UPDATE,)),
        "office",
    ),
)

#: The floors, from below: id, name, level.
FLOORS: Final = (("ground_floor", "Ground floor", 0), ("first_floor", "First floor", 1), ("attic_floor", "Attic", 2))
#: The labels: id, name, colour.
LABELS: Final = (
    ("energy", "Energy", "#ffbf00"),
    ("security", "Security", "#ff0000"),
    ("comfort", "Comfort", "#4caf50"),
)

#: Of automations: what each is called by.
CATEGORIES: Final = (
    ("01M7Y04H8P00000000000LIGHT", "Light", "mdi:lightbulb"),
    ("01M7Y04H8P00000000000HOUSE", "House", "mdi:home"),
)

_BASE: Final = (MOTION, LIGHT, CLIMATE_SENSOR)
_MORE: Final = (CONTACT, PLUG, THERMOSTAT, SMOKE)
_FULL: Final = (*_BASE, *_MORE)
#: The rooms: area id, name, floor, and what is in each, the most telling first.
ROOMS: Final = (
    ("hallway", "Hallway", "ground_floor", (MOTION, LIGHT, SMOKE, CONTACT)),
    ("living_room", "Living room", "ground_floor", (*_BASE, MEDIA, COVER, *_MORE, AIR)),
    ("kitchen", "Kitchen", "ground_floor", (*_FULL, AIR, LEAK)),
    ("dining_room", "Dining room", "ground_floor", (MOTION, LIGHT, CLIMATE_SENSOR, CONTACT, PLUG)),
    ("utility_room", "Utility room", "ground_floor", (MOTION, LIGHT, APPLIANCE, LEAK, PLUG)),
    ("garage", "Garage", "ground_floor", (MOTION, LIGHT, CONTACT, PLUG)),
    ("bedroom", "Bedroom", "first_floor", (*_BASE, COVER, *_MORE, AIR)),
    ("nursery", "Nursery", "first_floor", (*_FULL, AIR)),
    ("bathroom", "Bathroom", "first_floor", (MOTION, LIGHT, CLIMATE_SENSOR, LEAK, THERMOSTAT)),
    ("office", "Office", "first_floor", (*_FULL, AIR)),
    ("attic", "Attic", "attic_floor", (MOTION, LIGHT, CLIMATE_SENSOR, SMOKE)),
    ("garden", "Garden", None, (MOTION, LIGHT, CLIMATE_SENSOR, PLUG)),
)

#: What is bought again and again, when a home of many entities is asked for.
MORE: Final = (PLUG, CLIMATE_SENSOR, LIGHT, CONTACT)

#: Who lives here: object id, name, phone.
PEOPLE: Final = (("anna", "Anna", "Pixel 9"), ("ben", "Ben", "iPhone 17"))
