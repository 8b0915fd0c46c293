"""history: fills a gap from what Home Assistant's recorder keeps, in short steps that can be resumed at any point.

The way of a gap: wait until the recorder has caught up; plan which entities to ask for; read the interval slice by
slice, some entities at a time, and send what the store has not yet through the normal pipeline; look which entities
the recorder does not keep; say how it ended. How far a gap is stands in its record (`progress`): whatever was sent but
is not written when a step dies is read and compared once more. Nothing is called filled before it is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from ingestor import errors
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.homeassistant.history import (
    ENTITIES_AT_ONCE,
    askable,
    is_recorded,
    moved_since,
    rows_between,
    unrecorded,
    updated_us,
)
from ingestor.pipeline.history_batches import Shipment, frames_of
from ingestor.pipeline.history_stored import Missing, missing_rows
from ingestor.storage.gaps import GapRecord, GapState
from ingestor.storage.port import Store

_log: Final = structlog.get_logger(__name__)
_S_US: Final = 1_000_000
#: Read that much on either side: events may overtake each other, and the two ends were seen at an event's time.
_MARGIN_US: Final = 2 * _S_US
#: The recorder commits every 5 s by default. A probe tells it sooner; an excluded entity never does.
_COMMITTED_AFTER_S: Final = 6.0
_LONGEST_WAIT_S: Final = 60.0
_STARTING_UP_S: Final = 300.0
_FIRST_SLICE_US: Final = 60 * _S_US
_LONGEST_SLICE_US: Final = 6 * 3600 * _S_US
_SHORTEST_SLICE_US: Final = _S_US
_MANY_ROWS: Final = 40_000
_FEW_ROWS: Final = 5_000
#: More batches than this are not under way at once: live events go first.
_MOST_UNDER_WAY: Final = 20
_MARKS_WITHIN_S: Final = 8.0
_LOOK_EVERY_S: Final = 0.05
_NAMED: Final = 10
#: Where history begins later than a gap, rows from before it are looked for this far back: then nothing happened.
_BEFORE_US: Final = 24 * 3600 * _S_US


@dataclass(slots=True)
class _Progress:
    """How far a gap is; what `GapRecord.progress` holds."""

    stage: str = "waiting"
    since_s: float = 0.0
    entities: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    from_us: int = 0
    until_us: int = 0
    next_us: int = 0
    next_entity: int = 0
    slice_us: int = _FIRST_SLICE_US
    rows_in_slice: int = 0
    covered: bool = True
    oldest_us: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Step:
    """What a step has made of a gap. `again_in_s` says when there is more to do; None: it has ended."""

    gap: GapRecord
    again_in_s: float | None = None


class GapFiller:
    """Fills gaps of one home, one step at a time.

    `known` returns every entity that the home ever had; `room` tells whether the queues take more at present.
    """

    def __init__(
        self,
        client: HomeAssistantClient,
        store: Store,
        shipment: Shipment,
        *,
        known: Callable[[], Collection[str]],
        room: Callable[[], bool],
        save: Callable[[GapRecord], None],
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._store = store
        self._shipment = shipment
        self._known = known
        self._room = room
        self._save = save
        self._clock = clock
        self._pause = pause

    def step(self, gap: GapRecord, budget_s: float) -> Step:
        """Work on a gap for about so long. Raises Transient errors: the gap then stands where it was saved last."""
        until_s = self._clock() + budget_s
        progress = _Progress(**gap.progress)
        try:
            if progress.stage == "waiting":
                again_in_s = self._wait(gap, progress)
                if again_in_s is not None:
                    return self._keep(gap, progress, again_in_s)
                self._plan(gap, progress)
            if progress.stage == "reading" and not self._read(gap, progress, until_s):
                return self._keep(self._counted(gap, progress), progress, 0.5)
            return self._end(self._counted(gap, progress), progress)
        except errors.CommandRefused as refusal:
            return self._give_up(gap, f"Home Assistant refuses its history: {refusal}")

    # -- waiting ---------------------------------------------------------------------------------------

    def _wait(self, gap: GapRecord, progress: _Progress) -> float | None:
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
        if waited_s < _LONGEST_WAIT_S and not is_recorded(self._client, states):
            return 1.0
        return None

    # -- planning --------------------------------------------------------------------------------------

    def _plan(self, gap: GapRecord, progress: _Progress) -> None:
        from_us, until_us = gap.start_us - _MARGIN_US, max(gap.end_us, gap.start_us) + _MARGIN_US
        if gap.entities:
            progress.entities = askable(gap.entities)
        else:
            progress.entities = moved_since(self._client.get_states(), self._known(), from_us)
        progress.unseen = list(progress.entities)
        progress.from_us = progress.next_us = from_us
        progress.until_us = until_us
        progress.covered = self._has_rows(progress.entities, from_us - _BEFORE_US, gap.start_us + _S_US)
        progress.stage = "reading"

    def _has_rows(self, entities: list[str], start_us: int, end_us: int) -> bool:
        """Tell whether the recorder has anything of that time: the newest hour is asked for first."""
        for begin_us in (end_us - _BEFORE_US // 24, start_us):
            for first in range(0, len(entities), ENTITIES_AT_ONCE):
                part = entities[first : first + ENTITIES_AT_ONCE]
                if rows_between(self._client, begin_us, end_us, part):
                    return True
        return not entities

    # -- reading ---------------------------------------------------------------------------------------

    def _read(self, gap: GapRecord, progress: _Progress, until_s: float) -> bool:
        """Read portions until the time is over; tell whether everything is read and written."""
        ahead = replace(progress, unseen=list(progress.unseen))
        while ahead.next_us < ahead.until_us and self._clock() < until_s and self._room():
            self._read_portion(gap.home, ahead)
            self._shipment.take_marks()
            if len(self._shipment) > _MOST_UNDER_WAY and not self._wait_for_marks():
                return False
            if not len(self._shipment):
                _copy(ahead, progress)
                self._save(replace(self._counted(gap, progress), progress=progress.as_dict()))
        if not self._wait_for_marks():
            return False
        _copy(ahead, progress)
        return progress.next_us >= progress.until_us

    def _read_portion(self, home: str, at: _Progress) -> None:
        """Read some entities of a slice, send what is missing of them, and go on."""
        end_us = min(at.next_us + at.slice_us, at.until_us)
        part = at.entities[at.next_entity : at.next_entity + ENTITIES_AT_ONCE]
        rows = rows_between(self._client, at.next_us, end_us, part)
        missing = missing_rows(self._store, home, rows, at.next_us, end_us)
        if missing is None and end_us - at.next_us > _SHORTEST_SLICE_US:
            at.slice_us = max(_SHORTEST_SLICE_US, (end_us - at.next_us) // 2)
            return
        lacking = missing or Missing({name: list(found) for name, found in rows.items()}, 0)
        self._shipment.send(frames_of(lacking.rows))
        self._note(at, rows, lacking.oldest_us)
        at.next_entity += len(part)
        if at.next_entity >= len(at.entities):
            _next_slice(at, end_us)

    def _note(self, at: _Progress, rows: Mapping[str, Any], oldest_us: int) -> None:
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

    def _end(self, gap: GapRecord, progress: _Progress) -> Step:
        present = {state["entity_id"]: state for state in self._client.get_states()}
        silent = [present[name] for name in progress.unseen if name in present]
        unkept = unrecorded(self._client, silent) if silent else []
        gap = replace(gap, counts={**gap.counts, "entities": len(progress.entities), "without_history": len(unkept)})
        if unkept and len(unkept) == len(progress.entities):
            return self._give_up(gap, "Home Assistant's recorder has no history of the entities that moved")
        why = [] if not unkept else [_name(unkept)]
        if not progress.covered:
            why.append("Home Assistant keeps no history as old as its beginning")
        return self._finish(gap, GapState.PARTLY_FILLED if why else GapState.FILLED, "; ".join(why))

    def _give_up(self, gap: GapRecord, why: str) -> Step:
        return self._finish(gap, GapState.NOT_FILLABLE, why)

    def _finish(self, gap: GapRecord, state: GapState, why: str) -> Step:
        ended = replace(gap, state=state, why=why, progress={})
        self._save(ended)
        _log.info("gap_ended", gap=gap.gap_id, home=gap.home, state=state.value, why=why, **ended.counts)
        return Step(ended)

    def _keep(self, gap: GapRecord, progress: _Progress, again_in_s: float) -> Step:
        kept = replace(gap, progress=progress.as_dict())
        self._save(kept)
        return Step(kept, again_in_s)

    def _counted(self, gap: GapRecord, progress: _Progress) -> GapRecord:
        """Add to a gap's counts what became of its rows in this step."""
        ended, self._shipment.ended = self._shipment.ended, {}
        counts = dict(gap.counts)
        for outcome, count in ended.items():
            counts[outcome] = counts.get(outcome, 0) + count
        return replace(gap, counts={**counts, "entities": len(progress.entities)})


def _next_slice(at: _Progress, end_us: int) -> None:
    """Go on with the first entity of the next slice: a longer one after few rows, a shorter one after many."""
    at.next_us, at.next_entity = end_us, 0
    if at.rows_in_slice > _MANY_ROWS:
        at.slice_us = max(_SHORTEST_SLICE_US, at.slice_us // 2)
    elif at.rows_in_slice < _FEW_ROWS:
        at.slice_us = min(_LONGEST_SLICE_US, at.slice_us * 2)
    at.rows_in_slice = 0


def _copy(source: _Progress, target: _Progress) -> None:
    for name in source.__slots__:
        setattr(target, name, getattr(source, name))


def _name(entities: list[str]) -> str:
    more = f" and {len(entities) - _NAMED} more" if len(entities) > _NAMED else ""
    return f"Home Assistant's recorder keeps no history of {', '.join(entities[:_NAMED])}{more}"
