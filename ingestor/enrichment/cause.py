"""The step `cause`: who or what made an event happen, by Home Assistant's contexts; it waits for parents, not for long.

Contexts are told among workers (`cause_shared.py`); the chain of parents is walked in `cause_chain.py`. An event
without a context (history, most of MQTT) gets no cause. Docs: docs/explanation/cause.md.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from ingestor import errors
from ingestor.enrichment.cause_chain import Contexts
from ingestor.enrichment.cause_overtaken import Beginnings
from ingestor.enrichment.cause_shared import RUNS_PREFIX, Exchange, OwnContexts, SharedContexts
from ingestor.enrichment.cause_triggers import origin_of_entity, origin_of_event, origin_of_trigger
from ingestor.enrichment.contexts import (
    AUTOMATION_RAN,
    AUTOMATION_TRIGGERED,
    NOBODY,
    SCRIPT_RAN,
    SCRIPT_STARTED,
    Recent,
    Run,
)
from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event
from ingestor.events.late import Unsettled

#: Parents that were waited for in vain: the next event of theirs does not wait.
_MAX_HOPELESS: Final = 5_000
#: Most events that are held a second for their parents' sake: a flood (after a restart, say) goes on without.
MAX_HELD_PER_S: Final = 2_000
#: Homes whose contexts a process remembers.
_MAX_HOMES: Final = 64
_ACTORS: Final = ("automation.", "script.")
_STARTS: Final = frozenset({"automation_triggered", "script_started"})

_log = structlog.get_logger(__name__)


class CauseStep:
    """Adds `cause_kind`, and to what has a chain `cause_id`, `root_cause_…`, `cause_depth`, `cause_loop`."""

    name: Final = "cause"

    def __init__(
        self,
        shared: SharedContexts | None = None,
        *,
        wait_s: float = 2.0,
        says_plain: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shared = shared or OwnContexts()
        #: Whether a state that nobody else changed is told to be so: nine of ten are, and no point may want it.
        self._says_plain = says_plain
        self._wait_s = wait_s
        self._clock = clock
        self._homes: dict[str, Contexts] = {}
        self._hopeless: Recent[bool] = Recent(_MAX_HOPELESS)
        self._held = 0
        self._held_since = 0.0

    def begin(self, events: Sequence[Event], around: Surroundings) -> None:
        """Remember the contexts of a batch; tell the other workers, and hear what they tell."""
        contexts = self._of_home(around.home)
        told = Exchange(around.home)
        runs, plain = contexts.runs, contexts.plain
        before, new = plain.old, plain.new
        parents: set[str] = set()
        begun = Beginnings()
        #: One id of each stretch of time is enough to ask what others heard in it.
        about: dict[str, str] = {}
        for event in events:
            context_id = event.context_id
            if context_id is None:
                continue
            about[context_id[:RUNS_PREFIX]] = context_id
            entity_id, parent_id = event.entity_id or "", event.parent_id
            actor = entity_id.startswith(_ACTORS) and (event.event_type in _STARTS or _ran(event))
            if actor:
                begun.note(context_id, runs.get(context_id), has_parent=parent_id is not None)
            elif parent_id is None and event.user_id is None:
                if context_id not in new and context_id not in before:
                    new[context_id] = entity_id
                    told.plain.append(context_id)
                continue
            if (actor or runs.get(context_id) is None) and contexts.hear(_run_of(event, actor=actor)):
                told.runs.append(runs.get(context_id) or _run_of(event, actor=actor))
            if parent_id is not None:
                parents.add(parent_id)
        plain.trim()
        told.about = parents.union(about.values())
        told.parents = [one for one in parents if runs.get(one) is None and plain.get(one) is None]
        begun.ask(told)
        self._exchange(told, contexts)
        around.overtaken += begun.overtaken(told.heard, contexts, lambda one: self._shared.has_plain(around.home, one))

    def apply_all(self, events: Sequence[Event], around: Surroundings) -> Sequence[Event]:
        """Pass over what nobody else changed, where that is not told."""
        if self._says_plain:
            return events
        runs = self._of_home(around.home).runs
        new, old = runs.new, runs.old
        if not new and not old:
            return [event for event in events if event.kind != "state"]
        return [one for one in events if one.kind != "state" or one.context_id in new or one.context_id in old]

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Add the cause; False where a parent may still be heard of."""
        context_id = event.context_id
        if context_id is None:
            return True
        contexts = self._homes.get(around.home) or self._of_home(around.home)
        # Not `runs.get`: this is done for every event.
        run = contexts.runs.new.get(context_id) or contexts.runs.old.get(context_id)
        if run is None:
            if not self._says_plain and event.kind == "state":
                return True
            kind = _kind_of_entity(event.entity_id or "") if event.kind == "state" else _kind_of_event(event)
            if event.extras is None:
                event.extras = {"cause_kind": kind}
            else:
                event.extras["cause_kind"] = kind
            return True
        found = contexts.of_run(run, lambda one: self._shared.has_plain(around.home, one))
        starts = _starts(event, run)
        if found.missing:
            if self._waits_for(found.missing, around):
                return False
            around.unsettled.append(Unsettled(event.slot, context_id, starts, _owner(event)))
        fields = found.fields_outer if starts else found.fields_inner
        event.extras = dict(fields) if event.extras is None else {**event.extras, **fields}
        return True

    def _of_home(self, home: str) -> Contexts:
        if home not in self._homes and len(self._homes) >= _MAX_HOMES:
            del self._homes[next(iter(self._homes))]
        return self._homes.setdefault(home, Contexts())

    def _exchange(self, told: Exchange, contexts: Contexts) -> None:
        try:
            self._shared.exchange(told)
        except errors.StateUnavailable as error:
            # What this process heard itself is still right, and a parent that is not found is waited for.
            _log.warning("contexts_not_shared", home=told.home, error=str(error))
            return
        for run in told.heard:
            contexts.hear(run)
        if contexts.has_forgotten():
            # What was read of older runs is no longer remembered: it is read again where it is asked for.
            self._shared.forget(told.home)

    def _waits_for(self, context_id: str, around: Surroundings) -> bool:
        """Tell whether to hold an event for what may be heard of a context."""
        if self._hopeless.get(context_id):
            return False
        if around.waited_s >= self._wait_s:
            self._hopeless.put(context_id, value=True)
            return False
        now = self._clock()
        if now - self._held_since >= 1:
            self._held, self._held_since = 0, now
        self._held += 1
        return self._held <= MAX_HELD_PER_S


