"""Tells what is constant from what is dead: by its own cadence, and by those behind the same device or hub; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from ingestor.quality.hours import HOUR_US, HourFacts
from ingestor.quality.judging_memory import Cadence, Memory
from ingestor.quality.model import ProblemKind, Scope
from ingestor.quality.subjects import JudgeContext, Subject
from ingestor.quality.watching import Watches

#: An integration is more than its devices only where it has some of them.
_LEAST_MEMBERS: Final = 3
_HOUR_S: Final = 3600.0
_TWO_DAYS_H: Final = 48
#: What is alive may stay as it is for longer (fog, a still night) before it is frozen.
_FROZEN_US: Final = 6 * HOUR_US
#: Changes of what people do (a door, a lamp) are no clock: more patience.
_NOT_NUMERIC: Final = 3.0


class Group(msgspec.Struct, gc=False):
    """Entities that live and die together. `kind` "via", "device" or "integration"; times are Unix µs."""

    kind: str
    scope: Scope
    subject: str
    cadence: Cadence = msgspec.field(default_factory=Cadence)
    last_us: int = 0
    dead_since_us: int = 0


@dataclass(slots=True)
class Alive:
    """What was found of an hour: which entities are alive, and which are silent because their group is."""

    groups: list[Group]
    behind_dead: frozenset[str]


class Groups:
    """The groups of a home and who is in them."""

    def __init__(self, known: Iterable[Group] = ()) -> None:
        self.of = {(group.kind, group.subject): group for group in known}
        self.members: dict[tuple[str, str], list[str]] = {}
        self._built_from: object = None

    def build(self, series: Iterable[str], context: JudgeContext) -> None:
        """Put everything known into its groups; those too small to say more than an entity are none."""
        found: dict[tuple[str, str], list[Subject]] = defaultdict(list)
        for one in series:
            subject = context.subject(one)
            for kind, name in (("via", subject.via), ("device", subject.device), ("integration", subject.integration)):
                if name:
                    found[kind, name].append(subject)
        self.members = {key: [one.series for one in of] for key, of in found.items() if _counts(key[0], of)}
        for key in self.members:
            if key not in self.of:
                scope = Scope.INTEGRATION if key[0] == "integration" else Scope.DEVICE
                self.of[key] = Group(key[0], scope, key[1])

    def hear(self, facts: Mapping[str, HourFacts], *, learn: bool) -> None:
        """Take in an hour: a group was heard where one of its members was."""
        for key, members in self.members.items():
            group = self.of[key]
            heard = [one for series in members if (one := facts.get(series)) is not None and _life_us(one)]
            if heard:
                first_us = min(_first_us(one) for one in heard)
                last_us = max(_life_us(one) for one in heard)
                # Between its own events: how long that one was silent before, others may have spoken.
                inner_us = 0 if len(heard) > 1 else min(int(heard[0].silence_s * 1e6), last_us - first_us)
                group.cadence.hear(first_us, last_us, inner_us, learn=learn and not group.dead_since_us)
                group.last_us = max(group.last_us, last_us)

    def look(self, memories: Mapping[str, Memory], end_us: int, watches: Watches) -> frozenset[str]:
        """Say which groups are dead, the widest first; return the entities of which that says enough."""
        behind: set[str] = set()
        for kind in ("integration", "via", "device"):
            for (of, subject), members in self.members.items():
                group = self.of[of, subject]
                if of == kind and self._is_dead(group, members, memories, end_us):
                    if self._said_by_hub(group, members):
                        continue
                    if not behind.issuperset(members):
                        _say_dead(group, members, end_us, watches)
                    behind.update(members)
        return frozenset(behind)

    def _is_dead(self, group: Group, members: list[str], memories: Mapping[str, Memory], end_us: int) -> bool:
        allowed_us = group.cadence.allowed_us()
        if allowed_us is not None and group.cadence.silent_us(end_us) > allowed_us:
            group.dead_since_us = group.dead_since_us or group.last_us
            return True
        if group.dead_since_us:
            _revive(group, members, memories)
        return False

    def _said_by_hub(self, group: Group, members: list[str]) -> bool:
        """Tell whether an integration is no more than what hangs on one hub: then it is the hub."""
        if group.kind != "integration":
            return False
        return any(kind == "via" and set(of) >= set(members) for (kind, _), of in self.members.items())

    def is_alive(self, subject: Subject, end_us: int) -> bool | None:
        """Tell whether others of an entity's device were heard as usual; None where nobody else is there to say."""
        group = self.of.get(("device", subject.device))
        if group is None or ("device", subject.device) not in self.members:
            return None
        allowed_us = group.cadence.allowed_us()
        return None if allowed_us is None else group.cadence.silent_us(end_us) <= allowed_us


