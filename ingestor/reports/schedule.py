"""Which reports are due at a time, by the settings; makes none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from ingestor.reports.document import Period
from ingestor.settings_reports import ReportsSettings

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEK: Final = 7


@dataclass(frozen=True, slots=True)
class Due:
    """A report that should be there: whole local days."""

    period: Period
    start_us: int
    end_us: int


def due_reports(settings: ReportsSettings, now_us: int, zone: ZoneInfo) -> Iterator[Due]:
    """Yield the newest report of each kind that should be there by now: what an outage has cost is not made up for."""
    now = datetime.fromtimestamp(now_us / 1e6, zone)
    at = time.fromisoformat(settings.at)
    # Before the time of day it is yesterday's turn.
    day = now.date() if now.time() >= at else now.date() - timedelta(days=1)
    if settings.daily:
        yield Due("daily", _midnight_us(day - timedelta(days=1), zone), _midnight_us(day, zone))
    if settings.weekly != "never":
        back = (day.weekday() - _WEEKDAYS.index(settings.weekly)) % _WEEK
        end = day - timedelta(days=back)
        yield Due("weekly", _midnight_us(end - timedelta(days=_WEEK), zone), _midnight_us(end, zone))


def _midnight_us(day: date, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, time(), zone).timestamp()) * 1_000_000
