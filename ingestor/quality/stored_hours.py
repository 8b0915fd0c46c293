"""Facts of an hour from what a store adds up; reads single states only of those entities whose hour was troubled."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final, Protocol

import msgspec

from ingestor.quality.bounds import bounds_of
from ingestor.quality.hours import HOUR_US, LAG_BUCKETS, LAG_ENDS_MS, HourFacts, lag_bucket
from ingestor.quality.subjects import JudgeContext, Subject
from ingestor.quality.tally import LATE_MS, NOT_THERE, Carry, HourTally, Told, is_number
from ingestor.storage.series_hours import SeriesHour, StoredValue

_NS: Final = 1000
_HOUR_NS: Final = HOUR_US * _NS
#: Of how many events each of the delays that a store tells is the greatest.
_SHARES: Final = (0.5, 0.95, 0.99, 1.0)


#: What is on and off, home and not home has a number, too; no more states than these.
_FEW_WORDS: Final = 4
#: Of an hour with no more series and states than these all are asked for at once.
_WHOLE_SERIES: Final = 1_000
_WHOLE_STATES: Final = 100_000
#: Of a larger one so many (a store must be told their names).
_PART_SERIES: Final = 250
_PART_STATES: Final = 50_000


class HourStore(Protocol):
    """What is asked of a store."""

    def series_hours(self, home: str, since_ns: int, until_ns: int, series: Sequence[str] = ()) -> list[SeriesHour]:
        """Return the states of a span added up by series: those named, or all."""
        ...

    def values_of(self, home: str, series: Sequence[str], since_ns: int, until_ns: int) -> Iterator[StoredValue]:
        """Yield the states of some series."""
        ...


class Beside(msgspec.Struct, frozen=True):
    """What is known of an hour beside the store, by entity_id: signs of life, hashes of attributes, refused states.

    `state_classes` is what Home Assistant says ("" for none); `lags` (by the buckets of LAG_ENDS_MS) and `duplicates`
    are what the write stage counted.
    """

    reported_us: Mapping[str, int] = {}
    attributes: Mapping[str, int] = {}
    rejected: Mapping[str, int] = {}
    state_classes: Mapping[str, str] = {}
    lags: Mapping[str, tuple[int, ...]] = {}
    duplicates: Mapping[str, int] = {}


def stored_facts(
    store: HourStore, hour: tuple[str, int], carried: dict[str, Carry], context: JudgeContext, beside: Beside
) -> list[HourFacts]:
    """Return the facts of an hour (home, its begin in Unix µs), and take into `carried` how it ended."""
    return completed(hour, facts_of(store, hour, (), carried, context), carried, context, beside)


def parts_of(counts: Mapping[str, int], done: Collection[str] = ()) -> list[tuple[str, ...]]:
    """Return the series of an hour that are to be done, in parts of a few seconds each; () is all of the hour."""
    counts = {series: count for series, count in counts.items() if series not in done}
    if not counts:
        return []
    if not done and len(counts) <= _WHOLE_SERIES and sum(counts.values()) <= _WHOLE_STATES:
        return [()]
    parts, part, states = list[tuple[str, ...]](), list[str](), 0
    for series, count in sorted(counts.items()):
        if part and (len(part) >= _PART_SERIES or states + count > _PART_STATES):
            parts.append(tuple(part))
            part, states = [], 0
        part.append(series)
        states += count
    return [*parts, tuple(part)]


def facts_of(
    store: HourStore,
    hour: tuple[str, int],
    series: Sequence[str],
    carried: dict[str, Carry],
    context: JudgeContext,
) -> list[HourFacts]:
    """Return the facts of some series that were heard in an hour, of all where none is named."""
    home, hour_us = hour
    told = store.series_hours(home, hour_us * _NS, hour_us * _NS + _HOUR_NS, series)
    hours = {one.series: one for one in told}
    troubled = [one.series for one in told if _is_troubled(one, carried.get(one.series), context)]
    found = _read(store, hour, troubled, carried, context)
    for name, one in hours.items():
        if name not in found:
            found[name] = _converted(home, hour_us, one, carried.setdefault(name, Carry()))
    return list(found.values())


def completed(
    hour: tuple[str, int],
    heard: Sequence[HourFacts],
    carried: dict[str, Carry],
    context: JudgeContext,
    beside: Beside,
) -> list[HourFacts]:
    """Return the facts of who was heard, of who is away since before, and of who is known beside the store alone."""
    home, hour_us = hour
    found = {one.series: one for one in heard}
    away = {series: carry for series, carry in carried.items() if carry.state in NOT_THERE and series not in found}
    found.update((one.series, one) for one in HourTally(home, hour_us, away).done())
    return [_with_beside(one, beside) for one in found.values()] + _unheard(home, hour_us, found, beside, context)


def _is_troubled(one: SeriesHour, carry: Carry | None, context: JudgeContext) -> bool:
    """Tell whether sums say too little: of absence, of what is beyond bounds, of numbers among texts."""
    if one.not_there or (carry is not None and carry.state in NOT_THERE):
        return True
    if not one.values or not is_number(one.last_state):
        return bool(one.values) and one.distinct > _FEW_WORDS
    if one.values < one.states:
        return True
    bounds = bounds_of(context.subject(one.series).device_class, one.units[-1] if one.units else None)
    return bounds is not None and not (bounds.low <= (one.low or 0.0) and (one.high or 0.0) <= bounds.high)


def _read(
    store: HourStore, hour: tuple[str, int], series: Sequence[str], carried: dict[str, Carry], context: JudgeContext
) -> dict[str, HourFacts]:
    """Return the facts of the troubled, counted state by state."""
    if not series:
        return {}
    home, hour_us = hour
    tally = HourTally(home, hour_us, {name: carried.setdefault(name, Carry()) for name in series})
    for one in store.values_of(home, series, hour_us * _NS, hour_us * _NS + _HOUR_NS):
        tally.add(_told(one, context.subject(one.series).device_class))
    return {facts.series: facts for facts in tally.done()}


def _told(one: StoredValue, device_class: str) -> Told:
    time_us = one.time_ns // _NS
    return Told(
        one.series,
        time_us,
        received_us=0 if one.delay_s is None else time_us + int(one.delay_s * 1e6),
        state=one.state,
        value=one.value,
        unit=one.unit,
        source=one.source,
        entity_id=one.entity_id,
        device_class=device_class,
        found="repaired" if one.repaired else "",
    )


def _converted(home: str, hour_us: int, one: SeriesHour, carry: Carry) -> HourFacts:
    first_us, last_us, end_us = one.first_ns // _NS, one.last_ns // _NS, hour_us + HOUR_US
    numeric = bool(one.values) and is_number(one.last_state)
    before_us, before = carry.time_us, carry.value
    silences_s = [one.longest_s, (end_us - last_us) / 1e6, (first_us - before_us) / 1e6 if before_us else 0.0]
    fell = numeric and before is not None and one.first is not None and one.first < before
    began_anew = numeric and one.low is not None and before is not None and 0 <= one.low <= before / 10 and one.falls
    changes = max(one.changes, _least_changes(one, carry.state))
    carry.state, carry.time_us, carry.value = one.last_state, last_us, one.last if numeric else before
    lags = _lags(one)
    return HourFacts(
        home=home,
        series=one.series,
        hour_us=hour_us,
        entity_id=one.entity_id,
        events=one.states,
        values=one.values if numeric else 0,
        texts=0 if numeric else one.states,
        changes=changes,
        distinct=one.distinct,
        low=one.low if numeric else None,
        high=one.high if numeric else None,
        mean=one.mean if numeric else None,
        m2=(one.deviation or 0.0) ** 2 * max(0, one.values - 1) if numeric else 0.0,
        first=one.first if numeric else None,
        last=one.last if numeric else None,
        last_state=one.last_state[:64],
        first_us=first_us,
        last_us=last_us,
        falls=one.falls + fell if numeric else 0,
        zeroes=int(bool(began_anew)),
        lags=lags,
        lag_max_ms=int(one.delays_s[-1] * 1000) if one.delays_s else 0,
        late=sum(lags[lag_bucket(LATE_MS) + 1 :]),
        repaired=one.repaired,
        silence_s=max(silences_s),
        units=one.units,
        types=("number" if numeric else "text",),
        sources=dict(one.sources),
    )


def _least_changes(one: SeriesHour, before: str) -> int:
    """Return how often a state surely was another than before: who came by MQTT does not say what was before."""
    return one.distinct - 1 if one.distinct > 1 else int(bool(before) and one.last_state[:64] != before)


def _lags(one: SeriesHour) -> tuple[int, ...]:
    """Return a sketch from the hundredths that a store tells: each event as late as its hundredth, never less."""
    if not one.delays_s:
        return ()
    lags = [0] * LAG_BUCKETS
    counts = [0, *(round(share * one.states) for share in _SHARES)]
    for delay_s, (before, until) in zip(one.delays_s, pairwise(counts), strict=True):
        lags[lag_bucket(delay_s * 1000)] += until - before
    return tuple(lags)


def _with_beside(facts: HourFacts, beside: Beside) -> HourFacts:
    name = facts.entity_id or facts.series
    reported_us, attributes = beside.reported_us.get(name, 0), beside.attributes.get(name, 0)
    rejected, duplicates = beside.rejected.get(name, 0), beside.duplicates.get(name, 0)
    lags = beside.lags.get(name, ()) if facts.events and not facts.lags else ()
    if not (reported_us or attributes or rejected or duplicates or lags):
        return facts
    return msgspec.structs.replace(
        facts,
        events=facts.events + rejected + duplicates,
        rejected=facts.rejected + rejected,
        duplicates=facts.duplicates + duplicates,
        reported_us=reported_us,
        attributes=attributes,
        lags=lags or facts.lags,
        lag_max_ms=_longest_ms(lags) if lags else facts.lag_max_ms,
        late=sum(lags[lag_bucket(LATE_MS) + 1 :]) if lags else facts.late,
    )


def _longest_ms(lags: tuple[int, ...]) -> int:
    """Return the end of the last bucket that has any."""
    last = max(bucket for bucket, count in enumerate(lags) if count)
    return LAG_ENDS_MS[min(last, len(LAG_ENDS_MS) - 1)]


def known_classes(subjects: Mapping[str, Subject], beside: Beside) -> dict[str, Subject]:
    """Return the subjects with the state class that Home Assistant says; where it was not asked, as they are."""
    told = beside.state_classes
    return {
        series: replace(one, state_class=told[one.entity_id])
        if told.get(one.entity_id, one.state_class) != one.state_class
        else one
        for series, one in subjects.items()
    }


def _unheard(
    home: str, hour_us: int, found: Mapping[str, HourFacts], beside: Beside, context: JudgeContext
) -> list[HourFacts]:
    """Return facts of those of whom the store has nothing, but who gave a sign of life, or were refused."""
    names = {one.entity_id or series for series, one in found.items()}
    series_of = {subject.entity_id: series for series, subject in context.subjects.items()}
    more = []
    for name in {*beside.reported_us, *beside.rejected} - names:
        series = series_of.get(name)
        if series is not None and series not in found:
            rejected = beside.rejected.get(name, 0)
            more.append(
                HourFacts(
                    home,
                    series,
                    hour_us,
                    name,
                    events=rejected,
                    rejected=rejected,
                    reported_us=beside.reported_us.get(name, 0),
                    attributes=beside.attributes.get(name, 0),
                )
            )
    return more


def gone(subjects: Mapping[str, Subject], beside: Beside) -> frozenset[str]:
    """Return the series that Home Assistant does not have any more, as far as somebody looked."""
    if not beside.attributes:
        return frozenset()
    return frozenset(series for series, one in subjects.items() if one.entity_id not in beside.attributes)
