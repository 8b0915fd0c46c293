"""Adds up the states of an hour one by one, for a store that reads them sooner than it adds them up."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from ingestor.storage.series_hours import HOUR_NS, NOT_THERE, SeriesHour

_SHARES: Final = (0.5, 0.95, 0.99)


class StateRow(NamedTuple):
    """A state as far as its hour needs it."""

    time_ns: int
    series: str
    entity_id: str | None
    state: str | None
    previous_state: str | None
    value: float | None
    unit: str | None
    source: str | None
    repaired_by: str | None
    delay_s: float | None


def hours_of(rows: Iterable[StateRow], hours: Sequence[int]) -> Iterator[tuple[int, list[SeriesHour]]]:
    """Yield these hours (their begin in Unix ns), oldest first, from states of all series in the order of time."""
    sums: dict[str, _Sum] = {}
    wanted = iter(hours)
    hour_ns = next(wanted, None)
    for row in rows:
        while hour_ns is not None and row.time_ns >= hour_ns + HOUR_NS:
            yield hour_ns, [one.hour(series) for series, one in sums.items()]
            sums = {}
            hour_ns = next(wanted, None)
        one = sums.get(row.series)
        if one is None:
            one = sums[row.series] = _Sum(row.time_ns)
        one.add(row)
    while hour_ns is not None:
        yield hour_ns, [one.hour(series) for series, one in sums.items()]
        sums = {}
        hour_ns = next(wanted, None)


class _Sum:
    """A series in an hour. Mean and deviation as Welford has them: squares of what is far from nothing cancel out."""

    __slots__ = (
        "changes",
        "delays",
        "entity_id",
        "falls",
        "first",
        "first_ns",
        "high",
        "last",
        "last_ns",
        "last_state",
        "longest_ns",
        "low",
        "m2",
        "mean",
        "not_there",
        "repaired",
        "sources",
        "state_words",
        "states",
        "units",
        "values",
    )

    def __init__(self, first_ns: int) -> None:
        self.first_ns = self.last_ns = first_ns
        self.entity_id = ""
        self.states = self.values = self.changes = self.falls = self.not_there = self.repaired = self.longest_ns = 0
        self.state_words: set[str] = set()
        self.last_state = ""
        self.first: float | None = None
        self.last: float | None = None
        self.low, self.high = math.inf, -math.inf
        self.mean = self.m2 = 0.0
        self.units: dict[str, None] = {}
        self.sources: dict[str, int] = {}
        self.delays: list[float] = []

    def add(self, row: StateRow) -> None:
        time_ns, state = row.time_ns, row.state
        self.states += 1
        self.longest_ns = max(self.longest_ns, time_ns - self.last_ns)
        self.last_ns = time_ns
        if row.entity_id:
            self.entity_id = row.entity_id
        if state is not None:
            self.last_state = state
            self.state_words.add(state)
            self.not_there += state in NOT_THERE
            self.changes += row.previous_state is not None and state != row.previous_state
        if row.value is not None:
            self._add_value(row.value)
        if row.unit:
            self.units[row.unit] = None
        self.repaired += row.repaired_by is not None
        source = row.source or ""
        self.sources[source] = self.sources.get(source, 0) + 1
        if row.delay_s is not None:
            self.delays.append(row.delay_s)

    def _add_value(self, value: float) -> None:
        self.values += 1
        if self.last is None:
            self.first = value
        else:
            self.falls += value < self.last
        self.last = value
        self.low, self.high = min(self.low, value), max(self.high, value)
        from_mean = value - self.mean
        self.mean += from_mean / self.values
        self.m2 += from_mean * (value - self.mean)

    def hour(self, series: str) -> SeriesHour:
        has = self.values > 0
        return SeriesHour(
            series=series,
            entity_id=self.entity_id or series,
            states=self.states,
            values=self.values,
            distinct=len(self.state_words),
            first_ns=self.first_ns,
            last_ns=self.last_ns,
            last_state=self.last_state,
            low=self.low if has else None,
            high=self.high if has else None,
            mean=self.mean if has else None,
            deviation=math.sqrt(self.m2 / (self.values - 1)) if self.values > 1 else None,
            first=self.first,
            last=self.last,
            falls=self.falls,
            changes=self.changes,
            not_there=self.not_there,
            repaired=self.repaired,
            longest_s=self.longest_ns // 1000 / 1e6,
            units=tuple(self.units),
            sources=tuple(sorted(self.sources.items())),
            delays_s=_hundredths(sorted(self.delays)),
        )


def _hundredths(delays: Sequence[float]) -> tuple[float, ...]:
    if not delays:
        return ()
    return (*(delays[max(0, round(share * len(delays)) - 1)] for share in _SHARES), delays[-1])
