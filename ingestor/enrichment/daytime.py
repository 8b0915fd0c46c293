"""The part `time` of a moment: the clock and the calendar of the home, and its sun; no I/O."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from ingestor.enrichment.days import day_of, season_of
from ingestor.enrichment.moments import MINUTE_US, Stretch
from ingestor.enrichment.steps import Surroundings
from ingestor.enrichment.sun import sun_at
from ingestor.events.event import Event, Extra
from ingestor.home.facts import HomeFacts

_US_PER_S: Final = 1_000_000


class TimePart:
    """Local hour, weekday, weekend, holiday, season and sun. `country` "" takes the one that Home Assistant names."""

    name: Final = "time"

    def __init__(self, country: str = "", subdivision: str = "") -> None:
        self._country = country
        self._subdivision = subdivision

    def begin(self, events: Sequence[Event], around: Surroundings) -> None:
        """Do nothing: all comes from the time and the facts."""

    def version(self, home: str) -> Hashable:
        """Return the same always."""
        del home
        return 0

    def at(self, facts: HomeFacts, time_us: int) -> Stretch:
        """Return the fields of the minute that the time is in; none of the clock where the time zone is not known."""
        from_us = time_us // MINUTE_US * MINUTE_US
        zone = _zone(facts.time_zone or "UTC")
        local = datetime.fromtimestamp(from_us // _US_PER_S, zone)
        fields: dict[str, Extra] = self._clock(facts, local) if facts.time_zone else {}
        if facts.latitude is not None and facts.longitude is not None:
            sun = sun_at(facts.latitude, facts.longitude, local)
            fields.update(sun_phase=sun.phase, sun_elevation=sun.elevation)
        return Stretch(fields, from_us, from_us + MINUTE_US)

    def _clock(self, facts: HomeFacts, local: datetime) -> dict[str, Extra]:
        day = day_of(local.date(), self._country or facts.country, self._subdivision)
        fields: dict[str, Extra] = {
            "time_zone": facts.time_zone,
            "local_hour": local.hour,
            "weekday": local.isoweekday(),
            "weekend": day.weekend,
        }
        if day.holiday is not None:
            fields["holiday"] = bool(day.holiday)
            if day.holiday:
                fields["holiday_name"] = day.holiday
        if facts.latitude is not None:
            fields["season"] = season_of(local.month, facts.latitude)
        return fields


@functools.lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
