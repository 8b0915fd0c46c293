"""Tells hours anew that were judged before all of their events were stored; problems stay as they were told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from ingestor.quality.hours import HOUR_US, HourFacts
from ingestor.quality.stored_hours import Beside, completed, facts_of, parts_of
from ingestor.quality.subjects import JudgeContext
from ingestor.quality.sums import Sums
from ingestor.quality.tally import Carry

if TYPE_CHECKING:
    from ingestor.quality.book_sql import Kept, SqlQualityBook
    from ingestor.storage.port import Store

#: Hours that are looked at again: what was read back after a longer outage stands in the store alone.
LOOKED_AT: Final = 48
_NS: Final = 1000
_log: Final = structlog.get_logger(__name__)


class HoursAgain:
    """Looks at the last judged hours of a home. `context` and `beside` tell of an hour what is known now."""

    def __init__(
        self,
        home: str,
        book: SqlQualityBook,
        store: Store,
        context: Callable[[int], JudgeContext],
        beside: Callable[[int], Beside],
    ) -> None:
        self._home = home
        self._book = book
        self._store = store
        self._context = context
        self._beside = beside

    def step(self, kept: Kept, go_on: Callable[[], bool]) -> bool:
        """Tell hours anew while there is time; tell whether there are more. Raises StoreUnavailable, StoreRefused."""
        end_us = kept.judge.hour_us + HOUR_US
        since_us = end_us - LOOKED_AT * HOUR_US
        stored: Counter[int] = Counter()
        for one in self._store.count_by_hour(self._home, since_us * _NS, end_us * _NS):
            stored[one.hour_us] += one.points if one.kind == "state" else 0
        known = {hour_us: _states(facts) for hour_us, facts in self._book.hours(self._home, since_us, end_us)}
        # What was told anew and still differs (more entities than are judged) is left until it changes again.
        late = [hour for hour, count in sorted(known.items()) if stored[hour] not in (count, kept.looked.get(hour))]
        for hour_us in late:
            if not go_on():
                return True
            kept.looked = {hour: count for hour, count in kept.looked.items() if hour >= since_us}
            kept.looked[hour_us] = stored[hour_us]
            self._tell(hour_us, kept)
            _log.info("quality_told_again", home=self._home, hour_us=hour_us, before=known[hour_us])
        return False

    def _tell(self, hour_us: int, kept: Kept) -> None:
        hour, context = (self._home, hour_us), self._context(hour_us)
        hours = dict(self._book.hours(self._home, hour_us - HOUR_US, hour_us + HOUR_US))
        carried = {one.series: Carry(one.last_state, one.last, one.last_us) for one in hours.get(hour_us - HOUR_US, ())}
        before = hours[hour_us]
        counts = self._store.states_by_series(self._home, hour_us * _NS, (hour_us + HOUR_US) * _NS)
        heard = [one for part in parts_of(counts) for one in facts_of(self._store, hour, part, carried, context)]
        facts = completed(hour, heard, carried, context, _with_what_was(self._beside(hour_us), before))
        old = self._book.sums(self._home, hour_us)
        deaf_s = context.deaf_us(hour_us, hour_us + HOUR_US) / 1e6
        self._book.retell(kept, (self._home, hour_us), facts, retold(facts, old, deaf_s))


def retold(facts: Sequence[HourFacts], before: Mapping[str, Sums], deaf_s: float) -> dict[str, Sums]:
    """Return the sums of an hour's facts, with what was found of that hour when it was judged."""
    by_series = {one.series: one for one in facts}
    found: dict[str, Sums] = {}
    for series in [*before, *(name for name in by_series if name not in before)]:
        one, was = by_series.get(series), before.get(series, Sums(series))
        new = found[series] = Sums(series, deaf_s=deaf_s, known=was.known, units=was.units)
        if one is None:
            new.hours = 1
        else:
            new.add(one)
        new.expect(was.expected, one.events if one else 0)
        new.changed, new.odd, new.doubled = was.changed, was.odd, was.doubled
        # Who was taken for dead was only late.
        new.silent_s = 0.0 if one is not None and one.events else was.silent_s
    return found


def _states(facts: Sequence[HourFacts]) -> int:
    return sum(one.events - one.rejected - one.duplicates for one in facts)


def _with_what_was(beside: Beside, before: Sequence[HourFacts]) -> Beside:
    """Return what is known beside the store, with what was known when the hour was judged and is forgotten now."""
    lags = {one.entity_id or one.series: one.lags for one in before if one.lags}
    duplicates = {one.entity_id or one.series: one.duplicates for one in before if one.duplicates}
    attributes = {one.entity_id or one.series: one.attributes for one in before if one.attributes}
    reported_us = {one.entity_id or one.series: one.reported_us for one in before if one.reported_us}
    return msgspec.structs.replace(
        beside,
        lags={**lags, **beside.lags},
        duplicates={**duplicates, **beside.duplicates},
        attributes={**attributes, **beside.attributes},
        reported_us={**reported_us, **beside.reported_us},
    )