def _say_dead(group: Group, members: list[str], end_us: int, watches: Watches) -> None:
    kind = ProblemKind.DEAD if group.kind == "device" else ProblemKind.HUB_DEAD
    text = (
        f"nothing of its {len(members)} entities for {_hours(group.cadence.silent_us(end_us))},"
        f" where {_hours(max(group.cadence.days))} was the longest"
    )
    watches.bad(kind, group.scope, group.subject, (group.last_us, end_us), text)


def look_at_life(subject: Subject, memory: Memory, groups: Groups, end_us: int, watches: Watches) -> ProblemKind | None:
    """Say whether an entity is dead or frozen, and return which; one that may well be constant is neither."""
    patience = 1.0 if memory.numeric else _NOT_NUMERIC
    allowed_us = memory.change.allowed_us(patience)
    if allowed_us is None or memory.change.silent_us(end_us) <= allowed_us:
        return None
    siblings = groups.is_alive(subject, end_us)
    life_us = memory.life.allowed_us(patience)
    speaks = life_us is not None and memory.life.silent_us(end_us) <= life_us
    if (speaks or siblings) and not memory.numeric:
        return None  # a lamp that nobody switches, as its device shows
    if (speaks or siblings) and memory.change.silent_us(end_us) <= max(_FROZEN_US, 2 * allowed_us):
        return None
    kind = ProblemKind.FROZEN if speaks or siblings else ProblemKind.DEAD
    why = ", while it goes on reporting" if speaks else ", while its device goes on" if siblings else ""
    silent = _hours(memory.change.silent_us(end_us))
    text = f"nothing new for {silent}{why}; the longest was {_hours(max(memory.change.days))}"
    watches.bad(kind, Scope.ENTITY, subject.series, (memory.change.since_us, end_us), text)
    return kind


def hear(memory: Memory, facts: HourFacts, *, learn: bool) -> None:
    """Take into an entity's cadences what an hour says."""
    life_us = _life_us(facts)
    if life_us:
        inner_us = int(facts.silence_s * 1e6) if facts.events > 1 and memory.life.since_us else 0
        memory.life.hear(_first_us(facts), life_us, inner_us, learn=learn)
    if facts.changes and life_us:
        memory.change.hear(facts.first_us, facts.last_us, 0, learn=learn)
    elif not memory.change.since_us and life_us:
        memory.change.since_us = life_us
    memory.last_us = max(memory.last_us, life_us)


def _life_us(facts: HourFacts) -> int:
    """Return when something was last heard of it: "unavailable" is what Home Assistant says, not the device."""
    if facts.last_state == "unavailable" and not facts.values and not facts.texts:
        return 0
    return max(facts.last_us if facts.events else 0, facts.reported_us)


def _first_us(facts: HourFacts) -> int:
    return facts.first_us if facts.events else facts.reported_us


def _counts(kind: str, members: list[Subject]) -> bool:
    devices = {one.device for one in members}
    if kind == "integration":
        return len(members) >= _LEAST_MEMBERS and len(devices) > 1
    return len(members) > 1


def _revive(group: Group, members: list[str], memories: Mapping[str, Memory]) -> None:
    """Leave the time that a group was dead out of its members' account."""
    by_us = group.cadence.since_us - group.dead_since_us
    group.dead_since_us = 0
    for series in members:
        memory = memories.get(series)
        if memory is not None and memory.last_us < group.cadence.since_us:
            memory.life.shift(by_us)
            memory.change.shift(by_us)


def _hours(us: int) -> str:
    hours = us / 1e6 / _HOUR_S
    return f"{hours:.1f} h" if hours < _TWO_DAYS_H else f"{hours / 24:.1f} days"
