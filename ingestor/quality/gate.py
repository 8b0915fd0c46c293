"""The gate at the end of `validate`: asks the rules about each event and does what follows; reads no store.

A healthy number costs one look-up and a few comparisons: what is to be asked about an entity is decided once, and kept.
Whatever is not healthy at first sight is looked at closer, by every rule in its order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, cast

from ingestor import errors
from ingestor.events.event import Event
from ingestor.quality.bounds import BOUNDS, bounds_of
from ingestor.quality.rule import RAW_STATE, RAW_UNIT, REPAIRED_BY, About, Limits, Repair, Rule, Severity
from ingestor.quality.rules import BY_NAME, EVENT_RULES, MAX_STATE_OF_HOME_ASSISTANT, YEAR_2000_US
from ingestor.quality.units import normal_unit, wanted_energy, wanted_temperature
from ingestor.quality.user_rules import compiled
from ingestor.settings_quality import QualitySettings
from ingestor.storage.schema import READ_BACK

#: Decisions are kept for so many entities; then all are made anew.
_MAX_DECISIONS: Final = 50_000
_US_PER_S: Final = 1_000_000
_BOUNDS: Final = BY_NAME["bounds"]
_ORDER: Final = BY_NAME["out_of_order"]

_Key = tuple[str, str | None, str | None]


@dataclass(slots=True)
class Decision:
    """What is asked about an entity in one unit and device class.

    `low` and `high`: between them a number is healthy; nothing is where every event must be looked at closer.
    `counts_bounds`: what is not between them is counted, and no more is done about it.
    `plain`: a text is healthy unless it is long. `last_us` is the newest time that was seen.
    """

    low: float
    high: float
    plain: bool
    numeric: bool
    rules: tuple[Rule, ...]
    counts_bounds: bool = False
    last_us: int = YEAR_2000_US


@dataclass(slots=True)
class Looked:
    """What became of the events of a batch; those that stay are changed in place where they were repaired."""

    staying: list[Event]
    rejected: list[tuple[Event, errors.Rejected]] = field(default_factory=list)
    filtered: list[Event] = field(default_factory=list)
    findings: Counter[tuple[str, Severity]] = field(default_factory=Counter)


_Suspect = tuple[Event, Decision, int]


class Gate:
    """Asks the rules, in their order. For one thread."""

    def __init__(self, settings: QualitySettings) -> None:
        self._settings = settings
        self._rules = with_severities(settings)
        self._user_rules = [compiled(rule) for rule in settings.rules]
        self._counts_order = any(rule.name == _ORDER.name for rule in self._rules)
        self._counts_bounds = any(rule.name == _BOUNDS.name and rule.severity == "note" for rule in self._rules)
        self._known: dict[_Key, Decision] = {}
        self._learned: Mapping[str, frozenset[str]] = {}

    def learn(self, attributes: Mapping[str, frozenset[str]]) -> None:
        """Take over which attributes are to be left out, by domain."""
        self._learned = attributes

    def look(self, events: list[Event], received_ns: int) -> Looked:
        """Ask the rules about events that were received until then.

        The same events get the same answers; only what is noted of their order may differ.
        """
        latest_us = received_ns // 1000 + int(self._settings.future_s * _US_PER_S)
        # What is read back is older than what was heard live, and says nothing of order.
        known = {} if events and events[0].source in READ_BACK else self._known
        found = known.get
        suspects: list[_Suspect] = []
        out_of_bounds = out_of_order = 0
        for event in events:
            decision = found((event.subject, event.unit, event.device_class)) or self._decide(event, known)
            time_us, value = event.time_us, event.value
            if YEAR_2000_US <= time_us < latest_us and not event.notes:
                if value is not None:
                    healthy = decision.low <= value <= decision.high
                    if not healthy and decision.counts_bounds:
                        healthy = True
                        out_of_bounds += 1
                else:
                    state = event.state
                    healthy = decision.plain and (state is None or len(state) <= MAX_STATE_OF_HOME_ASSISTANT)
                if healthy:
                    if time_us >= decision.last_us:
                        decision.last_us = time_us
                    else:
                        out_of_order += 1
                    continue
            suspects.append((event, decision, decision.last_us))
            if decision.last_us < time_us < latest_us:
                decision.last_us = time_us
        looked = Looked(events)
        self._look_closer(suspects, latest_us, looked)
        looked.findings.update(self._counted(out_of_bounds, out_of_order))
        self._drop_learned(looked.staying)
        return looked

    def _look_closer(self, suspects: Sequence[_Suspect], latest_us: int, looked: Looked) -> None:
        limits = limits_of(self._settings, latest_us)
        for event, decision, last_us in suspects:
            _ask(event, decision.rules, About(limits, decision.numeric, last_us), looked)
        _part(looked)

    def _counted(self, out_of_bounds: int, out_of_order: int) -> dict[tuple[str, Severity], int]:
        counted: dict[tuple[str, Severity], int] = {}
        if out_of_bounds:
            counted[_BOUNDS.name, "note"] = out_of_bounds
        if out_of_order and self._counts_order:
            counted[_ORDER.name, "note"] = out_of_order
        return counted

    def _decide(self, event: Event, known: dict[_Key, Decision]) -> Decision:
        if len(known) >= _MAX_DECISIONS:
            known.clear()
        mine = tuple(
            one.rule
            for one in self._user_rules
            if event.kind == "state" and one.is_for(event.subject, event.device_class)
        )
        numeric = is_numeric(event)
        decision = Decision(-math.inf, math.inf, not numeric and not mine, numeric, (*self._rules, *mine))
        if mine or self._is_converted(event):
            decision.low, decision.high = math.inf, -math.inf
        elif bounds := bounds_of(event.device_class, event.unit):
            decision.low, decision.high = bounds.low, bounds.high
            decision.counts_bounds = self._counts_bounds
        known[event.subject, event.unit, event.device_class] = decision
        return decision

    def _is_converted(self, event: Event) -> bool:
        unit = event.unit
        if unit is None:
            return False
        return (
            normal_unit(unit) != unit
            or wanted_temperature(unit, self._settings.temperature) is not None
            or wanted_energy(unit, self._settings.energy) is not None
        )

    def _drop_learned(self, events: Iterable[Event]) -> None:
        for event in events if self._learned else ():
            if not event.attributes:
                continue
            dropped = self._learned.get(event.subject.partition(".")[0])
            if dropped and not dropped.isdisjoint(event.attributes):
                event.attributes = {name: one for name, one in event.attributes.items() if name not in dropped}


def is_numeric(event: Event) -> bool:
    """Tell whether an entity measures a number, as far as its unit, state class and device class say so."""
    if event.kind != "state":
        return False
    return event.unit is not None or event.state_class is not None or event.device_class in BOUNDS


def with_severities(settings: QualitySettings) -> tuple[Rule, ...]:
    """Return our rules with the severities that the settings give them, without those that are off."""
    chosen = cast("dict[str, Severity]", dict(choice.split("=") for choice in settings.severity))
    return tuple(
        replace(rule, severity=chosen.get(rule.name, rule.severity))
        for rule in EVENT_RULES
        if f"{rule.name}=off" not in settings.severity
    )


def limits_of(settings: QualitySettings, latest_us: int) -> Limits:
    """Return the rules' own limits."""
    return Limits(latest_us, settings.decimal, settings.temperature, settings.energy)


