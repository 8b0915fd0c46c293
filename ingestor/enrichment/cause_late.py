"""Looks up causes again that were not known in time, by what all workers told of contexts since; writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain
from typing import Final, NamedTuple

from ingestor.enrichment.cause_chain import Contexts, Found
from ingestor.enrichment.cause_shared import Exchange, SharedContexts
from ingestor.enrichment.contexts import Run, minute_from
from ingestor.events.event import Extra
from ingestor.events.late import LateCause

#: Links of a chain that are asked for one after the other in one look; a longer one is found by the next looks.
_ROUNDS: Final = 4
_MAX_HOMES: Final = 64


class Ran(NamedTuple):
    """A run, and what caused it and what happens in it."""

    run: Run
    found: Found


class CauseSeeker:
    """Asks for contexts by what others heard of them. Remembers what it heard, within the bounds of `Contexts`."""

    def __init__(self, shared: SharedContexts) -> None:
        self._shared = shared
        self._homes: dict[str, Contexts] = {}

    def seek(self, home: str, late: Sequence[LateCause]) -> list[dict[str, Extra] | None]:
        """Return the fields of each one's cause, None where that is not known still. Raises StateUnavailable."""
        contexts = self._of_home(home)
        self._hear(home, contexts, {one.context_id for one in late})
        return [self._fields(home, contexts, one) for one in late]

    def beneath(self, home: str, context_ids: Sequence[str]) -> dict[str, Ran]:
        """Return what is known of these contexts and of all that ran because of them. Raises StateUnavailable."""
        contexts = self._of_home(home)
        told = Exchange(home, about=[later for one in context_ids for later in minute_from(one)])
        self._exchange(told, contexts)
        contexts.forget_causes()
        found: dict[str, Ran] = {}
        for one in _with_what_followed(contexts, context_ids):
            run = contexts.runs.get(one)
            if run is not None:
                found[one] = Ran(run, contexts.of_run(run, lambda id_: self._shared.has_plain(home, id_)))
        return found

    def _of_home(self, home: str) -> Contexts:
        if home not in self._homes and len(self._homes) >= _MAX_HOMES:
            del self._homes[next(iter(self._homes))]
        return self._homes.setdefault(home, Contexts())

    def _hear(self, home: str, contexts: Contexts, context_ids: Collection[str]) -> None:
        asked: set[str] = set()
        for _ in range(_ROUNDS):
            missing = {self._missing(home, contexts, one) for one in context_ids} - asked - {""}
            if not missing:
                return
            asked |= missing
            told = Exchange(home, about=missing, parents=[one for one in missing if contexts.runs.get(one) is None])
            self._exchange(told, contexts)

    def _exchange(self, told: Exchange, contexts: Contexts) -> None:
        self._shared.exchange(told)
        for run in told.heard:
            contexts.hear(run)
        if contexts.has_forgotten():
            self._shared.forget(told.home)

    def _missing(self, home: str, contexts: Contexts, context_id: str) -> str:
        """Return the context that would say more; "" where the cause is known."""
        run = contexts.runs.get(context_id)
        if run is None:
            return context_id
        return contexts.of_run(run, lambda one: self._shared.has_plain(home, one)).missing

    def _fields(self, home: str, contexts: Contexts, late: LateCause) -> dict[str, Extra] | None:
        run = contexts.runs.get(late.context_id)
        if run is None:
            return None
        found = contexts.of_run(run, lambda one: self._shared.has_plain(home, one))
        if found.missing:
            return None
        return found.fields_outer if _is_start(late, run) else found.fields_inner


def _with_what_followed(contexts: Contexts, context_ids: Sequence[str]) -> list[str]:
    """Return these contexts, and those whose chain of parents leads to one of them."""
    children: dict[str, list[str]] = {}
    for run in chain(contexts.runs.old.values(), contexts.runs.new.values()):
        if run.parent_id:
            children.setdefault(run.parent_id, []).append(run.context_id)
    found = dict.fromkeys(context_ids)
    todo = list(found)
    while todo:
        new = [one for one in children.get(todo.pop(), ()) if one not in found]
        found.update(dict.fromkeys(new))
        todo += new
    return list(found)


def _is_start(late: LateCause, run: Run) -> bool:
    """Tell whether it is the start of what is now known to run. `starts` is of who did not say whose it would be."""
    return late.owner in (run.actor, run.actor_kind) if late.owner else late.starts
