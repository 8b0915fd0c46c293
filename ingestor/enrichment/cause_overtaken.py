"""Runs at the beginning of a chain (an automation at its time), of which others saw the effects first; does no I/O.

Such an effect has no parent: until its automation is heard, nothing tells it from a device's own change, nor what a
user's script does from what the user does. So who hears the run first looks whether anybody took an event of its
context for something else, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from ingestor.enrichment.cause_chain import Contexts
from ingestor.enrichment.cause_shared import Exchange
from ingestor.enrichment.contexts import NOBODY, Run

#: Of one batch: a flood of them (after a restart, say) is not looked at one by one.
MAX_OVERTAKEN: Final = 200


class Beginnings:
    """The runs that a batch tells of, and what was known of each before."""

    __slots__ = ("_before", "_new", "_rootless")

    def __init__(self) -> None:
        self._before: dict[str, Run | None] = {}
        #: Those that nothing else led to: their effects look like a device's or a user's own.
        self._rootless: set[str] = set()
        self._new: frozenset[str] = frozenset()

    def note(self, context_id: str, known: Run | None, *, has_parent: bool) -> None:
        """Remember a run; the first time in a batch counts."""
        if context_id in self._before or len(self._before) >= MAX_OVERTAKEN:
            return
        self._before[context_id] = known
        if not has_parent:
            self._rootless.add(context_id)

    def ask(self, told: Exchange) -> None:
        """Ask whether others heard something else of their contexts; take back what this batch told of them."""
        if not self._rootless:
            return
        self._new = frozenset(told.plain).intersection(self._rootless)
        if self._new:
            told.plain = [one for one in told.plain if one not in self._new]
        told.parents = [*told.parents, *self._rootless]

    def overtaken(self, heard: Collection[Run], contexts: Contexts, elsewhere: Callable[[str], bool]) -> list[str]:
        """Return the contexts of which an event may have been given another cause, by this process or by another."""
        if not self._before:
            return []
        others: dict[str, list[Run]] = {}
        for run in heard:
            if run.context_id in self._before:
                others.setdefault(run.context_id, []).append(run)
        return [one for one in self._before if self._was_mistaken(one, contexts, others.get(one, []), elsewhere)]

    def _was_mistaken(self, one: str, contexts: Contexts, others: list[Run], elsewhere: Callable[[str], bool]) -> bool:
        known, now = self._before[one], contexts.runs.get(one)
        said = others if known is None else [known, *others]
        if now is None or any(run.says_as(now) for run in said):
            # Who said so first looked himself.
            return False
        if one not in self._rootless:
            # Where nobody was heard to run, the events themselves wait: their parent tells that somebody did.
            return any(run.sureness > NOBODY for run in said)
        if said:
            # Something was known of it, but not who ran, or not by his own words why.
            return True
        return (one not in self._new and contexts.plain.get(one) is not None) or elsewhere(one)
