"""Between what a number can be, by device class and unit: physics, or the scale itself; no taste."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from ingestor.quality.units import MU, normal_unit

_INF: Final = math.inf


class Bounds(NamedTuple):
    """The least and the greatest value, and why."""

    low: float
    high: float
    why: str


_ABSOLUTE_ZERO: Final = "nothing is colder than absolute zero, and no thermometer of a home stands above 3,000 °C"
_SHARE: Final = "a share is between nothing and all"
_SUPERSATURATED: Final = "air can be a little above saturation, a sensor a little off; more is none"
_AMOUNT: Final = "an amount is not below nothing"
_AIR: Final = "the lowest pressure on land is 337 hPa (Everest), the highest ever measured 1,085 hPa"
_WIND: Final = "the strongest gust ever measured was 113 m/s"
_RAIN: Final = "the strongest rain ever measured was 31 mm in a minute"
_SUN: Final = "the sun gives 1,361 W/m² above the air; with the edges of clouds up to 1,900 were seen below"
_LIGHT: Final = "full sun is about 120,000 lx"
_CIRCLE: Final = "a circle has 360 degrees"
_PARTS: Final = "a million parts per million are all there is"

#: By device class: unit → bounds. The empty unit stands for every other one.
BOUNDS: Final[dict[str, dict[str, Bounds]]] = {
    "temperature": {
        "°C": Bounds(-273.15, 3000.0, _ABSOLUTE_ZERO),
        "°F": Bounds(-459.67, 5432.0, _ABSOLUTE_ZERO),
        "K": Bounds(0.0, 3273.15, _ABSOLUTE_ZERO),
    },
    "humidity": {"%": Bounds(0.0, 105.0, _SUPERSATURATED)},
    "moisture": {"%": Bounds(0.0, 105.0, _SHARE)},
    "battery": {"%": Bounds(0.0, 100.0, _SHARE)},
    "power_factor": {"%": Bounds(-100.0, 100.0, _SHARE), "": Bounds(-100.0, 100.0, _SHARE)},
    "atmospheric_pressure": {
        "hPa": Bounds(300.0, 1100.0, _AIR),
        "mbar": Bounds(300.0, 1100.0, _AIR),
        "kPa": Bounds(30.0, 110.0, _AIR),
        "Pa": Bounds(30_000.0, 110_000.0, _AIR),
        "inHg": Bounds(8.8, 32.5, _AIR),
        "mmHg": Bounds(225.0, 826.0, _AIR),
        "psi": Bounds(4.3, 16.0, _AIR),
    },
    "illuminance": {"lx": Bounds(0.0, 200_000.0, _LIGHT)},
    "irradiance": {"W/m²": Bounds(0.0, 2000.0, _SUN)},
    "wind_speed": {
        "m/s": Bounds(0.0, 150.0, _WIND),
        "km/h": Bounds(0.0, 540.0, _WIND),
        "mph": Bounds(0.0, 336.0, _WIND),
        "kn": Bounds(0.0, 292.0, _WIND),
        "ft/s": Bounds(0.0, 493.0, _WIND),
    },
    "wind_direction": {"°": Bounds(0.0, 360.0, _CIRCLE)},
    "precipitation_intensity": {"mm/h": Bounds(0.0, 2000.0, _RAIN), "in/h": Bounds(0.0, 79.0, _RAIN)},
    "ph": {"": Bounds(-1.0, 15.0, "the scale ends at 14; only acids and lyes of a laboratory pass its ends")},
    "carbon_dioxide": {"ppm": Bounds(0.0, 1_000_000.0, _PARTS)},
    "carbon_monoxide": {"ppm": Bounds(0.0, 1_000_000.0, _PARTS)},
    "signal_strength": {
        "dBm": Bounds(-174.0, 60.0, "thermal noise is -174 dBm at 1 Hz; 60 dBm is a transmitter of 1 kW")
    },
    "frequency": {"": Bounds(0.0, _INF, _AMOUNT)},
    "aqi": {"": Bounds(0.0, _INF, _AMOUNT)},
    "pm1": {"": Bounds(0.0, _INF, _AMOUNT), f"{MU}g/m³": Bounds(0.0, 1_000_000.0, _AMOUNT)},
    "pm25": {"": Bounds(0.0, _INF, _AMOUNT), f"{MU}g/m³": Bounds(0.0, 1_000_000.0, _AMOUNT)},
    "pm10": {"": Bounds(0.0, _INF, _AMOUNT), f"{MU}g/m³": Bounds(0.0, 1_000_000.0, _AMOUNT)},
    "volatile_organic_compounds": {"": Bounds(0.0, _INF, _AMOUNT)},
    "precipitation": {"": Bounds(0.0, _INF, _AMOUNT)},
    "data_size": {"": Bounds(0.0, _INF, _AMOUNT)},
    "volume_storage": {"": Bounds(0.0, _INF, _AMOUNT)},
    "energy_storage": {"": Bounds(0.0, _INF, _AMOUNT)},
}


def bounds_of(device_class: str | None, unit: str | None) -> Bounds | None:
    """Return the bounds for a device class in a unit; None where there are none."""
    by_unit = BOUNDS.get(device_class or "")
    if by_unit is None:
        return None
    return by_unit.get(normal_unit(unit or "")) or by_unit.get("")