def _ask(event: Event, rules: Sequence[Rule], about: About, looked: Looked) -> None:
    for rule in rules:
        finding = rule.test(event, about) if rule.test else None
        if finding is None:
            continue
        looked.findings[rule.name, rule.severity] += 1
        if rule.severity == "reject":
            looked.rejected.append((event, errors.InvalidEvent(rule.name, f"{finding.detail} ({rule.reason})")))
            return
        if rule.severity == "filter" and finding.repair is None:
            looked.filtered.append(event)
            return
        if finding.repair is not None and rule.severity != "note":
            apply(event, finding.repair, rule)


def apply(event: Event, repair: Repair, rule: Rule) -> None:
    """Change an event as a repair says. The state stays as it came: it is what the event is told from others by."""
    if repair.without:
        event.attributes = {name: one for name, one in (event.attributes or {}).items() if name not in repair.without}
    if rule.severity == "filter":
        return
    extras = event.extras = event.extras or {}
    before = extras.get(REPAIRED_BY)
    extras[REPAIRED_BY] = f"{before},{rule.name}" if before else rule.name
    raw = repair.raw or (event.state if repair.value != event.value else None)
    if raw is not None:
        extras.setdefault(RAW_STATE, raw)
    if repair.unit != event.unit and event.unit is not None:
        extras.setdefault(RAW_UNIT, event.unit)
    event.value, event.unit = repair.value, repair.unit


def _part(looked: Looked) -> None:
    """Take out of the events those that do not stay."""
    gone = {event.slot for event, _error in looked.rejected} | {event.slot for event in looked.filtered}
    if gone:
        looked.staying = [event for event in looked.staying if event.slot not in gone]
