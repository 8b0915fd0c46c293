"""Where the sun stands for a place and a time; no I/O."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from astral import Observer
from astral.sun import elevation

SunPhase = Literal["night", "dawn", "day", "dusk"]

#: Height of the sun's middle when its upper edge is at the horizon, as Home Assistant and almanacs have it (degrees).
_RISE: Final = -0.833
#: Below this it is night: the end of civil twilight (degrees).
_TWILIGHT: Final = -6.0
_SOON: Final = timedelta(minutes=1)


class Sun(NamedTuple):
    """`elevation` in degrees, with refraction, as Home Assistant's `sun.sun` shows it."""

    phase: SunPhase
    elevation: float


def sun_at(latitude: float, longitude: float, time: datetime) -> Sun:
    """Return where the sun stands; `time` knows its zone. Height above the sea is left out of account."""
    place = Observer(latitude, longitude, 0.0)
    shown = round(elevation(place, time), 2)
    height = elevation(place, time, with_refraction=False)
    if height >= _RISE:
        return Sun("day", shown)
    if height < _TWILIGHT:
        return Sun("night", shown)
    rising = elevation(place, time + _SOON, with_refraction=False) > height
    return Sun("dawn" if rising else "dusk", shown)
