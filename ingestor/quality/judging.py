"""Judges the hours of a home: scores with their parts, and problems; pure, reads and writes nothing.

Hours are taken one after the other and let go; what is remembered of an entity is of one size (`judging_memory`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import msgspec

from ingestor.quality.hours import HOUR_US, HourFacts
from ingestor.quality.judging_events import look_at_absence, look_at_events
from ingestor.quality.judging_liveness import Group, Groups, hear, look_at_life
from ingestor.quality.judging_memory import DAY_US, Memory
from ingestor.quality.judging_rooms import HomeRubbish, look_at_clocks, look_at_rooms, look_for_twins
from ingestor.quality.judging_values import Look, look_at_values, unusable
from ingestor.quality.model import Problem, ProblemKind, Scope, Score
from ingestor.quality.scoring import scores_of
from ingestor.quality.subjects import JudgeContext, Subject
from ingestor.quality.sums import Sums
from ingestor.quality.watching import Watch, Watches

__all__ = ["HomeJudge", "HomeState", "JudgeContext", "Judgement", "Subject", "judge"]

#: Of an hour in which the home was not heard for so long nothing is learned.
_DEAF_US: Final = 60_000_000
#: A gap is a problem when it is so long.
_GAP_US: Final = 600_000_000
#: Home Assistant's own clock and ours may differ by so much.
_CLOCK_OFF_S: Final = 60.0
#: What the map no longer has is forgotten when it was silent for so long.
_GONE_US: Final = 2 * DAY_US
#: Entities that are remembered; more are not judged.
MAX_ENTITIES: Final = 20_000
_K = ProblemKind
_CHANGED: Final = (_K.UNIT_CHANGED, _K.TYPE_CHANGED, _K.SCHEMA_DRIFT)
_SILENT: Final = (_K.DEAD, _K.FROZEN, _K.HUB_DEAD)
#: What nobody looks at in an hour with a gap is neither good nor bad in it.
_NOT_LOOKED_AT: Final = (*_SILENT, _K.CLOCK_OFF, _K.DUPLICATE_SOURCE, _K.DISAGREES, _K.RUBBISH)
_ODD: Final = (_K.SPIKES, _K.DISTRIBUTION, _K.DISAGREES, _K.COUNTER_RESET)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found: the scores over all hours that were handed in, and the problems with their spans."""

    scores: list[Score]
    problems: list[Problem]


class HomeState(msgspec.Struct):
    """What a judge must know to go on with the next hour: bounded by the number of entities."""

    hour_us: int = 0
    memories: dict[str, Memory] = {}
    groups: list[Group] = []
    watches: list[Watch] = []
    rubbish: tuple[float, float, dict[str, float]] = (0.0, 0.0, {})


