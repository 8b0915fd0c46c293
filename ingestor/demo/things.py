"""How each entity of the demo home behaves: its next state from the world, the time and what it was; sets nothing."""

# ruff: noqa: ARG001 - a table calls all of them alike, not each needs all it is given

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ingestor.demo import chance
from ingestor.demo.catalogue import EntityKind
from ingestor.demo.clock import DAY_US, HOUR_US, SECOND_US
from ingestor.demo.wire import iso
from ingestor.demo.world import World

#: A state, and its attributes where they change with it.
Reading = tuple[str, dict[str, Any] | None]

_COOL_ROOMS: Final = frozenset(("garage", "attic", "utility_room"))
_STRONG: Final = {"Washing machine": 420.0, "TV": 110.0}


@dataclass(slots=True)
class Thing:
    """An entity that lives: what it is, where it stands, and what it remembers."""

    entity_id: str
    kind: EntityKind
    friendly_name: str
    chance: random.Random
    area_id: str = ""
    device_id: str = ""
    available: bool = True
    value: float = 0.0
    last_us: int = 0
    memory: dict[str, Any] = field(default_factory=dict)

    def attributes(self, **more: Any) -> dict[str, Any]:
        """Return the entity's attributes in Home Assistant's order, with those that change."""
        kind = self.kind
        found: dict[str, Any] = {"state_class": kind.state_class} if kind.state_class else {}
        found |= {key: value for key, value in kind.attributes.items() if key != "supported_features"}
        found |= more
        if kind.unit:
            found["unit_of_measurement"] = kind.unit
        if kind.device_class:
            found["device_class"] = kind.device_class
        found["friendly_name"] = self.friendly_name
        if "supported_features" in kind.attributes:
            found["supported_features"] = kind.attributes["supported_features"]
        return found

    def number(self, value: float) -> Reading:
        """Return a measured value as a state."""
        return f"{value:.{self.kind.precision or 0}f}", None


def read(thing: Thing, world: World, now_us: int) -> Reading:
    """Return the next state of an entity that is read from time to time."""
    return _BEHAVIOURS[thing.kind.behaviour](thing, world, now_us)


def first(thing: Thing, world: World, now_us: int) -> tuple[str, dict[str, Any]]:
    """Return the state and all attributes that an entity starts with."""
    state, attributes = read(thing, world, now_us)
    return state, thing.attributes() if attributes is None else attributes


def light_attributes(thing: Thing, brightness: int | None, kelvin: int = 2700) -> dict[str, Any]:
    """Return the attributes of a light; None: it is off."""
    is_on = brightness is not None
    return thing.attributes(
        color_mode="color_temp" if is_on else None,
        brightness=brightness,
        color_temp_kelvin=kelvin if is_on else None,
    )


def _inside(thing: Thing, world: World, now_us: int) -> float:
    """Return the temperature of the room: heated by day, a little of the outside, slow noise, its own warmth."""
    if thing.area_id == "garden":
        return world.temperature(now_us)
    wanted = 15.5 if thing.area_id in _COOL_ROOMS else 20.3
    hour = world.hour(now_us)
    day = 0.8 * math.sin(2 * math.pi * (hour - 11) / 24)
    own = 0.7 * chance.noise(f"room {thing.area_id}", now_us / (2 * HOUR_US))
    return wanted + day + own + 0.06 * (world.temperature(now_us) - 10)


def _temperature(thing: Thing, world: World, now_us: int) -> Reading:
    return thing.number(_inside(thing, world, now_us) + thing.chance.gauss(0, 0.03))


def _humidity(thing: Thing, world: World, now_us: int) -> Reading:
    if thing.area_id == "garden":
        return thing.number(world.humidity(now_us))
    shower = 18 * max(0.0, chance.noise("shower", now_us / (HOUR_US / 2))) if thing.area_id == "bathroom" else 0
    slow = 5 * chance.noise(f"humid {thing.area_id}", now_us / (3 * HOUR_US))
    return thing.number(48 + slow + shower + thing.chance.gauss(0, 0.15))


def _pressure(thing: Thing, world: World, now_us: int) -> Reading:
    return thing.number(world.pressure(now_us) + thing.chance.gauss(0, 0.05))


