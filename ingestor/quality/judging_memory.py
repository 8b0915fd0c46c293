"""What is remembered of an entity or a group from hour to hour, of one size however long it goes; judges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

import msgspec

from ingestor.quality.hours import HOUR_US, HourFacts

DAY_US: Final = 24 * HOUR_US
#: Counts are kept for four weeks: four of each hour of the week.
WEEK_HOURS: Final = 168
COUNTS: Final = 4 * WEEK_HOURS
#: Means and spreads of hours are kept for a week.
MEANS: Final = WEEK_HOURS
#: The longest silence of a day is kept for two weeks.
DAYS: Final = 14
#: A median absolute deviation times this is the standard deviation of what is normally distributed.
MAD_TO_SIGMA: Final = 1.4826
#: No cadence is known of what was watched for fewer days or changed less often.
_DAYS_TO_KNOW: Final = 5
_CHANGES_TO_KNOW: Final = 10
_DAYS_TO_TRUST: Final = 10
_HOURS_TO_KNOW: Final = 24
#: Hours of the week with their neighbours, of three weeks.
_WEEKS_TO_KNOW: Final = 9
#: What comes more seldom in an hour is not expected in each, nor what is silent in one of ten hours (the sun at night).
_STEADY: Final = 2
_MOST_QUIET: Final = 0.1
#: So much of what a day heard counts a week later.
_WEEK_KEEPS: Final = 1 - 1 / WEEK_HOURS
_FADED: Final = 0.01
_FACTOR: Final = 2.5
_FACTOR_AT_FIRST: Final = 4.0
#: Nothing is missed for less (µs).
_LEAST_US: Final = 5_400_000_000


class Cadence(msgspec.Struct, gc=False):
    """How long it is usually silent: the longest silence of each day, the last one first known in `days`.

    `since_us` is when it was last heard, moved on by the time in which nobody could have heard it.
    """

    since_us: int = 0
    days: list[int] = msgspec.field(default_factory=list)
    today_us: int = 0
    heard: int = 0

    def hear(self, first_us: int, last_us: int, inner_us: int, *, learn: bool) -> None:
        """Take in that it was heard between two times, with a longest silence between."""
        if learn and self.since_us:
            self.today_us = max(self.today_us, first_us - self.since_us, inner_us)
        self.since_us = max(self.since_us, last_us)
        self.heard += 1

    def silent_us(self, now_us: int) -> int:
        """Return how long it has been silent, 0 where it was never heard."""
        return max(0, now_us - self.since_us) if self.since_us else 0

    def end_day(self, now_us: int, *, learn: bool) -> None:
        """Keep the longest silence of the day; one that lasts only as far as there was one like it."""
        if learn and self.since_us:
            lasts_us = self.silent_us(now_us)
            # That it goes on is what is to be noticed: it is usual when it has ended, as such silences do.
            self.days.append(max(self.today_us, min(lasts_us, max(self.days, default=lasts_us))))
            del self.days[:-DAYS]
        self.today_us = 0

    @property
    def known(self) -> bool:
        """Tell whether it was watched long enough."""
        return len(self.days) >= _DAYS_TO_KNOW

    def shift(self, by_us: int) -> None:
        """Leave a time out of account."""
        if self.since_us:
            self.since_us += by_us

    def allowed_us(self, factor: float = 1.0) -> int | None:
        """Return how long it may be silent before something is wrong; None where too little is known."""
        if not self.known or self.heard < _CHANGES_TO_KNOW:
            return None
        usual = _FACTOR if len(self.days) >= _DAYS_TO_TRUST else _FACTOR_AT_FIRST
        return max(_LEAST_US, int(max(self.days) * usual * factor))


class Usual(msgspec.Struct, gc=False):
    """What is usual in an hour: median and median absolute deviation (scaled to a standard deviation)."""

    middle: float
    sigma: float


class Memory(msgspec.Struct, gc=False):
    """What is remembered of an entity. Rings are indexed by the hour since 1970; -1 and None: not known.

    `life` is how often it says anything, `change` how often something else. `levels` are sums that fade from hour to
    hour, by name. `offsets` is how far its mean is from that of its siblings.
    """

    first_us: int = 0
    last_us: int = 0
    hours: int = 0
    life: Cadence = msgspec.field(default_factory=Cadence)
    change: Cadence = msgspec.field(default_factory=Cadence)
    counts: list[int] = msgspec.field(default_factory=lambda: [-1] * COUNTS)
    means: list[float | None] = msgspec.field(default_factory=lambda: [None] * MEANS)
    spreads: list[float | None] = msgspec.field(default_factory=lambda: [None] * MEANS)
    offsets: list[float] = msgspec.field(default_factory=list)
    last: float | None = None
    numbers: int = 0
    texts: int = 0
    units: tuple[str, ...] = ()
    unit_hours: int = 0
    attributes: int = 0
    attributes_hours: int = 0
    unavailable_hours: float = 0.0
    resets: list[int] = msgspec.field(default_factory=list)
    levels: dict[str, float] = msgspec.field(default_factory=dict)
    usual_events: Usual | None = None
    usual_mean: Usual | None = None
    usual_spread: float = 0.0

    @property
    def numeric(self) -> bool:
        """Tell whether it mostly tells numbers."""
        return self.numbers > self.texts

    def fade(self, name: str, added: float, keeps: float) -> float:
        """Return a sum that fades, after an hour: it keeps that share of what was, and gets something more."""
        level = self.levels.get(name, 0.0)
        if not level and not added:
            return 0.0
        level = level * keeps + added
        if level > _FADED:
            self.levels[name] = level
        else:
            self.levels.pop(name, None)
        return level

    def keep(self, facts: HourFacts) -> None:
        """Put an hour into the rings."""
        hour = facts.hour_us // HOUR_US
        self.counts[hour % COUNTS] = facts.events
        if facts.mean is not None:
            self.means[hour % MEANS] = facts.mean
            self.spreads[hour % MEANS] = facts.spread

    def forget_values(self) -> None:
        """Forget what its values were: they are of another kind now."""
        self.means, self.spreads = [None] * MEANS, [None] * MEANS
        self.usual_mean, self.usual_spread, self.last = None, 0.0, None
        self.offsets.clear()

    def begin_day(self, hour_us: int) -> None:
        """Reckon anew what is usual in an hour, by the week before."""
        hour = hour_us // HOUR_US
        counts = (self.counts[(hour - back) % COUNTS] for back in range(1, WEEK_HOURS + 1))
        self.usual_events = usual([count for count in counts if count >= 0], 48)
        self.usual_mean = usual([mean for mean in self.means if mean is not None], _HOURS_TO_KNOW)
        spreads = [spread for spread in self.spreads if spread is not None]
        self.usual_spread = median(spreads) if len(spreads) >= _HOURS_TO_KNOW else 0.0

    def note(self, events: int) -> None:
        """Note whether it said anything in an hour in which it could have been heard."""
        self.fade("quiet", float(not events), _WEEK_KEEPS)
        self.fade("spoke", float(events > 0), _WEEK_KEEPS)

    def expected(self) -> float:
        """Return how many events an hour surely has; 0 of what has no steady cadence.

        Chance alone makes an hour poorer than the usual one: missing is what is less than that explains.
        """
        known, quiet, spoke = self.usual_events, self.levels.get("quiet", 0.0), self.levels.get("spoke", 0.0)
        if known is None or known.middle < _STEADY or known.sigma > 0.35 * known.middle:
            return 0.0
        if quiet > _MOST_QUIET * (quiet + spoke):
            return 0.0
        return known.middle - max(1.0, 2 * known.sigma)

    def usual_at(self, hour_us: int) -> Usual | None:
        """Return what is usual in this hour of the week with its neighbours; of the day, in the first three weeks."""
        counts, hour = self.counts, hour_us // HOUR_US
        weeks = range(WEEK_HOURS, COUNTS, WEEK_HOURS)
        known = [
            count for back in weeks for near in (-1, 0, 1) if (count := counts[(hour - back + near) % COUNTS]) >= 0
        ]
        if len(known) < _WEEKS_TO_KNOW:
            known = [count for back in range(24, COUNTS, 24) if (count := counts[(hour - back) % COUNTS]) >= 0]
        return usual(known, 5)


def usual(values: Sequence[float], least: int) -> Usual | None:
    """Return median and deviation of values; None of fewer than `least`."""
    if len(values) < least:
        return None
    middle = median(values)
    return Usual(middle, MAD_TO_SIGMA * median([abs(value - middle) for value in values]))
