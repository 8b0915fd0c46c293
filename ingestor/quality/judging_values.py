"""Looks at what an entity said in an hour: rubbish, bounds, spikes, units, types, counters; keeps none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ingestor.quality.hours import HOUR_US, HourFacts
from ingestor.quality.judging_memory import Memory
from ingestor.quality.model import ProblemKind, Scope
from ingestor.quality.subjects import Subject
from ingestor.quality.watching import Watches

#: Device classes whose values change slowly: a jump is no event of the home.
SLOW: Final = frozenset({"temperature", "humidity", "atmospheric_pressure", "pressure", "moisture"})
COUNTERS: Final = frozenset({"total", "total_increasing"})
#: A spike stands out of the usual spread of an hour so many times.
_SPIKE: Final = 12.0
_UNLIKE: Final = 8.0
#: A new unit that stays so long is the unit.
_ADOPTED_HOURS: Final = 72
_KNOWN_HOURS: Final = 24
#: In the hour of a change there are two units.
_UNITS_OF_A_CHANGE: Final = 2
#: Counters that began anew at one hour of the day so often do so every day.
_USUAL_RESETS: Final = 2
_MOST_RESETS: Final = 14


@dataclass(slots=True)
class Look:
    """An hour of an entity, what is remembered of it, and where what is bad is told."""

    facts: HourFacts
    memory: Memory
    subject: Subject
    watches: Watches
    end_us: int

    def bad(self, kind: ProblemKind, evidence: str, *, weight: int = 1, count: int = 1) -> None:
        """Say that the entity is bad in this hour."""
        span = (self.facts.hour_us, self.end_us)
        self.watches.bad(kind, Scope.ENTITY, self.facts.series, span, evidence, weight=weight, count=count)


def look_at_values(look: Look) -> None:
    """Look at an hour in which something was said; then remember it."""
    facts, memory = look.facts, look.memory
    _rubbish(look)
    if facts.out_of_bounds:
        look.bad(
            ProblemKind.OUT_OF_BOUNDS,
            f"{facts.out_of_bounds} of {facts.values} values cannot be: {_range(facts)}",
            weight=facts.out_of_bounds,
            count=facts.out_of_bounds,
        )
    if facts.units != memory.units or facts.units:
        _unit(look)
    if facts.attributes:
        _attributes(look)
    if facts.values:
        if look.subject.state_class in COUNTERS:
            _counter(look)
        elif look.subject.device_class in SLOW and not facts.out_of_bounds:
            _unlike(look)
        memory.last = facts.last
        memory.numbers += facts.values
    memory.texts += facts.texts


def unusable(facts: HourFacts, memory: Memory) -> int:
    """Return how many states of an hour cannot be used: refused at the door, or texts among the numbers."""
    numbers = memory.numeric or bool(facts.units)
    return facts.rejected + (facts.texts if numbers and facts.values else 0)


def _rubbish(look: Look) -> None:
    facts, memory = look.facts, look.memory
    if bad := unusable(facts, memory):
        evidence = f"{bad} of {facts.events} states in the hour could not be used"
        look.bad(ProblemKind.RUBBISH, evidence, weight=bad, count=bad)
    if facts.texts and not facts.values and memory.numeric and memory.numbers >= _KNOWN_HOURS:
        look.bad(ProblemKind.TYPE_CHANGED, f"numbers before, texts now ({facts.last_state!r:.40})")


def _unit(look: Look) -> None:
    facts, memory = look.facts, look.memory
    if len(facts.units) > _UNITS_OF_A_CHANGE:
        look.bad(ProblemKind.UNIT_CHANGED, f"{', '.join(facts.units)} in one hour", weight=len(facts.units) - 1)
    new = [unit for unit in facts.units if unit not in memory.units]
    if not new:
        memory.unit_hours += bool(facts.units)
        return
    if memory.unit_hours < _KNOWN_HOURS:
        memory.units = facts.units
        memory.unit_hours += 1
        return
    hours = memory.fade("unit", 1.0, 1.0)
    look.bad(ProblemKind.UNIT_CHANGED, f"{', '.join(new)} instead of {', '.join(memory.units)}")
    if hours >= _ADOPTED_HOURS:
        memory.units = facts.units
        memory.levels.pop("unit", None)
        memory.forget_values()


def _attributes(look: Look) -> None:
    facts, memory = look.facts, look.memory
    if facts.attributes == memory.attributes:
        memory.attributes_hours += 1
        return
    if memory.attributes_hours < 7 * _KNOWN_HOURS:
        memory.attributes, memory.attributes_hours = facts.attributes, 0
        return
    if memory.fade("attributes", 1.0, 1.0) >= _ADOPTED_HOURS:
        memory.attributes, memory.attributes_hours = facts.attributes, 0
        memory.levels.pop("attributes", None)
    look.bad(ProblemKind.SCHEMA_DRIFT, "it has other attributes than in the week before")


def _counter(look: Look) -> None:
    """A counter that falls to nothing began anew; one that does so at this hour each day may."""
    facts, memory = look.facts, look.memory
    before, low = memory.last, facts.low
    if low is not None and low < 0 <= (before or 0.0):
        look.bad(ProblemKind.RUBBISH, f"{_number(low)}: a counter is not below nothing")
    fell = before is not None and low is not None and 0 <= low < 0.5 * before
    if not facts.zeroes and not fell:
        return
    if look.watches.is_open(ProblemKind.UNIT_CHANGED, Scope.ENTITY, facts.series) or _new_unit(look):
        return
    hour = facts.hour_us // HOUR_US % 24
    usual = sum(1 for known in memory.resets if abs(known - hour) in (0, 1, 23)) >= _USUAL_RESETS
    memory.resets.append(hour)
    del memory.resets[:-_MOST_RESETS]
    if not usual:
        look.bad(ProblemKind.COUNTER_RESET, f"it fell from {_number(before)} to {_number(low)}")


def _new_unit(look: Look) -> bool:
    return (ProblemKind.UNIT_CHANGED, Scope.ENTITY, look.facts.series) in look.watches.active


def _unlike(look: Look) -> None:
    facts, memory = look.facts, look.memory
    known = memory.usual_mean
    if known is None or facts.mean is None or _new_unit(look):
        return
    apart = abs(facts.mean - known.middle)
    if apart > _UNLIKE * max(known.sigma, memory.usual_spread, abs(known.middle) * 0.02):
        text = f"a mean of {_number(facts.mean)}, where {_number(known.middle)} is usual (median of a week)"
        look.bad(ProblemKind.DISTRIBUTION, text)
    elif facts.spread > max(_SPIKE * memory.usual_spread, 0.3 * max(1.0, abs(known.middle))) and memory.usual_spread:
        look.bad(ProblemKind.SPIKES, f"values from {_range(facts)} within an hour")


def _range(facts: HourFacts) -> str:
    return f"{_number(facts.low)} to {_number(facts.high)}{' ' + facts.units[0] if facts.units else ''}"


def _number(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.6g}"
