"""What hours of an entity come to, added up: what scores are made from and what is kept by the day; judges nothing."""

from __future__ import annotations

from typing import Final

import msgspec

from ingestor.quality.hours import HOUR_US, HourFacts

_S: Final = 1_000_000


class Sums(msgspec.Struct, gc=False, omit_defaults=True):
    """An entity's hours added up. Seconds are of the span; `deaf_s` of it nobody heard the home.

    `expected` events are those of the hours with a steady cadence, `lacking` so many fewer came. `silent_s`: dead or
    frozen. `changed` counts hours with another unit, type or set of attributes than before; `odd` those with spikes,
    values unlike those of before, or far from the room's; `doubled` those in which it came by two roads.
    """

    series: str
    hours: int = 0
    deaf_s: float = 0.0
    events: int = 0
    values: int = 0
    expected: float = 0.0
    lacking: float = 0.0
    rejected: int = 0
    repaired: int = 0
    duplicates: int = 0
    doubled: int = 0
    late: int = 0
    lags: list[int] = []
    lag_max_ms: int = 0
    changed: int = 0
    out_of_bounds: int = 0
    odd: int = 0
    unavailable_s: float = 0.0
    unknown_s: float = 0.0
    flaps: int = 0
    silent_s: float = 0.0
    known: bool = False
    units: tuple[str, ...] = ()

    def add(self, facts: HourFacts) -> None:
        """Add an hour's facts."""
        self.hours += 1
        self.unavailable_s += facts.unavailable_us / _S
        self.unknown_s += facts.unknown_us / _S
        if not facts.events:
            return
        self.events += facts.events
        self.values += facts.values
        self.rejected += facts.rejected
        self.repaired += facts.repaired
        self.duplicates += facts.duplicates
        self.out_of_bounds += facts.out_of_bounds
        self.flaps += facts.flaps
        self.late += facts.late
        self.units = facts.units or self.units
        if facts.lags:
            self.lags = [a + b for a, b in zip(self.lags, facts.lags, strict=True)] if self.lags else list(facts.lags)
            self.lag_max_ms = max(self.lag_max_ms, facts.lag_max_ms)

    def expect(self, expected: float, events: int) -> None:
        """Note how many events an hour should have had."""
        if expected:
            self.expected += expected
            self.lacking += max(0.0, expected - events)

    def merge(self, other: Sums) -> None:
        """Add another span."""
        for name in _ADDED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.known = self.known or other.known
        self.units = other.units or self.units
        self.lag_max_ms = max(self.lag_max_ms, other.lag_max_ms)
        if other.lags:
            self.lags = [a + b for a, b in zip(self.lags, other.lags, strict=True)] if self.lags else list(other.lags)

    @property
    def span_s(self) -> float:
        """Return for how long it could be heard."""
        return max(1.0, self.hours * HOUR_US / _S - self.deaf_s)


_ADDED: Final = tuple(
    name for name in Sums.__struct_fields__ if name not in {"series", "lags", "lag_max_ms", "known", "units"}
)
