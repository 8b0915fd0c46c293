"""The step `observed`: counts who acts on whom and when entities are active; adds nothing to events.

What is counted goes as pages to the database (`queue/observed_post.py`, `tasks/upkeep.py`). It stands behind `cause`,
whose findings it counts.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from ingestor import errors
from ingestor.enrichment.cause_triggers import entity_of_trigger
from ingestor.enrichment.contexts import Recent
from ingestor.enrichment.observed_counts import QUARTER_US, ActivityCounts, Edges
from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event, EventKind
from ingestor.events.observed import ObservedPage
from ingestor.queue.observed_post import MemoryObservedPost, ObservedPost

#: How often edges go out, and how often activity does: that has a row for each entity.
EDGES_EVERY_S: Final = 5.0
ACTIVITY_EVERY_S: Final = 300.0
#: Batches that are remembered, so that one that comes again is not counted again.
_MAX_BATCHES: Final = 20_000
_MAX_HOMES: Final = 64
_MAX_ENTITIES: Final = 50_000
_MAX_STARTED: Final = 1_000
#: Home Assistant keeps five runs, and they are fetched every 15 s: what this worker saw to start so often since then
#: has them fetched at once, though not more often than every two seconds.
OFTEN: Final = 3
OFTEN_WITHIN_S: Final = 15.0
OFTEN_EVERY_S: Final = 2.0
#: With more changes than that in a batch, what is near in time has nothing to do with each other.
_MAX_CHANGES: Final = 100
_ACTORS: Final = frozenset({"automation", "script", "user"})
_STARTED: Final = frozenset({"automation_triggered", "script_started"})
#: Sources that tell of the past, entity by entity.
_PAST: Final = frozenset({"history", "statistics"})
#: Entities that follow others, or count: their changes say nothing of what belongs together.
_NOT_PAIRED: Final = ("sensor.", "automation.", "script.", "sun.")

_log = structlog.get_logger(__name__)


class _Home:
    """What a worker has counted in a home since its last page."""

    def __init__(self, now: float) -> None:
        self.edges = Edges()
        self.activity = ActivityCounts()
        self.edges_at = self.activity_at = now
        self.unsent: ObservedPage | None = None
        self.started: dict[str, None] = {}
        #: How often each automation and script has started lately, and which did often.
        self.runs: dict[str, int] = {}
        self.runs_since = now
        self.often: list[str] = []
        self.often_at = now - OFTEN_EVERY_S
        #: Each entity's newest event that was counted: the same one may come by two roads.
        self.last_us: dict[str, int] = {}


class ObservedStep:
    """Counts, and sends what it counted every few seconds."""

    name: Final = "observed"
    kinds: Final = frozenset[EventKind]()

    def __init__(
        self,
        post: ObservedPost | None = None,
        *,
        edges_every_s: float = EDGES_EVERY_S,
        activity_every_s: float = ACTIVITY_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._post = post or MemoryObservedPost()
        self._edges_every_s = edges_every_s
        self._activity_every_s = activity_every_s
        self._clock = clock
        self._worker = uuid.uuid4().hex
        self._pages = 0
        self._homes: dict[str, _Home] = {}
        self._batches: Recent[bool] = Recent(_MAX_BATCHES)

    def apply(self, event: Event, around: Surroundings) -> bool:  # noqa: ARG002 -- a step's
        """Add nothing: what it observes it takes from the whole batch."""
        return True

    def finish(self, events: Sequence[Event], around: Surroundings) -> None:
        """Count a batch's events, and send what was counted when it is time."""
        now = self._clock()
        home = self._homes.get(around.home) or self._new_home(around.home, now)
        if now - home.runs_since >= OFTEN_WITHIN_S:
            home.runs, home.runs_since = {}, now
        if events and self._is_new(events, around):
            _count(events, home)
        if home.often and now - home.often_at >= OFTEN_EVERY_S:
            around.ran_often += home.often
            home.often_at, home.often = now, []
        self._send(home, around, now)

    def _new_home(self, name: str, now: float) -> _Home:
        if len(self._homes) >= _MAX_HOMES:
            del self._homes[next(iter(self._homes))]
        return self._homes.setdefault(name, _Home(now))

    def _is_new(self, events: Sequence[Event], around: Surroundings) -> bool:
        """Tell whether these events did not come before, in a batch that was sent again."""
        part = f"{around.batch_id}:{events[0].slot}:{len(events)}"
        if not around.batch_id or self._batches.get(part) is None:
            self._batches.put(part, value=True)
            return True
        return False

    def _send(self, home: _Home, around: Surroundings, now: float) -> None:
        try:
            if home.unsent is not None and now - home.edges_at >= self._edges_every_s:
                home.edges_at = now
                home.unsent = None if self._post.put(home.unsent) else home.unsent
            if home.unsent is None and (page := self._page(home, around, now)) is not None:
                home.unsent = page
                home.unsent = None if self._post.put(page) else page
        except errors.StateUnavailable as error:
            # It is kept, and sent again with the same number: it counts once.
            _log.warning("observed_not_sent", home=around.home, error=str(error))

    def _page(self, home: _Home, around: Surroundings, now: float) -> ObservedPage | None:
        with_edges = bool(home.edges or home.started) and now - home.edges_at >= self._edges_every_s
        with_activity = bool(home.activity) and now - home.activity_at >= self._activity_every_s
        if not with_edges and not with_activity:
            return None
        edges, activity = home.edges.taken() if with_edges else [], []
        started, home.started = list(home.started), {}
        home.edges_at = now
        if with_activity:
            activity, home.activity_at = home.activity.taken(around.facts.time_zone), now
        self._pages += 1
        return ObservedPage(self._worker, self._pages, around.home, edges, activity, started)


