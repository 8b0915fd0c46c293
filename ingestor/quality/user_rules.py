"""Rules of the settings as tests: whom each is for, and how it looks; reads no settings by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate
from typing import Any, Final

from ingestor.events.event import Event
from ingestor.events.values import number_of
from ingestor.home.model import domain_of
from ingestor.quality.attributes import NEEDED
from ingestor.quality.rule import About, Finding, Repair, Rule, Severity, Test
from ingestor.quality.rules import ABSENT
from ingestor.settings_quality import QualityRule

_KINDS: Final[dict[str, str]] = {
    "deny": "left out by quality.rules",
    "allow": "not among what quality.rules allows",
    "attributes": "attributes left out by quality.rules",
    "dead-band": "a change too small to be stored",
    "bounds": "beyond the bounds of quality.rules",
    "pattern": "not as quality.rules says",
}
#: Kinds that leave out whole events.
_FILTERS: Final = frozenset({"deny", "allow", "dead-band"})
_CHECKS: Final = frozenset({"bounds", "pattern"})


@dataclass(frozen=True, slots=True)
class UserRule:
    """A rule of the settings: the rule, and what it was made of."""

    rule: Rule
    chosen: QualityRule

    def is_for(self, entity_id: str, device_class: str | None) -> bool:
        """Tell whether it is asked about this entity; one that allows is asked about those that it does not name."""
        named = _is_named(self.chosen, entity_id, device_class)
        return not named if self.chosen.kind == "allow" else named

    def only_glob(self) -> str | None:
        """Return the one pattern that all its entities fit; None where there is not exactly one."""
        alone = self.chosen.kind != "allow" and len(self.chosen.entities) == 1
        return self.chosen.entities[0] if alone else None


def left_out(rules: Sequence[QualityRule]) -> Callable[[str, str | None], bool]:
    """Return what tells whether events of an entity (and device class) may be left out on purpose."""
    filters = [one for one in map(compiled, rules) if one.chosen.kind in _FILTERS]
    return lambda entity_id, device_class: any(one.is_for(entity_id, device_class) for one in filters)


def compiled(chosen: QualityRule) -> UserRule:
    """Return the rule that a table of the settings stands for."""
    severity: Severity = chosen.severity if chosen.kind in _CHECKS else "filter"
    reason = chosen.reason or _KINDS[chosen.kind]
    return UserRule(Rule(chosen.name, severity, reason, test=_TESTS[chosen.kind](chosen)), chosen)


def _is_named(chosen: QualityRule, entity_id: str, device_class: str | None) -> bool:
    return (
        _fits(chosen.entities, entity_id)
        and _fits(chosen.domains, domain_of(entity_id))
        and _fits(chosen.device_classes, device_class or "")
    )


def _fits(patterns: Sequence[str], text: str) -> bool:
    return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)


def _left_out(_chosen: QualityRule) -> Test:
    def test(_event: Event, _about: About) -> Finding | None:
        return Finding("left out")

    return test


def _read(chosen: QualityRule, event: Event) -> Any:
    if chosen.attribute is None:
        return event.state
    return (event.attributes or {}).get(chosen.attribute)


def _repair(chosen: QualityRule, event: Event) -> Repair:
    if chosen.attribute:
        return Repair(event.value, event.unit, (chosen.attribute,))
    return Repair(None, event.unit)


def _bounds(chosen: QualityRule) -> Test:
    low = float("-inf") if chosen.min is None else chosen.min
    high = float("inf") if chosen.max is None else chosen.max

    def test(event: Event, _about: About) -> Finding | None:
        value = event.value if chosen.attribute is None else _number(_read(chosen, event))
        if value is None or low <= value <= high:
            return None
        what = f"{chosen.attribute} is " if chosen.attribute else ""
        beyond = f"below {low:g}" if value < low else f"above {high:g}"
        return Finding(f"{what}{value:g}, {beyond}", _repair(chosen, event))

    return test


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    return number_of(value) if isinstance(value, str) else float(value)


def _pattern(chosen: QualityRule) -> Test:
    matches = re.compile(chosen.pattern or "").fullmatch

    def test(event: Event, _about: About) -> Finding | None:
        value = _read(chosen, event)
        if value is None or (chosen.attribute is None and value in ABSENT) or matches(str(value)):
            return None
        what = f"{chosen.attribute} is " if chosen.attribute else ""
        return Finding(f"{what}{str(value)!r:.80}", _repair(chosen, event))

    return test


def _attributes(chosen: QualityRule) -> Test:
    drops, keeps = matching(chosen.drop), matching(chosen.keep)

    def is_dropped(name: str) -> bool:
        return drops(name) or (bool(chosen.keep) and name not in NEEDED and not keeps(name))

    def test(event: Event, _about: About) -> Finding | None:
        dropped = tuple(name for name in event.attributes or () if is_dropped(name))
        return Finding(", ".join(dropped), Repair(event.value, event.unit, dropped)) if dropped else None

    return test


def matching(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return what tells whether a name fits one of the patterns."""
    if not patterns:
        return lambda _name: False
    match = re.compile("|".join(translate(pattern) for pattern in patterns)).match
    return lambda name: match(name) is not None


def _dead_band(chosen: QualityRule) -> Test:
    least = chosen.change or 0.0

    def test(event: Event, _about: About) -> Finding | None:
        # From what the event itself carries, or not at all (rule 7): so one that is sent again is decided the same way.
        value, before = number_of(event.state), number_of(event.previous_state)
        if value is None or before is None or event.state == event.previous_state or abs(value - before) >= least:
            return None
        return Finding(f"{before:g} → {value:g}")

    return test


_TESTS: Final[dict[str, Callable[[QualityRule], Test]]] = {
    "bounds": _bounds,
    "pattern": _pattern,
    "deny": _left_out,
    "allow": _left_out,
    "attributes": _attributes,
    "dead-band": _dead_band,
}
