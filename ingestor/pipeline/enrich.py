"""enrich: events → events with their context. Holds back what the map of the home does not know yet; loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from ingestor import errors
from ingestor.enrichment.place import PlaceStep, place_without_context
from ingestor.enrichment.steps import Plan, Planned, Step, Surroundings
from ingestor.events.event import Event, EventBatch
from ingestor.home.facts import HomeFacts
from ingestor.home.port import HomeMap

#: When to look again for a home that was never synced, or whose map Redis has lost for the moment.
_NO_MAP_RETRY_S: Final = 1.0
#: When to look again for an unknown entity: a sync that was asked for takes about a second.
_UNKNOWN_RETRY_S: Final = 0.5
#: On a machine that is too busy a sync takes longer than an event waits for it. A wrong decision stands for ever, so
#: the event waits on for the answer, to so many times its wait.
_MOST_WAITS: Final = 12
_NS_PER_S: Final = 1_000_000_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EnrichOutcome:
    """What became of a batch: the part to go on with, and the part to be enriched again after `retry_in_s`.

    What was settled before goes with the ready part, or with the held one where nothing is ready. `overtaken` are
    contexts of which others may have told another cause before it was heard of; `ran_often` are automations and scripts
    whose runs are to be fetched at once.
    """

    ready: EventBatch | None
    held: EventBatch | None
    retry_in_s: float = 0.0
    overtaken: Sequence[str] = ()
    ran_often: Sequence[str] = ()


def enrich(
    batch: EventBatch,
    home_map: HomeMap,
    *,
    now_ns: int,
    wait_s: float,
    steps: Plan | Sequence[Step] | None = None,
    facts: HomeFacts | None = None,
) -> EnrichOutcome:
    """Give every event its context.

    Nothing is enriched before the home's first sync (rule 2). An event of an unknown entity waits for a sync, `wait_s`
    from its first try; then it is decided, for ever, that the entity is a series of its own name (rule 1). Where no
    sync that began since has ended well, it waits on, to twelve times as long.
    Raises StateUnavailable where the map cannot be read.
    """
    if not home_map.ready(batch.home):
        return EnrichOutcome(None, batch, _NO_MAP_RETRY_S)
    waited_s = (now_ns - batch.first_tried_ns) / _NS_PER_S if batch.first_tried_ns else 0.0
    give_up = _gives_up(batch, home_map, waited_s, wait_s)
    around = Surroundings(
        batch.home,
        home_map,
        give_up=give_up,
        waited_s=waited_s,
        batch_id=batch.batch_id,
        facts=facts or HomeFacts(batch.home),
    )
    plan = Plan.of((PlaceStep(),) if steps is None else steps)
    for name, beginning in plan.beginning:
        _try(name, beginning.begin, batch.events, around)
    ready, held = _apply(plan, batch.events, around)
    for name, finishing in plan.finishing:
        _try(name, finishing.finish, ready, around)
    if not held:
        return EnrichOutcome(_part(batch, ready, around), None, overtaken=around.overtaken, ran_often=around.ran_often)
    retry_in_s = min(_UNKNOWN_RETRY_S, wait_s - waited_s) if waited_s < wait_s else _NO_MAP_RETRY_S
    waiting = _waiting(batch, held, now_ns, alone=not ready)
    going = _part(batch, ready, around) if ready else None
    return EnrichOutcome(going, waiting, retry_in_s, around.overtaken, around.ran_often)


def _gives_up(batch: EventBatch, home_map: HomeMap, waited_s: float, wait_s: float) -> bool:
    """Tell whether it is decided now what the entities are that are not known."""
    if waited_s < wait_s:
        return False
    return waited_s >= wait_s * _MOST_WAITS or home_map.answered_since(batch.home, batch.first_tried_ns)


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


def _apply(plan: Plan, events: Sequence[Event], around: Surroundings) -> tuple[list[Event], list[Event]]:
    """Run the steps over the events, one step after the other; return those that are ready, and those that wait."""
    going, held = list(events), list[Event]()
    for planned in plan.applied:
        todo = planned.wanted(_in_bulk(planned, going, around))
        waiting = {id(event) for event in todo if not _apply_one(planned.step, event, around)}
        if waiting:
            held += [event for event in going if id(event) in waiting]
            going = [event for event in going if id(event) not in waiting]
    for event in going:
        if event.place < 0:
            event.place = around.index_of(place_without_context(event))
    held.sort(key=_slot)
    return going, held


def _in_bulk(planned: Planned, events: Sequence[Event], around: Surroundings) -> Sequence[Event]:
    """Let a step do what it can in one go; return what is left to do."""
    if planned.bulk is None:
        return events
    try:
        return planned.bulk.apply_all(events, around)
    except Exception as error:  # noqa: BLE001 - whichever event it is that cannot be done, it is found one by one
        _log.warning("bulk_failed", step=planned.step.name, exc_info=error)
        return events


def _apply_one(step: Step, event: Event, around: Surroundings) -> bool:
    """Run a step over one event; return whether it may go on."""
    try:
        return step.apply(event, around)
    except errors.StateUnavailable:
        # Nothing can be decided now: this event waits, and those after it need not try.
        around.give_up = False
        return False
    except Exception as error:  # noqa: BLE001 - a fault in one step must not cost the event, whatever it is
        event.notes.append(f"{step.name}: {type(error).__name__}: {error}"[:200])
        _log.warning("step_failed", step=step.name, event_type=event.event_type, exc_info=error)
        return True


def _slot(event: Event) -> int:
    return event.slot


def _part(batch: EventBatch, events: list[Event], around: Surroundings) -> EventBatch:
    return msgspec.structs.replace(
        batch, events=events, places=around.places, moments=around.moments, unsettled=around.unsettled
    )


def _waiting(batch: EventBatch, events: list[Event], now_ns: int, *, alone: bool) -> EventBatch:
    return msgspec.structs.replace(
        batch,
        events=events,
        places=[],
        moments=[],
        settled=batch.settled if alone else [],
        first_tried_ns=batch.first_tried_ns or now_ns,
    )
