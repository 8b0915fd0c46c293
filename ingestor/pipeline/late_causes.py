"""late causes: points whose cause became known after they were written → these fields, and nothing else of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from ingestor import errors
from ingestor.enrichment.cause_late import CauseSeeker
from ingestor.events.late import LateCause
from ingestor.events.point import Point
from ingestor.pipeline.overtaken import OvertakenCauses
from ingestor.queue.late_post import LatePost, Waiting
from ingestor.storage.context_fields import ContextFields
from ingestor.storage.port import Store
from ingestor.storage.schema import STATES

#: For how long a cause is looked up again (rule 7).
LOOK_FOR_S: Final = 60.0
#: The points of a context are looked for soon, and once more at the end: each time the store looks through a minute.
LOOK_SOON_S: Final = 10.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class LateOutcome:
    """What became of those that waited: rewritten, given up, still waiting."""

    settled: int = 0
    given_up: int = 0
    waiting: int = 0


class LateCauses:
    """Looks at who waits for a cause, and writes what is known by now."""

    def __init__(self, post: LatePost, seeker: CauseSeeker, store: Store, chosen: ContextFields) -> None:
        self._post = post
        self._overtaken = OvertakenCauses(seeker, store, chosen)
        self._seeker = seeker
        self._store = store
        self._chosen = chosen

    def settle(self, home: str, clock: Callable[[], float]) -> LateOutcome:
        """Look once. Who waits too long is looked up a last time; who is written or given up waits no longer.

        Raises StateUnavailable, StoreUnavailable or StoreRefused: all go on waiting, and writing twice is harmless.
        """
        outcome = LateOutcome()
        all_waiting = self._post.waiting(home)
        if not all_waiting:
            return outcome
        now_s = clock()
        contexts = [one for one in all_waiting if not one.late.measurement]
        waiting = [one for one in all_waiting if one.late.measurement]
        points, over = self._of_contexts(home, contexts, now_s)
        outcome.settled, outcome.waiting = len(points), len(contexts) - len(over)
        for one, fields in zip(waiting, self._seeker.seek(home, [one.late for one in waiting]), strict=True):
            if fields is None and one.since_s > now_s - LOOK_FOR_S:
                outcome.waiting += 1
                continue
            over.append(one.late)
            if fields is None:
                outcome.given_up += 1
            else:
                outcome.settled += 1
                points += self._points(one.late, dict(fields))
        self._write(home, points)
        self._post.confirm(home, over)
        return outcome

    def _of_contexts(self, home: str, contexts: Sequence[Waiting], now_s: float) -> tuple[list[Point], list[LateCause]]:
        """Return what to write to points of contexts that were heard of late, and which contexts wait no longer."""
        before_s = now_s - LOOK_FOR_S
        over = [one.late for one in contexts if one.since_s <= before_s]
        due = [one for one in contexts if one.since_s <= before_s or one.since_s > now_s - LOOK_SOON_S]
        try:
            return self._overtaken.points(home, [one.late.context_id for one in due]), over
        except errors.StoreUnavailable as error:
            # What is not to be read for must not wait for it.
            _log.warning("overtaken_causes_not_read", home=home, error=str(error))
            return [], []
        except errors.StoreRefused as error:
            _log.warning("overtaken_causes_not_read", home=home, error=str(error))
            return [], [one.late for one in contexts]

    def _points(self, late: LateCause, fields: dict[str, str | float | int | bool]) -> list[Point]:
        chosen = self._chosen.of(fields) if late.measurement == STATES else fields
        return [Point(late.measurement, late.tags, dict(chosen), late.time_ns)] if chosen else []

    def _write(self, home: str, points: list[Point]) -> None:
        refused = self._store.write(points).rejected if points else []
        if refused:
            _log.warning("late_causes_refused", home=home, points=len(refused), detail=refused[0].detail)
