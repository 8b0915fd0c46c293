"""enrich: events → events with their context. Holds back what the map of the home does not know yet; loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from ingestor import errors
from ingestor.enrichment.steps import (
    Beginning,
    Finishing,
    Step,
    Surroundings,
    enrichment_steps,
    place_without_context,
    steps_for,
)
from ingestor.events.event import Event, EventBatch
from ingestor.home.facts import HomeFacts
from ingestor.home.port import HomeMap

#: When to look again for a home that was never synced, or whose map Redis has lost for the moment.
_NO_MAP_RETRY_S: Final = 1.0
#: When to look again for an unknown entity: a sync that was asked for takes about a second.
_UNKNOWN_RETRY_S: Final = 0.5
_NS_PER_S: Final = 1_000_000_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EnrichOutcome:
    """What became of a batch: the part to go on with, and the part to be enriched again after `retry_in_s`.

    What was settled before goes with the ready part, or with the held one where nothing is ready.
    """

    ready: EventBatch | None
    held: EventBatch | None
    retry_in_s: float = 0.0


def enrich(
    batch: EventBatch,
    home_map: HomeMap,
    *,
    now_ns: int,
    wait_s: float,
    steps: Sequence[Step] | None = None,
    facts: HomeFacts | None = None,
) -> EnrichOutcome:
    """Give every event its context.

    Nothing is enriched before the home's first sync (rule 2). An event of an unknown entity waits for a sync, up to
    `wait_s` from its first try; then it is decided, for ever, that the entity is a series of its own name (rule 1).
    Raises StateUnavailable where the map cannot be read.
    """
    if not home_map.ready(batch.home):
        return EnrichOutcome(None, batch, _NO_MAP_RETRY_S)
    waited_s = (now_ns - batch.first_tried_ns) / _NS_PER_S if batch.first_tried_ns else 0.0
    give_up = waited_s >= wait_s
    around = Surroundings(
        batch.home,
        home_map,
        give_up=give_up,
        waited_s=waited_s,
        batch_id=batch.batch_id,
        facts=facts or HomeFacts(batch.home),
    )
    chosen = enrichment_steps() if steps is None else steps
    ready: list[Event] = []
    held: list[Event] = []
    for step in chosen:
        if isinstance(step, Beginning):
            _try(step.name, step.begin, batch.events, around)
    by_kind = {kind: steps_for(kind, chosen) for kind in ("state", "event")}
    for event in batch.events:
        (ready if _apply(by_kind[event.kind], event, around) else held).append(event)
    for step in chosen:
        if isinstance(step, Finishing):
            _try(step.name, step.finish, ready, around)
    if not held:
        return EnrichOutcome(_part(batch, ready, around), None)
    retry_in_s = _NO_MAP_RETRY_S if give_up else min(_UNKNOWN_RETRY_S, wait_s - waited_s)
    waiting = _waiting(batch, held, now_ns, alone=not ready)
    return EnrichOutcome(_part(batch, ready, around) if ready else None, waiting, retry_in_s)


def _try(
    name: str, work: Callable[[Sequence[Event], Surroundings], None], events: Sequence[Event], around: Surroundings
) -> None:
    """Do a step's work for a whole batch. What it could not do each event shows by a note."""
    if not events:
        return
    try:
        work(events, around)
    except Exception as error:  # noqa: BLE001 - a fault in one step must not cost the batch, whatever it is
        _log.warning("step_failed", step=name, exc_info=error)
        note = f"{name}: {type(error).__name__}: {error}"[:200]
        for event in events:
            event.notes.append(note)


def _apply(steps: Sequence[Step], event: Event, around: Surroundings) -> bool:
    """Run the steps over one event; return whether it is ready."""
    for step in steps:
        try:
            if not step.apply(event, around):
                return False
        except errors.StateUnavailable:
            # Nothing can be decided now: this event waits, and those after it need not try.
            around.give_up = False
            return False
        except Exception as error:  # noqa: BLE001 - a fault in one step must not cost the event, whatever it is
            event.notes.append(f"{step.name}: {type(error).__name__}: {error}"[:200])
            _log.warning("step_failed", step=step.name, event_type=event.event_type, exc_info=error)
    if event.place < 0:
        event.place = around.index_of(place_without_context(event))
    return True


def _part(batch: EventBatch, events: list[Event], around: Surroundings) -> EventBatch:
    return msgspec.structs.replace(batch, events=events, places=around.places, moments=around.moments)


def _waiting(batch: EventBatch, events: list[Event], now_ns: int, *, alone: bool) -> EventBatch:
    return msgspec.structs.replace(
        batch,
        events=events,
        places=[],
        moments=[],
        settled=batch.settled if alone else [],
        first_tried_ns=batch.first_tried_ns or now_ns,
    )
