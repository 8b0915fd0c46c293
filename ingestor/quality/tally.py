"""Counts an hour's events into facts, an entity each, as they stream by; keeps no event and judges none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from ingestor.quality.bounds import bounds_of
from ingestor.quality.hours import HOUR_US, LAG_BUCKETS, MAX_DISTINCT, MAX_NAMED, HourFacts, lag_bucket

#: Later than so much after its own time an event is late (ms).
LATE_MS: Final = 60_000
_MAX_STATE: Final = 64
#: A counter that falls to less than this share of what it was has begun anew.
_NOTHING: Final = 0.1
#: States that say that there is none.
NOT_THERE: Final = frozenset({"unavailable", "unknown"})
Found = Literal["", "repaired", "rejected"]


class Told(msgspec.Struct, frozen=True, gc=False):
    """One event of an entity as far as facts need it: when, what, and what the rules at the door found of it.

    `received_us` 0: nobody knows. What was rejected has no state here. `duplicate`: the store had it already.
    `attributes` is a hash of the names of its attributes.
    """

    series: str
    time_us: int
    received_us: int = 0
    state: str | None = None
    value: float | None = None
    unit: str = ""
    source: str = ""
    entity_id: str = ""
    device_class: str = ""
    found: Found = ""
    duplicate: bool = False
    attributes: int = 0


def is_number(state: str | None) -> bool:
    """Tell whether a state is written as a number: "on" and "home" have a value, too."""
    return state is not None and state[:2].strip("+-. ")[:1].isdigit()


class Carry(msgspec.Struct, gc=False):
    """What an entity's next hour must know of the one before."""

    state: str = ""
    value: float | None = None
    time_us: int = 0


class HourTally:
    """Counts one hour of a home. `carried` holds what was last by series: hand the same in hour after hour."""

    def __init__(self, home: str, hour_us: int, carried: dict[str, Carry] | None = None) -> None:
        self._home = home
        self._hour_us = hour_us
        self._carried = {} if carried is None else carried
        self._of: dict[str, _Tally] = {}

    def add(self, told: Told) -> None:
        """Count an event; the events of a series should come in the order in which they were received."""
        tally = self._of.get(told.series)
        if tally is None:
            carry = self._carried.setdefault(told.series, Carry())
            tally = self._of[told.series] = _Tally(self._hour_us, carry)
        tally.add(told)

    def reported(self, series: str, reported_us: int) -> None:
        """Note a sign of life that is no event (`last_reported`)."""
        self._tally(series).reported_us = max(self._tally(series).reported_us, reported_us)

    def done(self) -> list[HourFacts]:
        """Return the facts of every entity that did something, or whose state of before lasts."""
        for series, carry in self._carried.items():
            if series not in self._of and carry.state:
                self._of[series] = _Tally(self._hour_us, carry)
        return [tally.facts(self._home, series) for series, tally in self._of.items()]

    def _tally(self, series: str) -> _Tally:
        if series not in self._of:
            self._of[series] = _Tally(self._hour_us, self._carried.setdefault(series, Carry()))
        return self._of[series]


def hour_facts(home: str, hour_us: int, told: Iterable[Told], carried: dict[str, Carry]) -> list[HourFacts]:
    """Return the facts of an hour's events."""
    tally = HourTally(home, hour_us, carried)
    for one in told:
        tally.add(one)
    return tally.done()