def _ran(event: Event) -> bool:
    """Tell whether a change of an automation or script is one that its running makes by itself."""
    if event.kind != "state":
        return False
    if event.subject.startswith("script."):
        return event.state == "on" and event.previous_state == "off"
    # Its attributes alone changed (`last_triggered`, `current`), not whether it is switched on.
    return event.state == event.previous_state == "on"


def _run_of(event: Event, *, actor: bool) -> Run:
    """Return what an event says of its context; with `actor`, also of who runs in it."""
    parent_id, user_id, entity_id = event.parent_id or "", event.user_id or "", event.entity_id or ""
    run = Run(event.context_id or "", NOBODY, "", parent_id, user_id)
    if not actor:
        return run
    if event.event_type == "automation_triggered":
        source = (event.data or {}).get("source")
        kind, id_ = origin_of_trigger(source if isinstance(source, str) else "")
        return Run(run.context_id, AUTOMATION_TRIGGERED, entity_id, parent_id, user_id, kind, id_, event.time_us)
    started = SCRIPT_STARTED if event.event_type == "script_started" else AUTOMATION_RAN
    sureness = SCRIPT_RAN if event.kind == "state" and entity_id.startswith("script.") else started
    return Run(run.context_id, sureness, entity_id, parent_id, user_id, since_us=event.time_us)


def _starts(event: Event, run: Run) -> bool:
    """Tell whether the event is the start (or the bookkeeping) of what runs in its context, not an effect of it."""
    return _owner(event) in (run.actor, run.actor_kind) if run.actor else False


def _owner(event: Event) -> str:
    """Return whose run an event would be the start of: an entity_id, or `script` for any script's; "" for nobody's."""
    if event.subject.startswith("call_service:script."):
        return "script"
    entity_id = event.entity_id or ""
    if not entity_id.startswith(_ACTORS):
        return ""
    # An automation whose state changes was switched on or off by somebody.
    is_switched = entity_id.startswith("automation.") and event.kind == "state" and event.state != event.previous_state
    return "" if is_switched else entity_id


@functools.lru_cache(maxsize=50_000)
def _kind_of_entity(entity_id: str) -> str:
    return origin_of_entity(entity_id)[0]


def _kind_of_event(event: Event) -> str:
    return origin_of_event(event.event_type, (event.data or {}).get("device_id"))[0]
