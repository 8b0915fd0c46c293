"""Puts the reconciler of one home together from what is open: says what an hour can be compared with, and when."""

from __future__ import annotations

import fnmatch
import functools
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from ingestor.home.asking import ask_home, within
from ingestor.home.history import MapHistory
from ingestor.pipeline.reconcile import Expected, Reconciler, Sources
from ingestor.pipeline.reconcile_repair import GapRepair
from ingestor.quality.user_rules import left_out
from ingestor.queue.locking import only_one

if TYPE_CHECKING:
    import redis
    import sqlalchemy as sa

    from ingestor.homeassistant.client import HomeAssistantClient
    from ingestor.settings import HomeAssistantSettings, HomeSettings, Settings
    from ingestor.storage.gaps import Gaps
    from ingestor.storage.port import Store
    from ingestor.storage.reconciled import ReconciledHours

_S_US: Final = 1_000_000
#: After this an hour may be compared, though the index of written points has forgotten earlier.
_SETTLED_S: Final = 600
_ANSWER_S: Final = 10.0
#: A batch's events happened before it was received, by less than this.
_RECEIVED_WITHIN_US: Final = 5 * _S_US
#: A step that died holds the lock no longer than this: more than a task's hard time limit.
_LOCK_S: Final = 40.0
_STATE_CHANGES: Final = "state_changed"

Board = Callable[[], Mapping[str, Mapping[str, Any]]]


class Stored(Protocol):
    """What reconciliation asks of the ledger."""

    def stored(
        self, home: str, since_s: int | None = None, until_s: int | None = None
    ) -> Mapping[tuple[str, int], int]:
        """Return how many points the store took, by source and hour (Unix seconds)."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """What must be open to reconcile; the ledger may be missing."""

    settings: Settings
    store: Store
    state: redis.Redis[bytes]
    database: sa.Engine
    hours: ReconciledHours
    gaps: Gaps
    ledger: Stored | None
    board: Board


def home_reconciler(home: HomeSettings, opened: Opened) -> Reconciler:
    """Return the reconciler of a home."""
    why_not = _why_not_asked(home.homeassistant)
    is_left_out = left_out(opened.settings.quality.rules)

    def series() -> Mapping[str, Collection[str]]:
        known = MapHistory(opened.database).load(home.name)
        classes = {entry.entity_id: entry.place.device_class for entry in known.entries}
        # What the settings leave out is not missing.
        return {name: found for name, found in known.series.items() if not is_left_out(name, classes[name])}

    def ask() -> AbstractContextManager[HomeAssistantClient]:
        return ask_home(home, opened.state, within(_ANSWER_S))

    sources = Sources(
        store=opened.store if opened.settings.storage.schema_ != "home-assistant" else None,
        expected=_expected(opened.ledger, home.name) if opened.ledger is not None else None,
        ask=None if why_not else ask,
        series=functools.cache(series),
        under_way=functools.partial(under_way, home, opened.board, opened.gaps),
        why_no_history=why_not,
    )
    return Reconciler(home.name, opened.hours, sources, GapRepair(opened.gaps), settle_us=settle_us(opened.settings))


def settle_us(settings: Settings) -> int:
    """Return how long an hour is over before it is compared.

    The index of written points must have forgotten it: else what is read back would be taken for a duplicate.
    """
    return int(max(_SETTLED_S, 1.5 * settings.state.written_window_s + 60)) * _S_US


def _why_not_asked(settings: HomeAssistantSettings) -> str:
    """Return why history is no measure of this home's events; "" where it is."""
    if not settings.url:
        return "there is no Home Assistant to ask in the settings"
    if settings.all_events or any(fnmatch.fnmatchcase(_STATE_CHANGES, glob) for glob in settings.event_types):
        return ""
    return "the settings do not ask for state changes"


def _expected(ledger: Stored, home: str) -> Expected:
    def expected(since_us: int, until_us: int) -> Mapping[int, int]:
        found: dict[int, int] = {}
        for (_, hour_s), points in ledger.stored(home, since_us // _S_US, until_us // _S_US).items():
            found[hour_s * _S_US] = found.get(hour_s * _S_US, 0) + points
        return found

    return expected


def under_way(home: HomeSettings, board: Board, gaps: Gaps, start_us: int, until_us: int) -> str:
    """Return in words what of a span is not written yet, "" for nothing. Raises StateUnavailable, StoreUnavailable."""
    for gap in gaps.list(home=home.name, since_us=start_us, unended_only=True):
        if gap.start_us < until_us:
            return f"the gap {gap.gap_id} is {gap.state.value}"
    entries = {
        name.removeprefix("listener:"): entry
        for name, entry in board().items()
        if name.startswith(f"listener:{home.name}:")
    }
    if not entries:
        return "no listener of this home says what it holds"
    now_us = time.time_ns() // 1000
    for name, entry in entries.items():
        if entry.get("gaps_waiting"):
            return f"{name} has gaps to tell of"
        intake = entry.get("intake") or {}
        oldest_us = now_us - int(float(intake.get("oldest_pending_s") or 0) * _S_US)
        if intake.get("pending_batches") and oldest_us < until_us + _RECEIVED_WITHIN_US:
            return f"{intake['pending_batches']} batches of {name} are not written yet"
    return ""


def reconcile_lock(state: redis.Redis[bytes], home: str) -> AbstractContextManager[bool]:
    """Hold the home's lock, or yield False at once where another process reconciles it. Raises StateUnavailable."""
    return only_one(state, f"reconcile:{home}", for_s=_LOCK_S)
