"""Compares finished hours with what the store holds and with Home Assistant's history; has what is missing repaired.

The way of an hour: wait until nothing of it is under way; count its points in the store and hold that against the
ledger; look every change of Home Assistant's history up; open a gap over what is missing, and compare once more when
that gap has ended. How far an hour is stands in its record, so that every step can be the last one. Writes no event.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import structlog

from ingestor import errors
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.pipeline.reconcile_history import OTHERS, Comparison, HistoryComparer
from ingestor.storage.port import HOUR_US, Store
from ingestor.storage.reconciled import HourState, ReconciledHour, ReconciledHours

_log: Final = structlog.get_logger(__name__)
_NS: Final = 1000
_S_US: Final = 1_000_000
#: An hour is counted in parts: a store that holds millions of points an hour answers each in time.
_COUNTED_US: Final = HOUR_US // 6
#: An hour that is missing something after so many repairs stays so.
_REPAIRS: Final = 2
#: How far back the first hour can be; Home Assistant's recorder keeps 10 days.
_OLDEST_US: Final = 240 * HOUR_US
_NAMED: Final = 5
_MOST_HOURS: Final = 10_000
#: Rows that Home Assistant's recorder has not committed yet; a few wait at any time.
_MOST_BACKLOG: Final = 1000
_LIVE_NOT: Final = frozenset({"history", "statistics"})

#: By hour, how many points the store has by the ledger.
Expected = Callable[[int, int], Mapping[int, int]]


class Repair(Protocol):
    """Has a span filled from Home Assistant's history."""

    def begin(self, home: str, start_us: int, end_us: int, entities: Collection[str]) -> str:
        """Open a gap over a span in which changes of these entities are missing (none: of any); return its id."""
        ...

    def ended(self, gap_id: str) -> str | None:
        """Return how a gap ended, in words; None while it has not."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """What an hour is compared with. None: there is no such thing, and `why_no_history` says why.

    `under_way` returns in words what of a span is not written yet, "" for nothing.
    """

    store: Store | None
    expected: Expected | None
    ask: Callable[[], AbstractContextManager[HomeAssistantClient]] | None
    series: Callable[[], Mapping[str, Collection[str]]]
    under_way: Callable[[int, int], str]
    why_no_history: str = ""


class Reconciler:
    """Reconciles one home, one step at a time. `settle_us`: an hour is over for so long before it is compared."""

    def __init__(
        self,
        home: str,
        hours: ReconciledHours,
        sources: Sources,
        repair: Repair,
        *,
        settle_us: int,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._home = home
        self._hours = hours
        self._of = sources
        self._repair = repair
        self._settle_us = settle_us
        self._now_us = now_us
        self._clock = clock
        self._pause = pause

    def step(self, budget_s: float) -> bool:
        """Work for about so long; tell whether there is more to do at once. Raises StoreUnavailable (metadata)."""
        until_s = self._clock() + budget_s
        with contextlib.ExitStack() as stack:
            client = _Once(self._of.ask, stack)
            for hour in self.due():
                if self._clock() > until_s:
                    return True
                try:
                    kept = self._work(hour, client, until_s)
                except (errors.Transient, errors.Fatal) as error:
                    # The store or Home Assistant is away, or refuses us: for the hours that follow, too.
                    self._keep(hour, _standing(hour), f"tried again later: {error}", progress=hour.progress)
                    return False
                if kept.state is HourState.COMPARING:
                    return True
        return False

    def again(self, since_us: int) -> int:
        """Have the finished hours from then on compared anew; return how many there are.

        None before the first that was ever compared: of those Home Assistant knows more than was ever heard here.
        """
        begin_us = max(self._first_hour(), since_us // HOUR_US * HOUR_US)
        known = {hour.hour_us: hour for hour in self._hours.list(home=self._home, since_us=begin_us, limit=_MOST_HOURS)}
        chosen = range(begin_us, self._settled_until(), HOUR_US) if self._first_hour() else ()
        for hour_us in chosen:
            # What was repaired stays so: the ledger has counted it twice.
            repaired = known[hour_us].repaired if hour_us in known else 0
            self._hours.save(ReconciledHour(self._home, hour_us, repaired=repaired))
        return len(chosen)

    def due(self) -> list[ReconciledHour]:
        """Return the finished hours that have not ended, oldest first."""
        begun = self._hours.list(home=self._home, unended_only=True, limit=_MOST_HOURS)
        newest = self._hours.list(home=self._home, limit=1)
        first_us = newest[0].hour_us + HOUR_US if newest else self._first_hour()
        new = range(first_us, self._settled_until(), HOUR_US) if first_us else ()
        return [*reversed(begun), *(ReconciledHour(self._home, hour_us) for hour_us in new)]

    # -- which hours -----------------------------------------------------------------------------------

    def _settled_until(self) -> int:
        return (self._now_us() - self._settle_us) // HOUR_US * HOUR_US

    def _first_hour(self) -> int:
        """Return the hour in which the home was first heard, as far as anybody knows; 0 for none."""
        for home in self._hours.summaries():
            if home.home == self._home:
                return home.first_us
        until_us = self._settled_until()
        since_us = until_us - _OLDEST_US
        found: list[int] = []
        if self._of.expected is not None:
            found += [hour for hour, points in self._of.expected(since_us, until_us).items() if points]
        if not found and self._of.store is not None:
            counts = self._of.store.count_by_hour(self._home, since_us * _NS, until_us * _NS)
            found += [count.hour_us for count in counts if count.source not in _LIVE_NOT]
        return min(found, default=0)

    # -- one hour --------------------------------------------------------------------------------------

    def _work(self, hour: ReconciledHour, client: _Once, until_s: float) -> ReconciledHour:
        end_us = hour.hour_us + HOUR_US
        if self._of.store is None:
            why = "the store holds only points of Home Assistant's own schema, which do not say their home"
            return self._keep(hour, HourState.UNCOMPARABLE, why)
        if hour.state is HourState.REPAIRING and (hour := self._repaired(hour)).state is HourState.REPAIRING:
            return hour
        if hour.state is HourState.WAITING:
            if why := self._of.under_way(hour.hour_us, end_us):
                return self._keep(hour, HourState.WAITING, why)
            hour = replace(hour, state=HourState.COMPARING, progress={}, why="")
        if not hour.progress:
            hour = self._counted(hour, self._of.store)
        if self._of.ask is None:
            return self._judge(hour, None, self._of.why_no_history)
        return self._compare(hour, client, self._of.store, until_s)

    def _repaired(self, hour: ReconciledHour) -> ReconciledHour:
        """Have an hour compared once more when its gap has ended."""
        how = self._repair.ended(hour.gap_id)
        return hour if how is None else replace(hour, state=HourState.COMPARING, progress={}, why=how)

    def _counted(self, hour: ReconciledHour, store: Store) -> ReconciledHour:
        end_us = hour.hour_us + HOUR_US
        stored = 0
        for start_us in range(hour.hour_us, end_us, _COUNTED_US):
            counts = store.count_by_hour(self._home, start_us * _NS, (start_us + _COUNTED_US) * _NS)
            stored += sum(count.points for count in counts)
        expected = self._of.expected(hour.hour_us, end_us) if self._of.expected is not None else {}
        # An hour of which the ledger has nothing may be older than the ledger.
        return replace(hour, expected=expected.get(hour.hour_us), stored=stored)

    def _compare(self, hour: ReconciledHour, client: _Once, store: Store, until_s: float) -> ReconciledHour:
        asked = client.get()
        if (asked.recorder_info().get("backlog") or 0) > _MOST_BACKLOG:
            return self._keep(hour, HourState.WAITING, "Home Assistant's recorder is behind")
        progress = dict(hour.progress)
        before = int(progress.pop("lacking_before", sum(hour.entities.values())))
        at = Comparison(**progress) if progress else Comparison(self._heard_from(hour, store))
        comparer = HistoryComparer(
            asked, store, self._home, series=self._of.series, clock=self._clock, pause=self._pause
        )
        try:
            done = comparer.compare(hour.hour_us, hour.hour_us + HOUR_US, at, until_s)
        except errors.CommandRefused as refusal:
            return self._judge(hour, None, f"Home Assistant refuses its history: {refusal}")
        if not done:
            progress = {**at.as_dict(), "lacking_before": before}
            return self._keep(hour, HourState.COMPARING, hour.why, progress=progress)
        lacking = sum(at.lacking.values())
        hour = replace(hour, repaired=hour.repaired + max(0, before - lacking), entities=at.lacking)
        return self._judge(replace(hour, compared=at.compared), at, "")

    def _heard_from(self, hour: ReconciledHour, store: Store) -> int:
        """Return from when on an hour is compared: before the very first event nobody listened."""
        if hour.hour_us != self._first_hour():
            return hour.hour_us
        states = store.states_between(self._home, hour.hour_us * _NS, (hour.hour_us + HOUR_US) * _NS, 10_000_000)
        return min((one.time_ns // _NS for one in states if one.source not in _LIVE_NOT), default=hour.hour_us)

    # -- its end ---------------------------------------------------------------------------------------

    def _judge(self, hour: ReconciledHour, at: Comparison | None, no_history: str) -> ReconciledHour:
        lacking = sum(at.lacking.values()) if at else 0
        # What was repaired was counted by the ledger once more.
        short = max(0, (hour.expected or 0) - (hour.stored or 0) - hour.repaired) if hour.expected is not None else 0
        surplus = max(0, (hour.stored or 0) - hour.expected) if hour.expected is not None else 0
        hour = replace(hour, missing=max(short, lacking), surplus=surplus)
        if at and lacking and hour.attempts < _REPAIRS:
            named = [] if OTHERS in at.lacking else list(at.lacking)
            gap_id = self._repair.begin(self._home, at.first_us, at.last_us + 1, named)
            hour = replace(hour, gap_id=gap_id, attempts=hour.attempts + 1)
            why = f"{_changes(at)} in Home Assistant's history, not in the store: they are read back"
            return self._keep(hour, HourState.REPAIRING, why)
        if not hour.missing:
            return self._keep(hour, HourState.COMPLETE, f"compared by number alone: {no_history}" if no_history else "")
        return self._keep(hour, HourState.MISSING, _missing(hour, at, short, no_history))

    def _keep(
        self, hour: ReconciledHour, state: HourState, why: str, *, progress: Mapping[str, Any] | None = None
    ) -> ReconciledHour:
        kept = replace(hour, state=state, why=why, progress=progress or {}, checked_us=self._now_us())
        self._hours.save(kept)
        if state in {HourState.REPAIRING, HourState.MISSING}:
            _log.warning("hour_lacks_points", home=kept.home, hour_us=kept.hour_us, state=state.value, why=why)
        return kept


class _Once:
    """A connection that is made when it is first asked for."""

    def __init__(
        self, ask: Callable[[], AbstractContextManager[HomeAssistantClient]] | None, stack: contextlib.ExitStack
    ) -> None:
        self._ask = ask
        self._stack = stack
        self._client: HomeAssistantClient | None = None

    def get(self) -> HomeAssistantClient:
        """Return the connection. Raises Transient errors, AuthenticationRefused."""
        if self._client is None and self._ask is not None:
            self._client = self._stack.enter_context(self._ask())
        if self._client is None:
            raise errors.ConnectionLost("closed", "there is no Home Assistant to ask")
        return self._client


def _standing(hour: ReconciledHour) -> HourState:
    """Return the state of an hour that could not be worked on: what was begun is not begun anew."""
    return hour.state if hour.state in {HourState.COMPARING, HourState.REPAIRING} else HourState.WAITING


def _changes(at: Comparison) -> str:
    total = sum(at.lacking.values())
    shown = ", ".join(f"{name} {count}" for name, count in list(at.lacking.items())[:_NAMED])
    more = ", …" if len(at.lacking) > _NAMED else ""
    return f"{total} changes ({shown}{more})"


def _missing(hour: ReconciledHour, at: Comparison | None, short: int, no_history: str) -> str:
    """Say what is missing for good, and why it could not be repaired."""
    parts = []
    if at and at.lacking:
        parts.append(f"{_changes(at)} in Home Assistant's history could not be read back: {hour.why or 'tried twice'}")
    if short:
        reason = no_history or "Home Assistant has no history of them"
        parts.append(f"{short} points that the ledger counts are not in the store: {reason}")
    return "; ".join(parts)