def _illuminance(thing: Thing, world: World, now_us: int) -> Reading:
    share = 9000 if thing.area_id == "garden" else 420
    lamp = 90 if thing.memory.get("lit") else 0
    return thing.number(max(0.0, share * world.daylight(now_us) * (1 + thing.chance.gauss(0, 0.03)) + lamp))


def _co2(thing: Thing, world: World, now_us: int) -> Reading:
    crowd = world.movements(thing.area_id, now_us, anyone_home=True)
    return thing.number(
        430 + 28 * crowd + 60 * chance.noise(thing.entity_id, now_us / HOUR_US) + thing.chance.gauss(0, 4)
    )


def _watts(thing: Thing, world: World, now_us: int) -> float:
    """Return what the device of this entity draws: its own size, on and off over the day, never below standby."""
    if thing.memory.get("off"):
        return 0.0
    size = 4 + 90 * chance.fraction("size", thing.device_id) ** 2
    size = next((watts for name, watts in _STRONG.items() if name in thing.friendly_name), size)
    use = chance.noise(f"use {thing.device_id}", now_us / (HOUR_US / 1.5))
    awake = 1.0 if 7 <= world.hour(now_us) < 23 else 0.3  # noqa: PLR2004 - the hours of the day
    return 0.8 + size * awake * max(0.03, use)


def _power(thing: Thing, world: World, now_us: int) -> Reading:
    watts = _watts(thing, world, now_us)
    return thing.number(max(0.0, watts * (1 + thing.chance.gauss(0, 0.02))) if watts else 0.0)


def _meter(thing: Thing, world: World, now_us: int) -> Reading:
    evening = 0.9 * math.exp(-((world.hour(now_us) - 19) ** 2) / 8)
    use = 0.28 + evening + 0.25 * chance.noise("meter", now_us / (HOUR_US / 4))
    return thing.number(max(0.06, use + thing.chance.gauss(0, 0.012)))


def _solar(thing: Thing, world: World, now_us: int) -> Reading:
    if world.sun_elevation(now_us) <= 0:
        return "0", None
    return thing.number(max(0.0, 4200 * world.daylight(now_us) * (1 + thing.chance.gauss(0, 0.02))))


def _counted(thing: Thing, amount: float, now_us: int, start: float) -> Reading:
    """Add to a counter that never falls."""
    if not thing.last_us:
        thing.value = start
    thing.value += max(0.0, amount) if thing.last_us else 0.0
    thing.last_us = now_us
    return thing.number(thing.value)


def _energy(thing: Thing, world: World, now_us: int) -> Reading:
    hours = (now_us - thing.last_us) / HOUR_US
    watts = _watts(thing, world, now_us)
    if "Solar" in thing.friendly_name:
        watts = 4200 * world.daylight(now_us) if world.sun_elevation(now_us) > 0 else 0.0
    elif "meter" in thing.friendly_name:
        watts = 450.0
    return _counted(thing, watts / 1000 * hours, now_us, 50 + 900 * chance.fraction("energy", thing.entity_id))


def _gas(thing: Thing, world: World, now_us: int) -> Reading:
    cold = max(0.0, 18 - world.temperature(now_us))
    return _counted(thing, 0.02 * cold * (now_us - thing.last_us) / HOUR_US, now_us, 4321.0)


def _voltage(thing: Thing, world: World, now_us: int) -> Reading:
    return thing.number(230 + 4 * chance.noise("mains", now_us / (HOUR_US / 2)) + thing.chance.gauss(0, 0.4))


def _battery(thing: Thing, world: World, now_us: int) -> Reading:
    """Lose a percent in about a week."""
    days = now_us / DAY_US
    return thing.number(100 - (days / 7 + 100 * chance.fraction("battery", thing.device_id)) % 90)


def _phone(thing: Thing, world: World, now_us: int) -> Reading:
    """Charge at night, empty by day."""
    hour = (world.hour(now_us) + 3 * chance.fraction("phone", thing.entity_id)) % 24
    level = 100.0 if hour < 7 else max(12.0, 100 - 5 * (hour - 7))  # noqa: PLR2004 - off the charger at seven
    return thing.number(level)


