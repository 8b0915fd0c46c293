"""What day it is: weekend and holiday by the country's own custom, season by the hemisphere; no I/O."""

from __future__ import annotations

import functools
from datetime import date
from typing import Final, Literal, NamedTuple

import holidays
import structlog

Season = Literal["winter", "spring", "summer", "autumn"]

_NORTHERN: Final[tuple[Season, ...]] = ("winter", "spring", "summer", "autumn")
_SATURDAY: Final = 5
_log = structlog.get_logger(__name__)


class Day(NamedTuple):
    """`holiday` is its name in the country's first language, "" for none; None where the country is not known."""

    weekend: bool
    holiday: str | None


@functools.lru_cache(maxsize=1024)
def day_of(day: date, country: str, subdivision: str) -> Day:
    """Return what is known of a day in a country; the weekend is Saturday and Sunday where it is not known."""
    calendar = _calendar(country, subdivision)
    if calendar is None:
        return Day(day.weekday() >= _SATURDAY, None)
    return Day(day.weekday() in calendar.weekend, calendar.get(day) or "")


@functools.lru_cache(maxsize=32)
def _calendar(country: str, subdivision: str) -> holidays.HolidayBase | None:
    """Return the country's calendar, which fills itself year by year; None for one that the library has not."""
    if not country:
        return None
    try:
        found = holidays.country_holidays(country, subdiv=subdivision or None)
        # Else the machine's own locale decides, and two workers might name one day in two ways.
        return holidays.country_holidays(country, subdiv=subdivision or None, language=found.default_language)
    except NotImplementedError as error:
        _log.warning("holidays_unknown", country=country, subdivision=subdivision, error=str(error))
        return None


def season_of(month: int, latitude: float) -> Season:
    """Return the meteorological season (whole months: winter is December to February in the north)."""
    turned = 0 if latitude >= 0 else 2
    return _NORTHERN[(month % 12 // 3 + turned) % 4]