class HomeJudge:
    """Judges one home hour by hour. `state` is what another one has left."""

    def __init__(self, home: str, context: JudgeContext, state: HomeState | None = None) -> None:
        state = state or HomeState()
        self._home = home
        self._context = context
        self._hour_us = state.hour_us
        self._memories = dict(state.memories)
        self._groups = Groups(state.groups)
        self._watches = Watches(state.watches)
        self._rubbish = HomeRubbish(*state.rubbish)
        self._built = 0

    @property
    def hour_us(self) -> int:
        """The last hour that was judged, 0 for none."""
        return self._hour_us

    def state(self) -> HomeState:
        """Return what the next judge must know."""
        rubbish = (self._rubbish.events, self._rubbish.bad, self._rubbish.of)
        groups, watches = list(self._groups.of.values()), list(self._watches.active.values())
        return HomeState(self._hour_us, self._memories, groups, watches, rubbish)

    def open(self) -> list[Problem]:
        """Return the problems that are there now."""
        return self._watches.open()

    def alive(self) -> dict[str, bool | None]:
        """Return whether each entity is alive, None where too little is known."""
        return {series: self._alive(series, memory) for series, memory in self._memories.items()}

    def hour(self, hour_us: int, facts: Sequence[HourFacts], sums: dict[str, Sums]) -> list[Problem]:
        """Judge the next hour, add it to the sums and return the problems that ended in it."""
        end_us = hour_us + HOUR_US
        deaf_us = self._context.deaf_us(hour_us, end_us)
        if self._hour_us and hour_us // DAY_US != self._hour_us // DAY_US:
            self._begin_day(hour_us)
        by_series = self._taken(facts)
        self._hour_us = hour_us
        if len(self._memories) != self._built:
            self._groups.build(self._memories, self._context)
            self._built = len(self._memories)
        learn = deaf_us < _DEAF_US
        if deaf_us >= _GAP_US:
            self._tell_gap(hour_us, end_us)
        ahead_s = self._context.ahead_s
        if ahead_s is not None and abs(ahead_s) >= _CLOCK_OFF_S:
            text = f"its clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} ours"
            self._watches.bad(_K.CLOCK_OFF, Scope.HOME, self._home, (hour_us, end_us), text)
        self._listen(by_series, end_us, learn=learn)
        self._groups.hear(by_series, learn=learn)
        self._shift(deaf_us)
        if learn:
            behind = self._groups.look(self._memories, end_us, self._watches)
            self._look_at_lives(behind, end_us)
            self._look_beside(by_series, end_us)
        else:
            self._watches.hold(_NOT_LOOKED_AT)
        self._add_up(by_series, deaf_us, sums)
        return list(self._watches.end_hour({one.series for one in by_series.values() if one.events}))

    # -- steps of an hour ------------------------------------------------------------------------------

    def _taken(self, facts: Sequence[HourFacts]) -> dict[str, HourFacts]:
        found: dict[str, HourFacts] = {}
        for one in facts:
            if one.series not in self._memories:
                if len(self._memories) >= MAX_ENTITIES:
                    continue
                self._memories[one.series] = Memory(first_us=one.hour_us)
            found[one.series] = one
        return found

    def _tell_gap(self, hour_us: int, end_us: int) -> None:
        known = self._watches.active.get((_K.GAP, Scope.HOME, self._home))
        deaf_us = self._context.deaf_us(known.since_us if known else hour_us, end_us)
        self._watches.bad(_K.GAP, Scope.HOME, self._home, (hour_us, end_us), f"not heard for {deaf_us / 6e7:.0f} min")

    def _listen(self, facts: dict[str, HourFacts], end_us: int, *, learn: bool) -> None:
        """Look at what each entity said, then remember it."""
        for series, one in facts.items():
            memory = self._memories[series]
            look = Look(one, memory, self._context.subject(series), self._watches, end_us)
            memory.hours += 1
            if one.unavailable_us or memory.unavailable_hours:
                look_at_absence(look)
            if one.events:
                look_at_events(look)
                look_at_values(look)
            elif memory.levels:
                memory.fade("flaps", 0.0, 0.9)
            if one.events or one.reported_us:
                hear(memory, one, learn=learn)
            if learn:
                memory.keep(one)

    def _shift(self, by_us: int) -> None:
        if not by_us:
            return
        for memory in self._memories.values():
            memory.life.shift(by_us)
            memory.change.shift(by_us)
        for group in self._groups.of.values():
            group.cadence.shift(by_us)

    def _look_at_lives(self, behind: frozenset[str], end_us: int) -> None:
        for series, memory in self._memories.items():
            if series in self._context.gone:
                continue
            if memory.change.silent_us(end_us) <= HOUR_US or not memory.change.known:
                continue
            if series in behind:
                for kind in (_K.DEAD, _K.FROZEN):
                    self._watches.drop(kind, Scope.ENTITY, series)
                continue
            if self._watches.is_open(_K.UNAVAILABLE, Scope.ENTITY, series):
                continue
            look_at_life(self._context.subject(series), memory, self._groups, end_us, self._watches)

    def _look_beside(self, facts: dict[str, HourFacts], end_us: int) -> None:
        """Look at entities beside each other, and at all of them."""
        spoke = [one for one in facts.values() if one.events]
        look_at_clocks(spoke, self._context, self._watches, end_us)
        look_for_twins(spoke, self._watches, end_us)
        look_at_rooms(spoke, self._memories, self._context, self._watches, end_us)
        bad = {one.series: count for one in spoke if (count := unusable(one, self._memories[one.series]))}
        events = sum(one.events for one in spoke)
        self._rubbish.look(self._home, bad, events, self._watches, end_us)

    def _forget_gone(self, hour_us: int) -> None:
        """Forget entities that Home Assistant does not have any more, with what was wrong with them."""
        for series, memory in list(self._memories.items()) if self._context.gone else ():
            if series in self._context.gone and memory.last_us < hour_us - _GONE_US:
                del self._memories[series]
                for watch in list(self._watches.active.values()):
                    if watch.scope is Scope.ENTITY and watch.subject == series:
                        self._watches.close(watch.kind, watch.scope, series)
        self._built = 0

    def _begin_day(self, hour_us: int) -> None:
        self._forget_gone(hour_us)
        for series, memory in self._memories.items():
            learn = not self._is_silent(series)
            memory.life.end_day(hour_us, learn=learn)
            memory.change.end_day(hour_us, learn=learn)
            memory.begin_day(hour_us)
        for group in self._groups.of.values():
            group.cadence.end_day(hour_us, learn=not group.dead_since_us)

    def _add_up(self, facts: dict[str, HourFacts], deaf_us: int, sums: dict[str, Sums]) -> None:
        marks = self._marks()
        for series, memory in self._memories.items():
            silent = self._alive(series, memory) is False
            total = sums.get(series)
            if total is None:
                total = sums[series] = Sums(series)
            one = facts.get(series)
            if one is None:
                total.hours += 1
            else:
                total.add(one)
            if deaf_us:
                total.deaf_s += deaf_us / 1e6
            elif memory.usual_events is not None:
                total.expect(memory.expected(), one.events if one else 0)
            if not deaf_us and not silent:
                memory.note(one.events if one else 0)
            total.known = total.known or memory.change.known
            for mark in marks.get(series, ()):
                _mark(total, mark)

    def _marks(self) -> dict[str, list[ProblemKind]]:
        found: dict[str, list[ProblemKind]] = {}
        for watch in self._watches.active.values():
            if watch.told and watch.opened and watch.scope is Scope.ENTITY:
                found.setdefault(watch.subject, []).append(watch.kind)
        return found

    def _is_silent(self, series: str) -> bool:
        return any(self._watches.is_open(kind, Scope.ENTITY, series) for kind in (_K.DEAD, _K.FROZEN, _K.UNAVAILABLE))

    def _alive(self, series: str, memory: Memory) -> bool | None:
        if self._is_silent(series):
            return False
        subject = self._context.subject(series)
        for scope, name in ((Scope.DEVICE, subject.device), (Scope.DEVICE, subject.via)):
            if any(self._watches.is_open(kind, scope, name) for kind in (_K.DEAD, _K.HUB_DEAD)):
                return False
        return True if memory.change.allowed_us() is not None or memory.life.allowed_us() is not None else None


def judge(home: str, facts: Iterable[HourFacts], context: JudgeContext) -> Judgement:
    """Judge hours, which come in ascending order (those of one hour in any)."""
    judging = HomeJudge(home, context)
    sums: dict[str, Sums] = {}
    problems: list[Problem] = []
    for hour_us, of_hour in groupby(facts, key=lambda one: one.hour_us):
        # Hours without a word are hours, too: the silence goes on.
        for silent_us in range(judging.hour_us + HOUR_US, hour_us, HOUR_US) if judging.hour_us else ():
            problems += judging.hour(silent_us, [], sums)
        problems += judging.hour(hour_us, list(of_hour), sums)
    problems += judging.open()
    return Judgement(scores_of(home, sums.values(), context), sorted(problems, key=lambda one: (one.since_us, one.key)))


def _mark(total: Sums, kind: ProblemKind) -> None:
    """Note in the sums what was bad in an hour."""
    if kind in _CHANGED:
        total.changed += 1
    elif kind in _ODD:
        total.odd += 1
    elif kind is _K.DUPLICATE_SOURCE:
        total.doubled += 1
    elif kind in (_K.DEAD, _K.FROZEN):
        total.silent_s += HOUR_US / 1e6
