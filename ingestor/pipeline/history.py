"""history: fills a gap from what Home Assistant's recorder keeps, in short steps that can be resumed at any point.

The way of a gap: wait until the recorder has caught up; plan which entities to ask for; read the interval slice by
slice, some entities at a time, and send what the store has not yet through the normal pipeline; where the recorder
does not reach back so far, read hourly statistics; look which entities it does not keep; say how it ended. How far a
gap is stands in its record (`progress`): whatever was sent but is not written when a step dies is read and compared
once more. Nothing is called filled before it is written.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from ingestor import errors
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.homeassistant.history import (
    ENTITIES_AT_ONCE,
    askable,
    hours_between,
    is_recorded,
    moment,
    moved_since,
    reaches_back,
    rows_between,
    statistic_units,
    unrecorded_lately,
    updated_us,
)
from ingestor.pipeline.history_batches import Shipment, frames_of, statistics_frames_of
from ingestor.pipeline.history_progress import SHORTEST_SLICE_US, Progress
from ingestor.pipeline.history_stored import Missing, MissingRows
from ingestor.storage.gaps import GapRecord, GapState
from ingestor.storage.port import Store

_log: Final = structlog.get_logger(__name__)
_S_US: Final = 1_000_000
_HOUR_US: Final = 3600 * _S_US
#: Statistics of 50 entities for a week are 8,400 rows.
_HOURS_SLICE_US: Final = 7 * 24 * _HOUR_US
#: Read that much on either side: events may overtake each other, and the two ends were seen at an event's time.
_MARGIN_US: Final = 2 * _S_US
#: The recorder commits every 5 s by default. A probe tells it sooner; an excluded entity never does.
_COMMITTED_AFTER_S: Final = 6.0
_LONGEST_WAIT_S: Final = 60.0
_STARTING_UP_S: Final = 300.0
#: So young a state may wait to be committed.
_YOUNG_US: Final = 15 * _S_US
_MOST_LOOKS: Final = 6
_LOOK_AGAIN_S: Final = 3.0
#: More batches than this are not under way at once: live events go first.
_MOST_UNDER_WAY: Final = 20
_NAMED: Final = 10
_MARKS_WITHIN_S: Final = 8.0
_LOOK_EVERY_S: Final = 0.05
#: These refusals stay as they are: no recorder, or nothing that this user may read.
_FOR_GOOD: Final = frozenset({"unknown_command", "unauthorized", "invalid_format"})
_MOST_REFUSALS: Final = 6
_AFTER_REFUSAL_S: Final = 10.0
#: Where history begins later than a gap, rows from before it are looked for this far back: then nothing happened.
_BEFORE_US: Final = 24 * 3600 * _S_US


@dataclass(frozen=True, slots=True)
class Step:
    """What a step has made of a gap. `again_in_s` says when there is more to do; None: it has ended."""

    gap: GapRecord
    again_in_s: float | None = None


class GapFiller:
    """Fills gaps of one home, one step at a time.

    `series` returns every entity that the home ever had, with its series; `room` tells whether the queues take more
    at present.
    """

    def __init__(
        self,
        client: HomeAssistantClient,
        store: Store,
        shipment: Shipment,
        *,
        series: Callable[[], Mapping[str, Collection[str]]],
        room: Callable[[], bool],
        save: Callable[[GapRecord], None],
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._missing = MissingRows(store, series)
        self._shipment = shipment
        self._series = series
        self._room = room
        self._save = save
        self._clock = clock
        self._pause = pause

    def step(self, gap: GapRecord, budget_s: float) -> Step:
        """Work on a gap for about so long. Raises Transient errors: the gap then stands where it was saved last."""
        until_s = self._clock() + budget_s
        progress = Progress.of(gap.progress)
        self._shipment.ended.clear()
        try:
            if progress.stage == "waiting":
                again_in_s = self._wait(gap, progress)
                if again_in_s is not None:
                    return self._keep(gap, progress, again_in_s)
                self._plan(gap, progress)
            if progress.stage == "reading":
                if not self._read(gap, progress, until_s, functools.partial(self._read_portion, gap.home)):
                    return self._keep(self._counted(gap, progress), progress, 0.5)
                self._plan_hours(gap, progress)
            if progress.stage == "statistics" and not self._read(gap, progress, until_s, self._read_hours):
                return self._keep(self._counted(gap, progress), progress, 0.5)
            return self._end(self._counted(gap, progress), progress)
        except errors.CommandRefused as refusal:
            return self._refused(self._counted(gap, progress), progress, refusal)

    def _refused(self, gap: GapRecord, progress: Progress, refusal: errors.CommandRefused) -> Step:
        """Ask again later where that may help: while Home Assistant starts, it knows no command of its recorder."""
        if self._client.get_config().get("state") != "RUNNING":
            return self._keep(gap, progress, 2.0)
        progress.refusals += 1
        if refusal.reason not in _FOR_GOOD and progress.refusals < _MOST_REFUSALS:
            return self._keep(gap, progress, _AFTER_REFUSAL_S)
        why = f"Home Assistant refuses its history: {refusal}"
        return self._finish(gap, GapState.PARTLY_FILLED if gap.counts.get("written") else GapState.NOT_FILLABLE, why)

    # -- waiting ---------------------------------------------------------------------------------------

    def _wait(self, gap: GapRecord, progress: Progress) -> float | None:
        """Return in how many seconds to look again; None once the recorder has all of the gap."""
        now_s = time.time()
        progress.since_s = progress.since_s or now_s
        waited_s = max(0.0, now_s - progress.since_s)
        if waited_s < _STARTING_UP_S and self._client.get_config().get("state") != "RUNNING":
            return 2.0
        if (self._client.recorder_info().get("backlog") or 0) > 0:
            return 2.0
        states = self._client.get_states()
        newest_us = max(map(updated_us, states), default=0)
        if waited_s < _COMMITTED_AFTER_S and newest_us < gap.end_us:
            return _COMMITTED_AFTER_S - waited_s
        if waited_s < _LONGEST_WAIT_S and not is_recorded(self._client, states, gap.end_us):
            return 1.0
        return None

    # -- planning --------------------------------------------------------------------------------------

    def _plan(self, gap: GapRecord, progress: Progress) -> None:
        from_us, until_us = gap.start_us - _MARGIN_US, max(gap.end_us, gap.start_us) + _MARGIN_US
        states = self._client.get_states()
        progress.entities = askable(gap.entities) if gap.entities else moved_since(states, self._series(), from_us)
        progress.unseen = list(progress.entities)
        progress.from_us = progress.next_us = from_us
        progress.until_us = until_us
        progress.covered = self._has_rows(progress.entities, from_us - _BEFORE_US, gap.start_us + _S_US) or (
            reaches_back(self._client, states, gap.start_us)
        )
        progress.stage = "reading"

    def _has_rows(self, entities: list[str], start_us: int, end_us: int) -> bool:
        """Tell whether the recorder has anything of that time: the newest of it is asked for first, it may be much."""
        for begin_us in (end_us - 10 * _S_US, end_us - _BEFORE_US // 24, start_us):
            for first in range(0, len(entities), ENTITIES_AT_ONCE):
                part = entities[first : first + ENTITIES_AT_ONCE]
                if rows_between(self._client, begin_us, end_us, part):
                    return True
        return not entities

    # -- reading ---------------------------------------------------------------------------------------

    def _read(self, gap: GapRecord, progress: Progress, until_s: float, portion: Callable[[Progress], None]) -> bool:
        """Read portions until the time is over; tell whether everything is read and written."""
        ahead = replace(progress, unseen=list(progress.unseen))
        while ahead.next_us < ahead.until_us and self._clock() < until_s and self._room():
            try:
                portion(ahead)
            except errors.HomeAssistantUnavailable:
                self._ask_for_less(gap, progress)
                raise
            self._shipment.take_marks()
            if len(self._shipment) > _MOST_UNDER_WAY and not self._wait_for_marks():
                return False
            if not len(self._shipment):
                progress.become(ahead)
                self._save(replace(self._counted(gap, progress), progress=progress.as_dict()))
        if not self._wait_for_marks():
            return False
        progress.become(ahead)
        return progress.next_us >= progress.until_us

    def _ask_for_less(self, gap: GapRecord, progress: Progress) -> None:
        """Remember that no answer came in time: perhaps there is too much in it."""
        progress.slice_us = max(SHORTEST_SLICE_US, progress.slice_us // 2)
        self._save(replace(gap, progress=progress.as_dict()))

    def _read_portion(self, home: str, at: Progress) -> None:
        """Read some entities of a slice, send what is missing of them, and go on."""
        end_us = min(at.next_us + at.slice_us, at.until_us)
        part = at.entities[at.next_entity : at.next_entity + ENTITIES_AT_ONCE]
        rows = rows_between(self._client, at.next_us, end_us, part)
        missing = self._missing.of(home, rows, at.next_us, end_us)
        if missing is None and end_us - at.next_us > SHORTEST_SLICE_US:
            at.slice_us = max(SHORTEST_SLICE_US, (end_us - at.next_us) // 2)
            return
        lacking = missing or Missing({name: list(found) for name, found in rows.items()}, 0)
        self._shipment.send(frames_of(lacking.rows))
        self._note(at, rows, lacking.oldest_us)
        at.next_entity += len(part)
        if at.next_entity >= len(at.entities):
            at.next_slice(end_us)

    def _plan_hours(self, gap: GapRecord, progress: Progress) -> None:
        """Have statistics read of the time before the recorder's oldest row, where it does not reach back so far."""
        progress.stage = "ending"
        if progress.covered:
            return
        progress.units = statistic_units(self._client, progress.entities)
        progress.next_us = gap.start_us - gap.start_us % _HOUR_US
        progress.until_us = progress.oldest_us or gap.end_us
        progress.next_entity, progress.slice_us = 0, _HOURS_SLICE_US
        progress.stage = "statistics"

    def _read_hours(self, at: Progress) -> None:
        """Read the statistics of some entities for some days, and send them; sent again they are the same."""
        names = list(at.units)
        end_us = min(at.next_us + at.slice_us, at.until_us) if names else at.until_us
        part = names[at.next_entity : at.next_entity + ENTITIES_AT_ONCE]
        rows = hours_between(self._client, at.next_us, end_us, part)
        at.hours += self._shipment.send(statistics_frames_of(rows, at.units))
        at.unseen = [name for name in at.unseen if not rows.get(name)]
        at.next_entity += len(part)
        if at.next_entity >= len(names):
            at.next_us, at.next_entity = end_us, 0

    def _note(self, at: Progress, rows: Mapping[str, Any], oldest_us: int) -> None:
        at.rows_in_slice += sum(map(len, rows.values()))
        at.unseen = [name for name in at.unseen if not rows.get(name)]
        if oldest_us and (not at.oldest_us or oldest_us < at.oldest_us):
            at.oldest_us = oldest_us

    def _wait_for_marks(self) -> bool:
        """Wait until all that was sent is written; False where it takes too long."""
        until_s = self._clock() + _MARKS_WITHIN_S
        while len(self._shipment):
            self._shipment.take_marks()
            if not len(self._shipment):
                break
            if self._clock() > until_s:
                return False
            self._pause(_LOOK_EVERY_S)
        return True

    # -- ending ----------------------------------------------------------------------------------------

    def _end(self, gap: GapRecord, progress: Progress) -> Step:
        present = {state["entity_id"]: state for state in self._client.get_states()}
        silent = [present[name] for name in progress.unseen if name in present]
        unkept = unrecorded_lately(self._client, silent) if progress.covered else []
        now_us = max(map(updated_us, present.values()), default=0)
        young = [name for name in unkept if now_us - updated_us(present[name]) < _YOUNG_US]
        if young and progress.looks < _MOST_LOOKS:
            progress.stage, progress.looks = "ending", progress.looks + 1
            return self._keep(gap, progress, _LOOK_AGAIN_S)  # it moved just now, and that may not be committed yet
        gap = replace(gap, counts={**gap.counts, "entities": len(progress.entities), "without_history": len(unkept)})
        if unkept and len(unkept) == len(progress.entities):
            return self._finish(gap, GapState.NOT_FILLABLE, "Home Assistant's recorder has no history of what moved")
        if not progress.covered:
            return self._end_uncovered(gap, progress)
        if unkept:
            return self._finish(gap, GapState.PARTLY_FILLED, _unkept(unkept))
        return self._finish(gap, GapState.FILLED, "")

    def _end_uncovered(self, gap: GapRecord, progress: Progress) -> Step:
        """End a gap that is longer than the recorder keeps."""
        gap = replace(gap, counts={**gap.counts, "hours": progress.hours})
        if not progress.hours and not progress.oldest_us:
            return self._finish(gap, GapState.NOT_FILLABLE, "Home Assistant keeps neither history nor statistics of it")
        since = f"before {moment(progress.oldest_us):%Y-%m-%d %H:%M} UTC" if progress.oldest_us else "so old"
        instead = f"{progress.hours} hourly statistics fill in" if progress.hours else "and no statistics"
        why = f"Home Assistant keeps no history from {since}: {instead}"
        return self._finish(gap, GapState.PARTLY_FILLED, why)

    def _finish(self, gap: GapRecord, state: GapState, why: str) -> Step:
        ended = replace(gap, state=state, why=why, progress={})
        self._save(ended)
        _log.info("gap_ended", gap=gap.gap_id, home=gap.home, state=state.value, why=why, **ended.counts)
        return Step(ended)

    def _keep(self, gap: GapRecord, progress: Progress, again_in_s: float) -> Step:
        kept = replace(gap, progress=progress.as_dict())
        self._save(kept)
        return Step(kept, again_in_s)

    def _counted(self, gap: GapRecord, progress: Progress) -> GapRecord:
        """Add to what was counted before this step what became of the rows in it."""
        counts = dict(gap.counts)
        for outcome, count in self._shipment.ended.items():
            counts[outcome] = counts.get(outcome, 0) + count
        return replace(gap, counts={**counts, "entities": len(progress.entities)})


def _unkept(entities: list[str]) -> str:
    more = f" and {len(entities) - _NAMED} more" if len(entities) > _NAMED else ""
    return f"Home Assistant's recorder keeps no history of {', '.join(entities[:_NAMED])}{more}"
