"""The part `weather` of a moment: what was known of the weather outside at a time; a day of the past is read once.

First comes what the provider has told meanwhile, or Home Assistant's weather entity with its events; for times of which
that knows nothing, the archive, as far as the history task has brought it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, date, datetime
from typing import Final

from ingestor.enrichment.moments import MINUTE_US, Stretch
from ingestor.enrichment.steps import Surroundings
from ingestor.enrichment.watching import Watching
from ingestor.events.event import Event, Extra
from ingestor.home.facts import HomeFacts
from ingestor.home.observation import Observation
from ingestor.home.watched import FAR_AHEAD_US, Span

_US_PER_S: Final = 1_000_000
_DAY_US: Final = 86_400 * _US_PER_S
_HOUR_US: Final = 3600 * _US_PER_S
#: Days of the past that a process keeps, over all homes.
_MAX_DAYS: Final = 400
#: A day that was not there is looked for again this often.
_LOOK_AGAIN_BATCHES: Final = 200
#: Returns the hours of days of the past, for those that are known.
ReadDays = Callable[[str, Sequence[date]], dict[date, list[Observation]]]


class WeatherPart:
    """The weather of a home. `entity_of` names whose values it is; older than `max_age_us` says nothing any more."""

    name: Final = "weather"

    def __init__(
        self,
        watching: Watching,
        entity_of: Callable[[HomeFacts], str],
        *,
        max_age_us: int,
        read_days: ReadDays | None = None,
    ) -> None:
        self._watching = watching
        self._entity_of = entity_of
        self._max_age_us = max_age_us
        self._read_days = read_days
        self._entity_id = ""
        self._days: OrderedDict[tuple[str, date], list[Observation]] = OrderedDict()
        self._missed: dict[tuple[str, date], int] = {}
        self._brought = 0

    def begin(self, events: Sequence[Event], around: Surroundings) -> None:
        """Take in what the weather is, and was where events are old. Raises StateUnavailable."""
        self._entity_id = self._entity_of(around.facts)
        self._watching.begin(events, around)
        if self._read_days is not None:
            self._bring_days(around.home, events, self._read_days)

    def version(self, home: str) -> Hashable:
        """Return how often the weather was heard of."""
        series = self._watching.series(home, self._entity_id)
        return (self._entity_id, series.changes if series else 0, self._brought)

    def at(self, facts: HomeFacts, time_us: int) -> Stretch:
        """Return what was known of the weather at a time."""
        span = self._live(facts.home, time_us)
        found = span.value
        if not self._is_good(span, time_us):
            archived = self._archived(facts.home, time_us)
            # The next live value may still begin within this minute.
            begins_us = span.until_us
            span = Span(None) if archived is None else archived
            span = Span(span.value, span.from_us, min(span.until_us, begins_us))
            found = span.value
        if not isinstance(found, Observation):
            return Stretch({}, span.from_us, span.until_us)
        minute_us = time_us // MINUTE_US * MINUTE_US
        return Stretch(_fields(found, max(minute_us, found.observed_us)), span.from_us, span.until_us)

    def _live(self, home: str, time_us: int) -> Span:
        series = self._watching.series(home, self._entity_id) if self._entity_id else None
        return Span(None) if series is None else series.at(time_us)

    def _archived(self, home: str, time_us: int) -> Span | None:
        hours = self._days.get((home, _day(time_us)))
        index = bisect_right(hours, time_us, key=_observed_us) - 1 if hours else -1
        if not hours or index < 0 or time_us - hours[index].observed_us > self._max_age_us:
            return None
        until_us = hours[index + 1].observed_us if index + 1 < len(hours) else FAR_AHEAD_US
        return Span(hours[index], hours[index].observed_us, until_us)

    def _is_good(self, span: Span, time_us: int) -> bool:
        found = span.value
        return isinstance(found, Observation) and time_us - found.observed_us <= self._max_age_us

    def _bring_days(self, home: str, events: Sequence[Event], read: ReadDays) -> None:
        """Read the days of which an event of this batch is, and the live series does not know."""
        wanted = {
            _day(event.time_us)
            for event in _old(events)
            if not self._is_good(self._live(home, event.time_us), event.time_us)
        }
        asked = [day for day in sorted(wanted) if (home, day) not in self._days and self._is_due((home, day))]
        if not asked:
            return
        found = read(home, asked)
        for day, hours in found.items():
            self._days[home, day] = hours
            self._brought += 1
        while len(self._days) > _MAX_DAYS:
            self._days.popitem(last=False)

    def _is_due(self, key: tuple[str, date]) -> bool:
        if len(self._missed) > _MAX_DAYS:
            self._missed.clear()
        batches = self._missed.get(key, 0)
        self._missed[key] = batches + 1
        return batches % _LOOK_AGAIN_BATCHES == 0


def _old(events: Sequence[Event]) -> Sequence[Event]:
    """Return the events that were not heard when they happened: of others the first day is soon over."""
    return [event for event in events if event.received_ns // 1000 - event.time_us > _HOUR_US]


def _fields(found: Observation, at_us: int) -> dict[str, Extra]:
    observed = datetime.fromtimestamp(found.observed_us / _US_PER_S, UTC)
    fields: dict[str, Extra] = {
        "weather_provider": found.provider,
        "weather_observed_at": observed.isoformat(timespec="seconds"),
        "weather_age": (at_us - found.observed_us) / _US_PER_S,
    }
    if found.condition:
        fields["outdoor_condition"] = found.condition
    for name, value in (
        ("outdoor_temperature", found.temperature_c),
        ("outdoor_humidity", found.humidity_pct),
        ("outdoor_pressure", found.pressure_hpa),
        ("outdoor_wind_speed", found.wind_m_s),
        ("outdoor_cloud_cover", found.cloud_pct),
    ):
        if value is not None:
            fields[name] = float(value)
    return fields


def _observed_us(one: Observation) -> int:
    return one.observed_us


def _day(time_us: int) -> date:
    return datetime.fromtimestamp(time_us // _DAY_US * _DAY_US // _US_PER_S, UTC).date()
