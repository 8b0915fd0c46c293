"""What one entity did in one hour, in figures that can be added up; knows neither stores nor what is good or bad."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Final

import msgspec

HOUR_US: Final = 3_600_000_000
#: Upper ends of the buckets of the lag sketch (ms); what is beyond the last has a bucket of its own. Below nothing:
#: the event says that it is yet to come.
LAG_ENDS_MS: Final = (
    -1_800_000,
    -60_000,
    -1_000,
    0,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    30_000,
    60_000,
    300_000,
    1_800_000,
    3_000_000,
    4_200_000,
    21_600_000,
    86_400_000,
)
LAG_BUCKETS: Final = len(LAG_ENDS_MS) + 1
#: Distinct states that are told apart; more are so many.
MAX_DISTINCT: Final = 64
#: Units, types and sources that are named.
MAX_NAMED: Final = 4


class HourFacts(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What an entity (a series) did in an hour (UTC) of its events' own time. Times are Unix microseconds.

    `values` are the states that were numbers, `texts` those that were none and no word for "not there" either;
    `mean` and `m2` (sum of squared distances from it) are over the numbers, `falls` counts how often one was less than
    the one before, `zeroes` how many of these came to nothing or nearly so.
    `unavailable_us` and `unknown_us` hold what the hour began with, too; `flaps` counts ways to unavailable and back.
    `silence_s` is the longest time without an event that ended in the hour or lasts at its end.
    `lags` is how long after its own time an event was received, counted by the buckets of LAG_ENDS_MS; empty where
    nobody knows. `reported_us` is the newest `last_reported` (not a change: a sign of life) that a poll saw.
    `attributes` is a hash of the names of its attributes, 0 where it is unknown.
    """

    home: str
    series: str
    hour_us: int
    entity_id: str = ""
    events: int = 0
    values: int = 0
    texts: int = 0
    changes: int = 0
    distinct: int = 0
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    m2: float = 0.0
    first: float | None = None
    last: float | None = None
    last_state: str = ""
    first_us: int = 0
    last_us: int = 0
    falls: int = 0
    zeroes: int = 0
    unavailable_us: int = 0
    unknown_us: int = 0
    flaps: int = 0
    lags: tuple[int, ...] = ()
    lag_max_ms: int = 0
    late: int = 0
    out_of_order: int = 0
    repaired: int = 0
    rejected: int = 0
    duplicates: int = 0
    out_of_bounds: int = 0
    silence_s: float = 0.0
    units: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    attributes: int = 0
    sources: dict[str, int] = msgspec.field(default_factory=dict)
    reported_us: int = 0

    @property
    def variance(self) -> float:
        """Return the variance of the values, 0 where there are fewer than two."""
        return self.m2 / (self.values - 1) if self.values > 1 else 0.0

    @property
    def spread(self) -> float:
        """Return how far the values reach from each other, 0 where there are none."""
        return 0.0 if self.low is None or self.high is None else self.high - self.low


def lag_bucket(lag_ms: float) -> int:
    """Return the bucket of the sketch that a lag falls into."""
    return bisect_left(LAG_ENDS_MS, lag_ms)


def lag_ms(lags: tuple[int, ...], share: float) -> float | None:
    """Return the lag that a share (0 to 1) of the events keeps: the end of its bucket; None where none is known."""
    total = sum(lags)
    if not total:
        return None
    rank = max(1, math.ceil(share * total))
    seen = 0
    for end, count in zip((*LAG_ENDS_MS, LAG_ENDS_MS[-1]), lags, strict=True):
        seen += count
        if seen >= rank:
            return float(end)
    return float(LAG_ENDS_MS[-1])


def merged(one: HourFacts, other: HourFacts, hour_us: int | None = None) -> HourFacts:
    """Return both as one span of time; `one` is the earlier. `hour_us` is where that span begins (default: one's)."""
    mean, m2 = _moments(one, other)
    return HourFacts(
        home=one.home,
        series=one.series,
        hour_us=one.hour_us if hour_us is None else hour_us,
        entity_id=other.entity_id or one.entity_id,
        events=one.events + other.events,
        values=one.values + other.values,
        texts=one.texts + other.texts,
        changes=one.changes + other.changes,
        distinct=max(one.distinct, other.distinct),
        low=min(_known(one.low, other.low), default=None),
        high=max(_known(one.high, other.high), default=None),
        mean=mean,
        m2=m2,
        first=other.first if one.first is None else one.first,
        last=one.last if other.last is None else other.last,
        last_state=other.last_state or one.last_state,
        first_us=one.first_us or other.first_us,
        last_us=max(one.last_us, other.last_us),
        falls=one.falls + other.falls,
        zeroes=one.zeroes + other.zeroes,
        unavailable_us=one.unavailable_us + other.unavailable_us,
        unknown_us=one.unknown_us + other.unknown_us,
        flaps=one.flaps + other.flaps,
        lags=_added(one.lags, other.lags),
        lag_max_ms=max(one.lag_max_ms, other.lag_max_ms),
        late=one.late + other.late,
        out_of_order=one.out_of_order + other.out_of_order,
        repaired=one.repaired + other.repaired,
        rejected=one.rejected + other.rejected,
        duplicates=one.duplicates + other.duplicates,
        out_of_bounds=one.out_of_bounds + other.out_of_bounds,
        silence_s=max(one.silence_s, other.silence_s),
        units=_names(one.units, other.units),
        types=_names(one.types, other.types),
        attributes=other.attributes or one.attributes,
        sources=_counts(one.sources, other.sources),
        reported_us=max(one.reported_us, other.reported_us),
    )


def _moments(one: HourFacts, other: HourFacts) -> tuple[float | None, float]:
    """Return mean and m2 of both (Chan, Golub and LeVeque)."""
    if one.mean is None or other.mean is None:
        known = other if one.mean is None else one
        return known.mean, known.m2
    values = one.values + other.values
    apart = other.mean - one.mean
    mean = one.mean + apart * other.values / values
    return mean, one.m2 + other.m2 + apart * apart * one.values * other.values / values


def _known(*numbers: float | None) -> list[float]:
    return [number for number in numbers if number is not None]


def _added(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    if not one or not other:
        return one or other
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _names(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return one if one == other or not other else tuple(dict.fromkeys((*one, *other)))[:MAX_NAMED]


def _counts(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in (*one, *(n for n in other if n not in one))}
