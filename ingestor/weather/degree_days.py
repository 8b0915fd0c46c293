"""Degree days: how much a day asked for heating or cooling, by its mean temperature outside; no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from ingestor.events.point import Point
from ingestor.home.observation import Observation

#: The measurement: one point a home and day, at the day's first moment.
DEGREE_DAYS: Final = "home_degree_days"
#: A day of which fewer hours are known says nothing.
_LEAST_HOURS: Final = 20.0
#: So long a value is taken to hold, where none follows.
_HOLDS_US: Final = 3 * 3600 * 1_000_000
_HOUR_US: Final = 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class DegreeDay:
    """A local day; temperatures in °C. `hours` is of how many the temperature was known."""

    day: date
    start_us: int
    mean_c: float
    hours: float
    heating: float
    cooling: float
    provider: str


def bounds_us(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """Return when a local day begins and ends; it has 23 to 25 hours."""
    starts = [datetime.combine(day + timedelta(days=number), time(), zone) for number in (0, 1)]
    first, last = (int(start.timestamp()) * 1_000_000 for start in starts)
    return first, last


def degree_day(
    day: date, zone: ZoneInfo, observations: Sequence[Observation], *, heating_base_c: float, cooling_base_c: float
) -> DegreeDay | None:
    """Return what a local day was; None where too little of it is known. `observations` are in the order of time."""
    start_us, end_us = bounds_us(day, zone)
    known = [one for one in observations if one.temperature_c is not None]
    weight_us, total = 0, 0.0
    for index, one in enumerate(known):
        following_us = known[index + 1].observed_us if index + 1 < len(known) else end_us
        until_us = min(following_us, one.observed_us + _HOLDS_US, end_us)
        lasted_us = until_us - max(one.observed_us, start_us)
        if lasted_us > 0:
            weight_us += lasted_us
            total += lasted_us * (one.temperature_c or 0.0)
    hours = weight_us / _HOUR_US
    if hours < _LEAST_HOURS:
        return None
    mean_c = round(total / weight_us, 2)
    heating, cooling = max(0.0, heating_base_c - mean_c), max(0.0, mean_c - cooling_base_c)
    return DegreeDay(day, start_us, mean_c, round(hours, 2), round(heating, 2), round(cooling, 2), known[-1].provider)


def point_of(home: str, found: DegreeDay) -> Point:
    """Return the point of a day: the same day is the same point."""
    fields: dict[str, float | str | bool | int] = {
        "heating_degree_days": found.heating,
        "cooling_degree_days": found.cooling,
        "mean_temperature": found.mean_c,
        "hours": found.hours,
        "day": found.day.isoformat(),
        "weather_provider": found.provider,
    }
    return Point(DEGREE_DAYS, (("home", home),), fields, found.start_us * 1000)
