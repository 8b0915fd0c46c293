"""Looks at how an entity's events came in an hour: flapping, absence, clocks, lateness, sources, volume; keeps none."""

from __future__ import annotations

from typing import Final

from ingestor.quality.hours import HOUR_US, HourFacts, lag_ms
from ingestor.quality.judging_values import Look
from ingestor.quality.model import ProblemKind, Scope

#: A clock is off where the usual event is so far from its receipt (ms).
CLOCK_OFF_MS: Final = 1_800_000
_READ_BACK: Final = frozenset({"history", "statistics"})
#: Going and coming fades to half in seven hours; so much of it is flapping.
_FLAPS_KEPT: Final = 0.9
_FLAPPING: Final = 4.0
_MOSTLY_US: Final = HOUR_US * 9 // 10
#: Of what is always unavailable nobody need be told.
_USUALLY_AWAY: Final = 0.5
_SIGMAS: Final = 10.0
_TIMES: Final = 4.0
_MANY: Final = 60
_SOME: Final = 5
_FEW: Final = 3


def look_at_events(look: Look) -> None:
    """Look at an hour in which something was said."""
    facts = look.facts
    _flaps(look)
    if facts.lags and not _READ_BACK.issuperset(facts.sources):
        _lags(look)
    if len(facts.sources) > 1:
        _sources(look)
    _volume(look)


def look_at_absence(look: Look) -> None:
    """Look at any hour: a state that is not there lasts without an event."""
    facts, memory = look.facts, look.memory
    if memory.hours and memory.unavailable_hours / memory.hours > _USUALLY_AWAY:
        pass
    elif facts.unavailable_us >= _MOSTLY_US:
        look.bad(ProblemKind.UNAVAILABLE, "unavailable for hours")
    elif facts.unavailable_us < HOUR_US // 2:
        look.watches.close(ProblemKind.UNAVAILABLE, Scope.ENTITY, facts.series)
    memory.unavailable_hours += facts.unavailable_us / HOUR_US


def _flaps(look: Look) -> None:
    level = look.memory.fade("flaps", look.facts.flaps, _FLAPS_KEPT)
    if level >= _FLAPPING:
        text = f"it went unavailable about {level:.0f} times in the last hours"
        text += f", {look.facts.flaps} of them in the newest one" if look.facts.flaps else ""
        look.bad(ProblemKind.FLAPPING, text, count=look.facts.flaps)


def off_ms(facts: HourFacts) -> float | None:
    """Return by how much the clock that stamped an hour's events is off; None where it is not, or nobody knows."""
    if not facts.lags or _READ_BACK.issuperset(facts.sources):
        return None
    middle = lag_ms(facts.lags, 0.5)
    return middle if middle is not None and abs(middle) >= CLOCK_OFF_MS else None


def _lags(look: Look) -> None:
    facts = look.facts
    if off_ms(facts) is None and facts.late >= _SOME and facts.late > 0.5 * facts.events:
        look.bad(ProblemKind.LATE, f"{facts.late} of {facts.events} events came a minute late or later")


def _sources(look: Look) -> None:
    facts = look.facts
    live = [count for source, count in facts.sources.items() if source not in _READ_BACK]
    # What came twice and was stored once is no fault: two roads may well be wanted.
    if len(live) > 1 and min(live) >= _FEW and min(live) >= 0.3 * max(live):
        look.bad(ProblemKind.DUPLICATE_SOURCE, "the same states come by two roads: " + ", ".join(sorted(facts.sources)))


def _volume(look: Look) -> None:
    facts, memory = look.facts, look.memory
    rough = memory.usual_events
    if rough is None or facts.events < _MANY or facts.events < _TIMES * rough.middle:
        return
    known = memory.usual_at(facts.hour_us) or rough
    sigma = max(known.sigma, rough.sigma, 1.0)
    if facts.events > _TIMES * known.middle and facts.events > known.middle + _SIGMAS * sigma:
        look.bad(ProblemKind.VOLUME, f"{facts.events} events in an hour that usually has {known.middle:.0f}")
