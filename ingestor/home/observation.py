"""The weather at a time, in units of our own, and how Home Assistant's weather entities tell it; no I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

#: What Home Assistant shows the condition as where it does not know it.
_UNKNOWN: Final = frozenset({"", "unknown", "unavailable"})
_MAX_WORD: Final = 64
_FAHRENHEIT_ZERO: Final = 32.0
_KELVIN_ZERO: Final = 273.15
_HPA: Final = {"hPa": 1.0, "mbar": 1.0, "Pa": 0.01, "kPa": 10.0, "mmHg": 1.333224, "inHg": 33.863886, "psi": 68.947573}
_M_PER_S: Final = {"m/s": 1.0, "km/h": 1 / 3.6, "mph": 0.44704, "kn": 0.514444, "ft/s": 0.3048}
#: The force of wind on Beaufort's scale, as its mean speed (m/s): v = 0.836 B^(3/2).
_BEAUFORT: Final = 0.836


class Observation(msgspec.Struct, array_like=True, frozen=True):
    """What a provider said of the weather at a time (Unix, microseconds); None is not known.

    `condition` is one of Home Assistant's words: `sunny`, `clear-night`, `cloudy`, `rainy`, ...
    """

    observed_us: int
    provider: str
    condition: str = ""
    temperature_c: float | None = None
    humidity_pct: float | None = None
    pressure_hpa: float | None = None
    wind_m_s: float | None = None
    cloud_pct: float | None = None


def observation_of(time_us: int, state: str | None, attributes: Mapping[str, Any]) -> Observation | None:
    """Return what a weather entity of Home Assistant says; None where it says nothing."""
    if state is None or state in _UNKNOWN:
        return None
    return Observation(
        time_us,
        "homeassistant",
        state[:_MAX_WORD],
        celsius(attributes.get("temperature"), attributes.get("temperature_unit")),
        number(attributes.get("humidity")),
        _scaled(attributes, "pressure", _HPA),
        _wind(attributes),
        number(attributes.get("cloud_coverage")),
    )


def number(value: Any) -> float | None:
    """Return a finite number, or None for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return round(found, 4) if math.isfinite(found) else None


def celsius(value: Any, unit: Any) -> float | None:
    """Return a temperature in °C; without a unit it is one already."""
    found = number(value)
    if found is None or unit in (None, "", "°C"):
        return found
    if unit == "°F":
        return round((found - _FAHRENHEIT_ZERO) / 1.8, 2)
    return round(found - _KELVIN_ZERO, 2) if unit == "K" else None


def _scaled(attributes: Mapping[str, Any], name: str, factors: Mapping[str, float]) -> float | None:
    """Return an attribute in the unit whose factor is 1; None for a unit that is not known."""
    found, unit = number(attributes.get(name)), attributes.get(f"{name}_unit")
    factor = 1.0 if not unit else factors.get(str(unit))
    return None if found is None or factor is None else round(found * factor, 2)


def _wind(attributes: Mapping[str, Any]) -> float | None:
    if attributes.get("wind_speed_unit") == "Beaufort":
        force = number(attributes.get("wind_speed"))
        return None if force is None else round(_BEAUFORT * max(0.0, force) ** 1.5, 2)
    return _scaled(attributes, "wind_speed", _M_PER_S)
