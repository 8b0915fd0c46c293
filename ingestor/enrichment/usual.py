"""The step `usual`: how often and when an entity is usually active; runs only where a point has any of it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ingestor.enrichment.observed_counts import QUARTER_US
from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event, EventKind, Extra
from ingestor.home.usual import Known, Usual, UsualSource


class UsualStep:
    """Adds `usual_per_hour`, `is_peak_hour` and which share of its events an entity has at such a time."""

    name: Final = "usual"
    kinds: Final = frozenset[EventKind]({"state"})

    def __init__(self, source: UsualSource) -> None:
        self._source = source
        self._known: Known = {}
        self._time_zone = ""
        self._quarter = 0
        #: The fields of an entity in that quarter of an hour.
        self._fields: dict[str, dict[str, Extra]] = {}

    def begin(self, events: Sequence[Event], around: Surroundings) -> None:
        """Take in what is usual; asks once a minute. Raises StateUnavailable."""
        del events
        known, time_zone = self._source.known(around.home), around.facts.time_zone
        if known is not self._known or time_zone != self._time_zone:
            self._known, self._time_zone = known, time_zone
            self._fields.clear()

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Add what is known of the event's entity."""
        del around
        entity_id = event.entity_id or ""
        usual = self._known.get(entity_id)
        if usual is None:
            return True
        quarter = event.time_us // QUARTER_US
        if quarter != self._quarter:
            self._quarter = quarter
            self._fields.clear()
        fields = self._fields.get(entity_id)
        if fields is None:
            fields = self._fields[entity_id] = _fields(usual, quarter, self._time_zone)
        event.extras = dict(fields) if event.extras is None else {**event.extras, **fields}
        return True


def _fields(usual: Usual, quarter: int, time_zone: str) -> dict[str, Extra]:
    fields: dict[str, Extra] = {"usual_per_hour": usual.per_hour}
    zone = _zone(time_zone)
    if zone is None:
        return fields
    local = datetime.fromtimestamp(quarter * QUARTER_US // 1_000_000, zone)
    of_hour, of_weekday, of_month = usual.share(local.hour, local.isoweekday(), local.month)
    fields["is_peak_hour"] = bool(usual.peaks >> local.hour & 1)
    fields["usual_hour_share"], fields["usual_weekday_share"], fields["usual_month_share"] = (
        of_hour,
        of_weekday,
        of_month,
    )
    return fields


@functools.lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