def _count(events: Sequence[Event], home: _Home) -> None:
    edges, last_us = home.edges, home.last_us
    if len(last_us) > _MAX_ENTITIES:
        last_us.clear()
    quarter, counts, changes = -1, dict[str, int](), 0
    for event in events:
        entity_id = event.entity_id
        if event.kind != "state":
            if event.event_type in _STARTED:
                _count_start(event, edges)
                if event.entity_id is not None and event.source not in _PAST and len(home.runs) < _MAX_STARTED:
                    _note_start(event.entity_id, home)
            continue
        time_us = event.time_us
        if entity_id is None or last_us.get(entity_id) == time_us or event.source == "statistics":
            continue
        last_us[entity_id] = time_us
        if time_us // QUARTER_US != quarter:
            quarter = time_us // QUARTER_US
            counts = home.activity.of(quarter)
        counts[entity_id] = counts.get(entity_id, 0) + 1
        if event.unit is None and event.state != event.previous_state and event.source not in _PAST:
            changes += 1
            _count_change(event, entity_id, edges, lonely=changes > _MAX_CHANGES)
        elif event.extras is not None and "cause_id" in event.extras:
            _count_control(event, entity_id, edges)


def _note_start(entity_id: str, home: _Home) -> None:
    home.started[entity_id] = None
    runs = home.runs[entity_id] = home.runs.get(entity_id, 0) + 1
    if runs % OFTEN == 0 and entity_id not in home.often:
        home.often.append(entity_id)


def _count_change(event: Event, entity_id: str, edges: Edges, *, lonely: bool) -> None:
    """Count a change of something that is on or off, here or there; `lonely` ones are not paired."""
    if event.state is None:
        return  # removed, or renamed
    if not event.available:
        if event.previous_state not in (None, "unavailable"):
            edges.lost(entity_id, event.time_us)
        return
    if event.extras is not None and "cause_id" in event.extras:
        _count_control(event, entity_id, edges)
    elif not lonely and event.previous_state is not None and not entity_id.startswith(_NOT_PAIRED):
        edges.changed(entity_id, event.time_us)


def _count_control(event: Event, entity_id: str, edges: Edges) -> None:
    """Count who changed an entity, and what else was changed in that context."""
    extras = event.extras or {}
    kind, actor = extras["cause_kind"], str(extras["cause_id"])
    if kind not in _ACTORS or event.context_id is None or entity_id.startswith(("automation.", "script.")):
        return
    edges.once("controls", f"user:{actor}" if kind == "user" else actor, entity_id, event)
    edges.changed_in_context(event.context_id, entity_id, event.time_us)


def _count_start(event: Event, edges: Edges) -> None:
    """Count what set an automation or script off."""
    target, extras = event.entity_id, event.extras or {}
    if target is None:
        return
    source = (event.data or {}).get("source")
    if isinstance(source, str) and (entity_id := entity_of_trigger(source)):
        edges.once("triggers", entity_id, target, event)
    if extras.get("cause_kind") in ("automation", "script"):
        edges.once("starts", str(extras["cause_id"]), target, event)
