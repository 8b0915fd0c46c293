"""From remembered contexts to causes: walks the chain of parents, with limits; does no I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from ingestor.enrichment.cause_triggers import HELPERS, Origin, origin_of_entity
from ingestor.enrichment.contexts import MAX_PLAIN, MAX_RUNS, NOBODY, Recent, Run, merged
from ingestor.events.event import Extra

#: Parents that are walked at once. A longer chain is known by what was found out of its beginning when that was near.
MAX_WALK: Final = 64
#: Automations that are remembered of one chain, to know when one comes again.
MAX_CHAIN: Final = 64
#: Where a loop counts on for ever, the depth stops.
MAX_DEPTH: Final = 10_000


class Cause(msgspec.Struct, frozen=True, gc=False):
    """Why something happened: who did it, and the chain's beginning. `depth` counts the links between.

    `above` are the automations and scripts of the chain; `loop` says that one of them stands in it twice.
    """

    kind: str
    id: str
    root_kind: str
    root_id: str
    depth: int = 1
    loop: bool = False
    above: frozenset[str] = frozenset()

    def fields(self) -> dict[str, Extra]:
        """Return the fields of an event with this cause."""
        found: dict[str, Extra] = {
            "cause_kind": self.kind,
            "root_cause_kind": self.root_kind,
            "cause_depth": self.depth,
        }
        if self.id:
            found["cause_id"] = self.id
        if self.root_id:
            found["root_cause_id"] = self.root_id
        if self.loop:
            found["cause_loop"] = True
        return found


UNKNOWN: Final = Cause("unknown", "", "unknown", "")


def origin_cause(origin: Origin) -> Cause:
    """Return the cause that begins a chain."""
    kind, id_ = origin
    return Cause(kind, id_, kind, id_)


def below(cause: Cause, kind: str, actor: str) -> Cause:
    """Return the cause of what an automation or script does that was itself caused so."""
    known = not actor or actor in cause.above or len(cause.above) >= MAX_CHAIN
    seen = cause.above if known else cause.above | {actor}
    return Cause(
        kind,
        actor,
        cause.root_kind,
        cause.root_id,
        min(cause.depth + 1, MAX_DEPTH),
        cause.loop or actor in cause.above,
        seen,
    )


@dataclass(frozen=True, slots=True)
class Found:
    """What a walk came to: `outer` caused the run, `inner` causes what happens in it.

    `missing` is the id of a context that was not heard of, and that would say more; "" where all is known.
    """

    outer: Cause
    inner: Cause
    fields_outer: dict[str, Extra]
    fields_inner: dict[str, Extra]
    missing: str = ""


def _found(outer: Cause, inner: Cause, missing: str = "") -> Found:
    return Found(outer, inner, outer.fields(), inner.fields(), missing)


class Contexts:
    """The contexts of one home that this process remembers, and the causes found from them."""

    def __init__(self, most_runs: int = MAX_RUNS, most_plain: int = MAX_PLAIN) -> None:
        self.runs: Recent[Run] = Recent(most_runs)
        #: Contexts of changes without user and parent, with their entity ("" where another process heard it).
        self.plain: Recent[str] = Recent(most_plain)
        self._most = most_runs
        self._found: Recent[Found] = Recent(most_runs)
        #: Contexts that were taken for a device's own change when a chain was found.
        self._leaned_on: Recent[bool] = Recent(most_runs)
        self._dropped = 0

    def hear(self, run: Run) -> bool:
        """Take in what was heard of a context; tell whether it is news."""
        known = self.runs.get(run.context_id)
        now = run if known is None else merged(known, run)
        if now == known:
            return False
        self.runs.put(run.context_id, now)
        if self._leaned_on.get(run.context_id):
            self.forget_causes()
        else:
            self._found.drop(run.context_id)
        return True

    def forget_causes(self) -> None:
        """Find every chain anew: what stands at the beginning of some turned out to be another."""
        self._found = Recent(self._most)
        self._leaned_on = Recent(self._most)

    def has_forgotten(self) -> bool:
        """Tell whether runs were dropped since the last time that this was asked."""
        before, self._dropped = self._dropped, self.runs.dropped
        return before != self._dropped

    def of_run(self, run: Run, elsewhere: Callable[[str], bool]) -> Found:
        """Return the cause of a run. `elsewhere` says whether another process heard a plain context of that id."""
        found = self._found.get(run.context_id)
        return self._walk(run, elsewhere) if found is None else found

    def _walk(self, run: Run, elsewhere: Callable[[str], bool]) -> Found:
        path: list[Run] = []
        here = run
        while True:
            path.append(here)
            known = None if here is run else self._found.get(here.context_id)
            if known is not None:
                path.pop()
                break
            parent = self.runs.get(here.parent_id) if here.parent_id and not here.user_id else None
            if parent is None or len(path) >= MAX_WALK:
                known = None
                break
            here = parent
        found = known
        for one in reversed(path):
            found = self._of_one(one, found, elsewhere)
            if not found.missing:
                self._found.put(one.context_id, found)
        return found or _found(UNKNOWN, UNKNOWN)

    def _of_one(self, run: Run, parent: Found | None, elsewhere: Callable[[str], bool]) -> Found:
        """Return the cause of a run, given that of its parent (None: it has none, or none that acts)."""
        missing = parent.missing if parent else ""
        if run.user_id:
            outer = Cause("user", run.user_id, "user", run.user_id)
        elif parent is not None:
            outer = parent.inner
        elif run.parent_id:
            outer, missing = self._of_plain_parent(run, elsewhere)
        else:
            outer = origin_cause((run.trigger_kind or "unknown", run.trigger_id))
        if run.user_id and run.sureness == NOBODY:
            return _found(outer, outer)
        if run.sureness == NOBODY:
            # A context with a parent, in which nobody was heard to act: an automation that is not heard (yet).
            return _found(outer, below(outer, "unknown", ""), run.context_id)
        if run.parent_id and run.actor_kind == "script":
            # Only an automation makes a context with a parent: this script was called by one that is not heard (yet).
            missing = run.context_id
        return _found(outer, below(outer, run.actor_kind, run.actor), missing)

    def _of_plain_parent(self, run: Run, elsewhere: Callable[[str], bool]) -> tuple[Cause, str]:
        """Return the cause of a run whose parent is no run: a device's own change, if it was one."""
        if run.trigger_kind == "time":
            return origin_cause((run.trigger_kind, run.trigger_id)), ""
        entity_id = self.plain.get(run.parent_id)
        if entity_id is None and not elsewhere(run.parent_id):
            # What set it off is known by its own words; who is behind that is not.
            return origin_cause(("unknown", run.trigger_id)), run.parent_id
        self._leaned_on.put(run.parent_id, value=True)
        origin = (run.trigger_kind, run.trigger_id) if run.trigger_kind else _of_plain(entity_id)
        # A helper does not change by itself: who changed it was not heard (yet).
        missing = run.parent_id if origin[0] == "unknown" and _is_helper(run.trigger_id or entity_id or "") else ""
        return origin_cause(origin), missing


def _is_helper(text: str) -> bool:
    return text.partition(".")[0] in HELPERS


def _of_plain(entity_id: str | None) -> Origin:
    return origin_of_entity(entity_id) if entity_id else ("device", "")