class _Tally:
    """Counts one entity in one hour."""

    __slots__ = (
        "_carry",
        "_hour_us",
        "_stood_us",
        "attributes",
        "changes",
        "duplicates",
        "entity_id",
        "events",
        "falls",
        "first",
        "first_us",
        "flaps",
        "high",
        "lag_max_ms",
        "lags",
        "last_us",
        "late",
        "low",
        "m2",
        "mean",
        "out_of_bounds",
        "out_of_order",
        "rejected",
        "repaired",
        "reported_us",
        "silence_us",
        "sources",
        "states",
        "texts",
        "types",
        "unavailable_us",
        "units",
        "unknown_us",
        "values",
        "zeroes",
    )

    def __init__(self, hour_us: int, carry: Carry) -> None:
        self._hour_us = hour_us
        self._carry = carry
        self._stood_us = hour_us  # since when the state that stands has been counted
        self.entity_id = ""
        self.events = self.values = self.texts = self.changes = self.falls = self.zeroes = self.flaps = 0
        self.late = self.out_of_order = self.repaired = self.rejected = self.duplicates = self.out_of_bounds = 0
        self.unavailable_us = self.unknown_us = self.first_us = self.last_us = self.reported_us = 0
        self.silence_us = self.attributes = self.lag_max_ms = 0
        self.low: float | None = None
        self.high: float | None = None
        self.first: float | None = None
        self.mean = self.m2 = 0.0
        self.lags: list[int] = []
        self.states: set[str] = set()
        self.units: dict[str, None] = {}
        self.types: dict[str, None] = {}
        self.sources: dict[str, int] = {}

    def add(self, told: Told) -> None:
        self.events += 1
        self.entity_id = told.entity_id or self.entity_id
        if told.source in self.sources or len(self.sources) < MAX_NAMED:
            self.sources[told.source] = self.sources.get(told.source, 0) + 1
        if told.received_us:
            self._count_lag((told.received_us - told.time_us) // 1000)
        if told.duplicate:
            self.duplicates += 1
            return
        if told.found == "rejected":
            self.rejected += 1
            return
        self.repaired += told.found == "repaired"
        self.attributes = told.attributes or self.attributes
        if told.time_us < self._carry.time_us:
            self.out_of_order += 1
        else:
            self._move_to(told)
        numeric = told.value is not None and is_number(told.state)
        if told.value is not None and numeric:
            self._count_value(told.value, told)
        self._count_type(told, numeric=numeric)

    def _count_lag(self, lag_ms: int) -> None:
        if not self.lags:
            self.lags = [0] * LAG_BUCKETS
        self.lags[lag_bucket(lag_ms)] += 1
        self.lag_max_ms = max(self.lag_max_ms, lag_ms)
        self.late += lag_ms > LATE_MS

    def _move_to(self, told: Told) -> None:
        """Count what stood until this event, then let it stand."""
        carry = self._carry
        state = (told.state or "")[:_MAX_STATE]
        self._stand_until(told.time_us)
        if carry.time_us:
            self.silence_us = max(self.silence_us, told.time_us - carry.time_us)
        if state != carry.state:
            self.changes += bool(carry.state)
            self.flaps += bool(carry.state) and state == "unavailable"
        if told.value is not None and carry.value is not None and told.value < carry.value:
            self.falls += 1
            self.zeroes += abs(told.value) <= abs(carry.value) * _NOTHING
        carry.state, carry.time_us = state, told.time_us
        carry.value = carry.value if told.value is None else told.value
        self.first_us = self.first_us or told.time_us
        self.last_us = told.time_us
        if len(self.states) < MAX_DISTINCT:
            self.states.add(state)

    def _stand_until(self, until_us: int) -> None:
        until_us = min(until_us, self._hour_us + HOUR_US)
        stood_us = max(0, until_us - self._stood_us)
        if self._carry.state == "unavailable":
            self.unavailable_us += stood_us
        elif self._carry.state == "unknown":
            self.unknown_us += stood_us
        self._stood_us = max(self._stood_us, until_us)

    def _count_value(self, value: float, told: Told) -> None:
        self.values += 1
        self.first = value if self.first is None else self.first
        self.low = value if self.low is None else min(self.low, value)
        self.high = value if self.high is None else max(self.high, value)
        apart = value - self.mean
        self.mean += apart / self.values
        self.m2 += apart * (value - self.mean)
        bounds = bounds_of(told.device_class, told.unit)
        self.out_of_bounds += bounds is not None and not bounds.low <= value <= bounds.high

    def _count_type(self, told: Told, *, numeric: bool) -> None:
        if told.unit and len(self.units) < MAX_NAMED:
            self.units[told.unit] = None
        if told.state and told.state not in NOT_THERE:
            self.types["number" if numeric else "text"] = None
            self.texts += not numeric

    def facts(self, home: str, series: str) -> HourFacts:
        end_us = self._hour_us + HOUR_US
        self._stand_until(end_us)
        lasts_us = end_us - self._carry.time_us if self._carry.time_us else 0
        return HourFacts(
            home=home,
            series=series,
            hour_us=self._hour_us,
            entity_id=self.entity_id,
            events=self.events,
            values=self.values,
            texts=self.texts,
            changes=self.changes,
            distinct=len(self.states),
            low=self.low,
            high=self.high,
            mean=self.mean if self.values else None,
            m2=self.m2,
            first=self.first,
            last=self._carry.value if self.values else None,
            last_state=self._carry.state,
            first_us=self.first_us,
            last_us=self._carry.time_us,
            falls=self.falls,
            zeroes=self.zeroes,
            unavailable_us=self.unavailable_us,
            unknown_us=self.unknown_us,
            flaps=self.flaps,
            lags=tuple(self.lags),
            lag_max_ms=self.lag_max_ms,
            late=self.late,
            out_of_order=self.out_of_order,
            repaired=self.repaired,
            rejected=self.rejected,
            duplicates=self.duplicates,
            out_of_bounds=self.out_of_bounds,
            silence_s=max(self.silence_us, lasts_us) / 1e6,
            units=tuple(self.units),
            types=tuple(self.types),
            attributes=self.attributes,
            sources=self.sources,
            reported_us=self.reported_us,
        )
