"""Compares the problems that were found with the truth that was planted: found, missed, false alarms; finds nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ingestor.demo.clock import DAY_US, HOUR_US
from ingestor.demo.faults import Truth
from ingestor.demo.month import Placed
from ingestor.demo.planting import HOME
from ingestor.quality.model import Problem, Scope

#: So long after it began a fault must be told; what only shows by its absence takes as long as it is usual.
SENSIBLE_DELAY_US: Final[Mapping[str, int]] = {
    "frozen": 36 * HOUR_US,
    "hub_dead": 36 * HOUR_US,
    "flapping": 12 * HOUR_US,
    "counter_reset": 12 * HOUR_US,
    "unit_changed": 6 * HOUR_US,
    "clock_off": 6 * HOUR_US,
    "duplicate_source": 3 * DAY_US,
    "rubbish": DAY_US,
}
#: Silence begins with the last word, which may have been said long before the fault.
_EARLIER_US: Final = 12 * HOUR_US
#: What a fault leaves behind, such as a mean that is yet to come back, may be told so long after it.
_AFTERMATH_US: Final = 3 * DAY_US
#: What rubbish of the whole home may be called of an entity; anything else there is an alarm of its own.
_OF_RUBBISH: Final = frozenset(("rubbish", "out_of_bounds", "spikes", "type_changed"))


@dataclass(frozen=True, slots=True)
class Told:
    """A problem, and when it was told first (Unix µs)."""

    problem: Problem
    told_us: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came out: the problem that tells each truth (None: missed), and alarms about what is healthy."""

    found: Sequence[tuple[Truth, Told | None]]
    false_alarms: Sequence[Problem]
    healthy: int

    @property
    def missed(self) -> list[Truth]:
        """Return the faults that nothing was said of."""
        return [truth for truth, told in self.found if told is None]

    @property
    def false_share(self) -> float:
        """Return how many of the healthy had any alarm, 0 to 1; one about more than an entity counts as one."""
        return len({(one.scope, one.subject) for one in self.false_alarms}) / max(1, self.healthy)


def compare(truths: Sequence[Truth], told: Sequence[Told], places: Mapping[str, Placed]) -> Comparison:
    """Return what was found, missed and told in vain."""
    found = [(truth, _found(truth, told)) for truth in truths]
    alarms = [one.problem for one in told if not any(_explains(truth, one, places) for truth in truths)]
    sick = {entity_id for truth in truths if truth.subject != HOME for entity_id in truth.subjects}
    return Comparison(found, alarms, len(places.keys() - sick))


def _found(truth: Truth, told: Sequence[Told]) -> Told | None:
    latest_us = truth.since_us + SENSIBLE_DELAY_US[truth.kind]
    fitting = [
        one
        for one in told
        if one.problem.kind == truth.kind
        and one.problem.subject in (truth.subject, *truth.subjects)
        and truth.since_us - _EARLIER_US <= one.problem.since_us
        and truth.since_us <= one.told_us <= latest_us
    ]
    return min(fitting, key=lambda one: one.told_us, default=None)


def _explains(truth: Truth, told: Told, places: Mapping[str, Placed]) -> bool:
    """Tell whether a problem is the fault, or what follows from it: it was told after the fault began."""
    problem = told.problem
    end_us = None if truth.until_us is None else truth.until_us + _AFTERMATH_US
    if end_us is not None and problem.since_us > end_us:
        return False
    if told.told_us < truth.since_us:
        return False
    if truth.subject == HOME:
        return problem.kind in _OF_RUBBISH or problem.scope is Scope.HOME
    return problem.subject in _concerned(truth.subjects, truth.subject, places)


def _concerned(entities: Collection[str], subject: str, places: Mapping[str, Placed]) -> set[str]:
    """Return who else may be named: all that the entities are part of."""
    found = {subject, HOME, *entities}
    for entity_id in entities:
        place = places[entity_id]
        found |= {place.device, place.area, place.integration, place.via} - {""}
    return found
