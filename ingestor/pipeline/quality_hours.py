"""Has each hour that is over told in facts, judged and kept, one after the other; judges nothing itself.

Every hour is kept with all that came of it in one transaction, and with what the next one must know: so every hour can
be the last one of a step, and the next step goes on behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from ingestor.events.point import FieldValue, Point
from ingestor.pipeline.quality_again import HoursAgain
from ingestor.quality.book_sql import DAY_US, JudgedHour, Kept, SqlQualityBook
from ingestor.quality.hours import HOUR_US, HourFacts
from ingestor.quality.hours_ahead import HoursAhead
from ingestor.quality.judging import HomeJudge
from ingestor.quality.model import Problem, Scope, Score
from ingestor.quality.scoring import scores_of
from ingestor.quality.stored_hours import Beside, completed, facts_of, gone, known_classes, parts_of
from ingestor.quality.subjects import JudgeContext, Subject
from ingestor.quality.sums import Sums
from ingestor.quality.tally import Carry
from ingestor.storage.port import Store
from ingestor.storage.schema import tag_text

#: Where the scores of an hour stand in the store.
QUALITY: Final = "ha_quality"
_NS: Final = 1000
#: Of more hours than these the first ones are left out: they would be judged by what has long been forgotten.
_MOST_US: Final = 35 * DAY_US
#: Nobody waits longer for what of an hour is still to be written.
_WAITS_US: Final = 6 * HOUR_US
_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HourSources:
    """Where the hours of a home come from. None of `store`: it holds no points of our own schema.

    `beside` tells of an hour what the store does not know; `gaps` of a span when the home was not heard; `ahead_s` by
    how much the home's clock is ahead of ours; `under_way` in words what of a span is not written yet, "" for nothing.
    """

    store: Store | None
    subjects: Callable[[], Mapping[str, Subject]]
    gaps: Callable[[int, int], Sequence[tuple[int, int]]]
    beside: Callable[[int], Beside]
    ahead_s: Callable[[], float | None] = lambda: None
    under_way: Callable[[int, int], str] = lambda _start_us, _end_us: ""


@dataclass(frozen=True, slots=True)
class _Told:
    """An hour in facts, and what must be known to judge it."""

    hour_us: int
    context: JudgeContext
    facts: list[HourFacts]


class HourRoller:
    """Judges the hours of one home. `settle_us`: an hour is over for so long before it is told.

    `tell` is told of problems that are new in an hour (its begin in Unix µs), when they are kept; it raises nothing.
    """

    def __init__(
        self,
        home: str,
        book: SqlQualityBook,
        sources: HourSources,
        *,
        settle_us: int,
        look_back_us: int = DAY_US,
        points: bool = True,
        tell: Callable[[int, Sequence[Problem], Mapping[str, Subject]], None] = lambda _hour_us, _found, _subjects: (
            None
        ),
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = home
        self._book = book
        self._of = sources
        self._settle_us = settle_us
        self._look_back_us = look_back_us
        self._points = points
        self._tell_others = tell
        self._now_us = now_us
        self._clock = clock

    def due(self) -> range:
        """Return the hours (Unix µs) that are over and not judged. Raises StoreUnavailable."""
        until_us = (self._now_us() - self._settle_us) // HOUR_US * HOUR_US
        judged_us = self._book.homes().get(self._home)
        if judged_us is None:
            judged_us = self._first_hour(until_us)
        return range(max(judged_us, until_us - _MOST_US), until_us, HOUR_US)

    def step(self, budget_s: float) -> bool:
        """Judge hours for about so long; tell whether there is more to do. Raises StoreUnavailable, StoreRefused."""
        store, until_s = self._of.store, self._clock() + budget_s
        hours = self.due() if store is not None else range(0)
        if store is None or not hours:
            return False
        kept = self._book.load(self._home)
        subjects = dict(self._of.subjects())
        ahead = HoursAhead(store, self._home, hours, lambda since_us, until_us: not self._waits(since_us, until_us))
        for hour_us in hours:
            if self._clock() > until_s and not ahead.has(hour_us):
                return True
            if self._waits(hour_us, hour_us + HOUR_US):
                return False
            last = hour_us == hours[-1] or (hour_us + HOUR_US) % DAY_US == 0
            told = self._told(ahead, hour_us, kept, subjects, until_s)
            if told is None:
                return True
            kept = self._judge(store, told, kept, scored=last)
        again = HoursAgain(self._home, self._book, store, lambda hour: self._context(hour, subjects), self._of.beside)
        return again.step(kept, lambda: self._clock() <= until_s)

    def _waits(self, since_us: int, until_us: int) -> bool:
        """Tell whether something of a span is still to be written that is worth waiting for."""
        return until_us - HOUR_US > self._now_us() - _WAITS_US and bool(self._of.under_way(since_us, until_us))

    def _told(
        self, ahead: HoursAhead, hour_us: int, kept: Kept, subjects: dict[str, Subject], until_s: float
    ) -> _Told | None:
        """Return the facts of an hour; None where the time is over before all of a large one is added up.

        What is added up is kept, and the next step goes on behind it.
        """
        beside = self._of.beside(hour_us)
        context = self._context(hour_us, subjects, beside)
        hour, heard = (self._home, hour_us), list(kept.begun) if kept.begun_us == hour_us else []
        done = {one.series for one in heard}
        for number, part in enumerate(parts_of(ahead.states_of(hour_us), done)):
            if number and self._clock() > until_s:
                self._book.keep_begun(self._home, msgspec.structs.replace(kept, begun=heard, begun_us=hour_us))
                return None
            heard += facts_of(ahead, hour, part, kept.carried, context)
        return _Told(hour_us, context, completed(hour, heard, kept.carried, context, beside))

    def _context(self, hour_us: int, subjects: dict[str, Subject], beside: Beside | None = None) -> JudgeContext:
        beside = self._of.beside(hour_us) if beside is None else beside
        gaps = self._of.gaps(hour_us, hour_us + HOUR_US)
        return JudgeContext(known_classes(subjects, beside), gaps, self._of.ahead_s(), gone(subjects, beside))

    def _first_hour(self, until_us: int) -> int:
        """Return the first hour of the time looked back on in which the store has anything."""
        since_us = (until_us - self._look_back_us) // HOUR_US * HOUR_US
        store = self._of.store
        if store is None:
            return until_us
        # A day at a time: each look opens every series, and an InfluxDB that is asked for one point of weeks reads all.
        for day_us in range(since_us, until_us, DAY_US):
            end_us = min(day_us + DAY_US, until_us)
            if found := store.count_by_hour(self._home, day_us * _NS, end_us * _NS):
                return min(one.hour_us for one in found)
        return until_us

    def _judge(self, store: Store, told: _Told, kept: Kept, *, scored: bool = True) -> Kept:
        hour_us, context, facts = told.hour_us, told.context, told.facts
        judging = HomeJudge(self._home, context, kept.judge)
        known = {one.key for one in judging.open()}
        sums: dict[str, Sums] = {}
        ended = judging.hour(hour_us, facts, sums)
        opened = judging.open()
        if self._points:
            store.write(list(self._as_points(hour_us, scores_of(self._home, sums.values(), context), judging)))
        kept = Kept(judging.state(), _still_known(kept, judging), dict(context.subjects), looked=kept.looked)
        self._book.save(self._home, JudgedHour(kept, facts, sums, ended, opened, scored))
        self._tell(ended, [one for one in opened if one.key not in known], told)
        return kept

    def _as_points(self, hour_us: int, scores: Sequence[Score], judging: HomeJudge) -> Iterator[Point]:
        """Yield a point for each score, at the end of its hour."""
        alive = judging.alive()
        for score in scores:
            fields: dict[str, FieldValue] = {
                part.dimension.value: float(part.score) for part in score.parts if part.score is not None
            }
            if score.score is not None:
                fields["score"] = round(float(score.score), 3)
            known = alive.get(score.subject) if score.scope is Scope.ENTITY else None
            if known is not None:
                fields["alive"] = known
            tags = (("home", tag_text(self._home)), ("scope", score.scope.value), ("subject", tag_text(score.subject)))
            if fields:
                yield Point(QUALITY, tags, fields, (hour_us + HOUR_US) * _NS)

    def _tell(self, ended: Sequence[Problem], new: Sequence[Problem], told: _Told) -> None:
        if new or ended:
            _log.info("quality_judged", home=self._home, hour_us=told.hour_us, new=len(new), ended=len(ended))
        if new:
            self._tell_others(told.hour_us, new, told.context.subjects)


def _still_known(kept: Kept, judging: HomeJudge) -> dict[str, Carry]:
    """Return how the entities that the judge remembers ended the hour."""
    known = judging.alive()
    return {series: carry for series, carry in kept.carried.items() if series in known}
