"""Contexts whose cause was heard of after some of their points were written → fields of those points; reads the store.

An event without parent and user is taken for a device's own change, until an automation is heard to run in its context.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ingestor.enrichment.cause_late import CauseSeeker, Ran
from ingestor.enrichment.contexts import time_ms_of
from ingestor.events.event import Extra
from ingestor.events.point import Point, StoredEvent
from ingestor.storage.context_fields import ContextFields
from ingestor.storage.port import EventQuery, Store
from ingestor.storage.schema import OTHERS, STATES

#: How long after its beginning a context's points are looked for: who comes later knew of the automation.
SPAN_MS: Final = 60_000
#: Home Assistant makes a context a moment before or after the time of the event that it is for.
_EARLIER_MS: Final = 2_000
#: Contexts of one question, and for how long their beginnings may be apart: what a store must look through for it.
_MAX_CONTEXTS: Final = 50
_MAX_APART_MS: Final = 60_000
_MAX_POINTS: Final = 5_000
_NS_PER_MS: Final = 1_000_000


class OvertakenCauses:
    """Finds the points of contexts, and what of their cause is to be written."""

    def __init__(self, seeker: CauseSeeker, store: Store, chosen: ContextFields) -> None:
        self._seeker = seeker
        self._store = store
        self._chosen = chosen

    def points(self, home: str, context_ids: Sequence[str]) -> list[Point]:
        """Return the fields that points of these contexts, and of what followed from them, lack or say wrongly.

        Raises StateUnavailable, StoreUnavailable or StoreRefused.
        """
        if not context_ids:
            return []
        known = self._seeker.beneath(home, context_ids)
        found: list[Point] = []
        for query in _queries(home, [one for one in known if time_ms_of(one) is not None]):
            for stored in self._store.read(query):
                ran = known.get(str(stored.fields.get("context_id")))
                fields = self._wrong(stored, ran) if ran else {}
                if fields:
                    found.append(_point(stored, fields))
        return found

    def _wrong(self, stored: StoredEvent, ran: Ran) -> dict[str, Extra]:
        if ran.found.missing:
            return {}
        fields = ran.found.fields_outer if _starts(stored, ran) else ran.found.fields_inner
        chosen = self._chosen.of(fields) if stored.kind == "state" else fields
        return {name: value for name, value in chosen.items() if stored.fields.get(name) != value}


def _starts(stored: StoredEvent, ran: Ran) -> bool:
    """Tell whether a stored event is the start of what runs, not an effect of it (`off`: it was switched off by it)."""
    if stored.fields.get("entity_id") != ran.run.actor:
        return ran.run.actor_kind == "script" and stored.series.startswith("call_service:script.")
    return not (stored.kind == "state" and ran.run.actor_kind == "automation" and stored.fields.get("state") == "off")


def _point(stored: StoredEvent, fields: dict[str, Extra]) -> Point:
    measurement = STATES if stored.kind == "state" else OTHERS
    return Point(measurement, tuple(sorted(stored.tags.items())), dict(fields), stored.time_ns)


def _queries(home: str, context_ids: Sequence[str]) -> Iterator[EventQuery]:
    """Yield questions, each for contexts that began at about the same time."""
    todo: list[str] = []
    for one in sorted(context_ids):
        if todo and (len(todo) >= _MAX_CONTEXTS or _ms(one) - _ms(todo[0]) > _MAX_APART_MS):
            yield _query(home, todo)
            todo = []
        todo.append(one)
    if todo:
        yield _query(home, todo)


def _query(home: str, context_ids: Sequence[str]) -> EventQuery:
    return EventQuery(
        home=home,
        since_ns=(_ms(context_ids[0]) - _EARLIER_MS) * _NS_PER_MS,
        until_ns=(_ms(context_ids[-1]) + SPAN_MS) * _NS_PER_MS,
        limit=_MAX_POINTS,
        context_ids=tuple(context_ids),
    )


def _ms(context_id: str) -> int:
    return time_ms_of(context_id) or 0
