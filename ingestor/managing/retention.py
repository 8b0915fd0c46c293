"""Let events go that are older than they are to be kept: counted, noted in the audit, deleted in portions, and told.

Deletes nothing unless somebody says for how many days events are kept: there is no default.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import redis

from ingestor import errors
from ingestor.events.decoding import UNREADABLE
from ingestor.live.entry import Notice
from ingestor.queue.state import state_errors
from ingestor.reading.times import rfc3339_of_ns
from ingestor.security.access import Action, Principal, authorize
from ingestor.security.audit import Audit
from ingestor.storage.port import HOUR_NS, EventQuery, Store
from ingestor.storage.pruning import Outdated, Prunable, added_up

#: Who deletes where the settings say so, as the audit has it.
BY_SCHEDULE: Final = Principal("schedule", "retention.days")
_LAST: Final = "ha_ingestor:retention:last"
_DAY_NS: Final = 24 * HOUR_NS
#: Whoever listens: home, and what to tell of it.
Tell = Callable[[str, Sequence[Notice]], object]


class LastRun(msgspec.Struct, frozen=True):
    """The last time that anything was deleted: when, what was older than what (Unix ns), and how many events."""

    at_ns: int
    before_ns: int
    events: int
    by: str


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one step deleted, by home; `over`: nothing is left to delete."""

    deleted: list[Outdated]
    over: bool


def before_of(days: int, now_ns: int | None = None) -> int:
    """Return the time (Unix ns) before which events go: the beginning of an hour, so that none is kept in part."""
    now_ns = time.time_ns() if now_ns is None else now_ns
    return (now_ns - days * _DAY_NS) // HOUR_NS * HOUR_NS


class Retention:
    """The events of one store. Calls raise as the store does, and Conflict where it deletes nothing by request."""

    def __init__(self, store: Store, state: redis.Redis[bytes], audit: Audit, tell: Tell | None = None) -> None:
        self._store = store
        self._state = state
        self._audit = audit
        self._tell = tell

    def outdated(self, before_ns: int) -> list[Outdated]:
        """Return what would go, by home; deletes nothing."""
        return self._prunable().outdated(before_ns)

    def step(self, who: Principal, before_ns: int, *, for_s: float) -> Pruned:
        """Delete for so long; raises OSError where that cannot be noted, and deletes nothing then."""
        authorize(who, Action.DELETE_DATA)
        store = self._prunable()
        if not self._has_any(before_ns):
            return Pruned([], over=True)
        self._audit.note(who, Action.DELETE_DATA, {"before": rfc3339_of_ns(before_ns)})
        until_s = time.monotonic() + for_s
        found: list[Outdated] = []
        over = False
        try:
            while not over and time.monotonic() < until_s:
                portion = store.prune(before_ns)
                over = not portion
                found = added_up([*found, *portion])
        finally:
            self._note(who, before_ns, found)
        return Pruned(found, over)

    def last(self) -> LastRun | None:
        """Return when anything was deleted; None where nobody knows of a time. Raises StateUnavailable."""
        with state_errors():
            packed = self._state.get(_LAST)
        try:
            return None if packed is None else msgspec.json.decode(packed, type=LastRun)
        except UNREADABLE:
            return None

    def _prunable(self) -> Prunable:
        if not isinstance(self._store, Prunable):
            raise errors.Conflict("this store deletes nothing by request")
        return self._store

    def _has_any(self, before_ns: int) -> bool:
        oldest = EventQuery(until_ns=before_ns, limit=1, oldest_first=True)
        return next(iter(self._store.read(oldest)), None) is not None

    def _note(self, who: Principal, before_ns: int, found: Sequence[Outdated]) -> None:
        """Say what was deleted: in the audit, to whoever asks, and to whoever listens."""
        events = sum(one.events for one in found)
        if not events:
            return
        by_home = {one.home: one.events for one in found}
        self._audit.note(who, Action.DELETE_DATA, {"before": rfc3339_of_ns(before_ns), "deleted": by_home})
        for one in found if self._tell is not None else ():
            self._tell(one.home, [_notice(one)])  # type: ignore[misc] # looked at in the line before
        with state_errors():
            run = LastRun(time.time_ns(), before_ns, events, who.name)
            self._state.set(_LAST, msgspec.json.encode(run))


def _notice(one: Outdated) -> Notice:
    """Return what is told of a home: not event by event, but of which time and how many."""
    data = {
        "since": rfc3339_of_ns(one.first_ns),
        "until": rfc3339_of_ns(one.last_ns),
        "events": one.events,
        "reason": "retention",
    }
    notice_id = f"{one.home}~deleted~{one.first_ns}~{one.last_ns}"
    return Notice("event.deleted", notice_id, time.time_ns() // 1000, one.home, data)