def _link(thing: Thing, world: World, now_us: int) -> Reading:
    return thing.number(60 + 150 * chance.fraction("link", thing.device_id) + thing.chance.gauss(0, 6))


def _signal(thing: Thing, world: World, now_us: int) -> Reading:
    return thing.number(-45 - 30 * chance.fraction("signal", thing.device_id) + thing.chance.gauss(0, 1.5))


def _throughput(thing: Thing, world: World, now_us: int) -> Reading:
    base = 40 + 1500 * max(0.0, chance.noise(thing.entity_id, now_us / (HOUR_US / 6))) ** 3
    return thing.number(base * (1 + abs(thing.chance.gauss(0, 0.3))))


def _valve(thing: Thing, world: World, now_us: int) -> Reading:
    missing = 20.5 - _inside(thing, world, now_us)
    return thing.number(min(100.0, max(0.0, 45 * missing + thing.chance.gauss(0, 3))))


def _thermostat(thing: Thing, world: World, now_us: int) -> Reading:
    wanted = thing.memory.get("temperature", 20.5 if 6 <= world.hour(now_us) < 22 else 17.0)  # noqa: PLR2004 - by day
    current = round(_inside(thing, world, now_us) + thing.chance.gauss(0, 0.05), 1)
    action = "heating" if current < wanted else "idle"
    return "heat", thing.attributes(current_temperature=current, temperature=wanted, hvac_action=action)


def _light(thing: Thing, world: World, now_us: int) -> Reading:
    return "off", light_attributes(thing, None)


def _cover(thing: Thing, world: World, now_us: int) -> Reading:
    up = world.sun_elevation(now_us) > 0
    return ("open", thing.attributes(current_position=100)) if up else ("closed", thing.attributes(current_position=0))


def _switch(thing: Thing, world: World, now_us: int) -> Reading:
    return "on", None


def _off(thing: Thing, world: World, now_us: int) -> Reading:
    return "off", None


def _constant(thing: Thing, world: World, now_us: int) -> Reading:
    return {"sensor": "ready", "update": "off", "device_tracker": "home"}.get(thing.kind.domain, "unknown"), None


def _weather(thing: Thing, world: World, now_us: int) -> Reading:
    return world.condition(now_us), thing.attributes(**world.forecast(now_us))


def _sun(thing: Thing, world: World, now_us: int) -> Reading:
    height = world.sun_elevation(now_us)
    rising = world.sun_elevation(now_us + 60 * SECOND_US) > height
    azimuth = round((now_us / DAY_US % 1 * 360 + 4.9) % 360, 2)
    more = {"elevation": round(height, 2), "azimuth": azimuth, "rising": rising, **_sun_times(world, now_us)}
    return ("above_horizon" if height > 0 else "below_horizon"), thing.attributes(**more)


def _sun_times(world: World, now_us: int) -> dict[str, str]:
    """Return when the sun rises and sets next, to five minutes."""
    step = 300 * SECOND_US
    start = now_us - now_us % step
    found: dict[str, str] = {}
    was_up = world.sun_elevation(start) > 0
    for number in range(1, 12 * 25):
        is_up = world.sun_elevation(start + number * step) > 0
        if is_up != was_up:
            found.setdefault("next_rising" if is_up else "next_setting", iso(start + number * step))
            was_up = is_up
    return dict(sorted(found.items()))


_BEHAVIOURS: Final[dict[str, Callable[[Thing, World, int], Reading]]] = {
    "temperature": _temperature,
    "humidity": _humidity,
    "pressure": _pressure,
    "illuminance": _illuminance,
    "co2": _co2,
    "power": _power,
    "meter": _meter,
    "solar": _solar,
    "energy": _energy,
    "gas": _gas,
    "voltage": _voltage,
    "battery": _battery,
    "phone": _phone,
    "link": _link,
    "signal": _signal,
    "throughput": _throughput,
    "valve": _valve,
    "thermostat": _thermostat,
    "light": _light,
    "cover": _cover,
    "switch": _switch,
    "motion": _off,
    "contact": _off,
    "never": _off,
    "media": _off,
    "constant": _constant,
    "weather": _weather,
    "sun": _sun,
}
