"""Units written in two ways, and the few that the settings may have converted; converts nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

#: Home Assistant moved from U+00B5 (micro sign) to U+03BC (Greek mu) in 2025: one of them for ever, the newer one.
MICRO_SIGN: Final = "\u00b5"
MU: Final = "\u03bc"
#: Others that are written in more than one way. Only what stands in Home Assistant's own list of units comes out.
_SPELLINGS: Final = {
    "\u2103": "°C",
    "\u2109": "°F",
    "\u00ba" + "C": "°C",
    "\u00ba" + "F": "°F",
    "\u2126": "Ω",
    "\u212a": "K",
}
_PER_KWH: Final = {"Wh": 1000.0, "kWh": 1.0, "MWh": 0.001, "GWh": 1e-6}


class Converted(NamedTuple):
    """A unit, and how a value gets into it."""

    unit: str
    value: Callable[[float], float]


def normal_unit(unit: str) -> str:
    """Return the one spelling of a unit."""
    return _SPELLINGS.get(unit, unit.replace(MICRO_SIGN, MU))


def wanted_temperature(unit: str | None, wanted: Literal["as-is", "°C", "°F"]) -> Converted | None:
    """Return how a temperature gets into the unit that is wanted; None where it is, or is none."""
    if wanted in ("as-is", unit):
        return None
    if wanted == "°C" and unit == "°F":
        return Converted("°C", lambda value: round((value - 32.0) / 1.8, 4))
    if wanted == "°F" and unit == "°C":
        return Converted("°F", lambda value: round(value * 1.8 + 32.0, 4))
    return None


def wanted_energy(unit: str | None, wanted: Literal["as-is", "kWh", "Wh"]) -> Converted | None:
    """Return how an energy gets into the unit that is wanted; None where it is, or is none."""
    if wanted in ("as-is", unit) or unit not in _PER_KWH:
        return None
    factor = energy_factor(unit, wanted)
    return Converted(wanted, lambda value: round(value * factor, 6))


def energy_factor(unit: str, wanted: str) -> float:
    """Return by what a number of energy is multiplied; 1 where one of the two is no unit of energy that is known."""
    return _PER_KWH[wanted] / _PER_KWH[unit] if unit in _PER_KWH and wanted in _PER_KWH else 1.0
