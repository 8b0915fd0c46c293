"""Spans of time in which a home could not be heard: what is kept of each, and the port to where; fills none."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Protocol


class GapState(StrEnum):
    """How far a gap is: `open` while the outage lasts, `filling` until its end is decided; the others are that end."""

    OPEN = "open"
    FILLING = "filling"
    FILLED = "filled"
    PARTLY_FILLED = "partly filled"
    NOT_FILLABLE = "not fillable"


#: Events that a listener heard and could not keep, among a gap's `counts`: its ledger counts them as lost.
DROPPED: Final = "dropped"
#: How many of these were read back.
RECOVERED: Final = "recovered"
#: Reason, and name in place of the listener's, of a gap that a comparison found.
RECONCILE: Final = "reconcile"
#: A gap in one of these needs nobody's attention any more.
ENDED: Final = frozenset({GapState.FILLED, GapState.PARTLY_FILLED, GapState.NOT_FILLABLE})


@dataclass(frozen=True, slots=True)
class GapRecord:
    """One gap. Times are Unix microseconds by Home Assistant's clock; `end_us` 0: not over yet.

    `gap_id` is made from home, listener and start, so that whoever tells of the same outage again means the same gap.
    `why` says in a sentence why it ended as it did. `event_types` cannot be read back from anywhere; `lost` counts, by
    type, what is known to be missing for good. `progress` belongs to whoever fills, `counts` to people. `entities`:
    only these are read back; none: every one that may have moved.
    """

    gap_id: str
    home: str
    listener: str
    reason: str
    start_us: int
    end_us: int = 0
    state: GapState = GapState.OPEN
    why: str = ""
    event_types: tuple[str, ...] = ()
    lost: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)
    updated_us: int = 0
    entities: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """Tell whether nothing more will happen to it."""
        return self.state in ENDED


class Gaps(Protocol):
    """Where gaps are kept. Every call may raise StoreUnavailable."""

    def observe(self, gap: GapRecord) -> None:
        """Take in what a listener tells: a gap that began, or that is over. Telling the same twice changes nothing."""
        ...

    def save(self, gap: GapRecord) -> None:
        """Keep what became of a gap's filling: state, why, lost, counts, progress."""
        ...

    def find(self, gap_id: str) -> GapRecord | None:
        """Return a gap."""
        ...

    def list(
        self, *, home: str | None = None, since_us: int = 0, unended_only: bool = False, limit: int = 1000
    ) -> list[GapRecord]:
        """Return gaps, newest start first: those that were not over before `since_us`."""
        ...


def gap_id_of(home: str, listener: str, start_us: int) -> str:
    """Return the id of a gap."""
    return f"{home}:{listener}:{start_us}"


def reconcile_gap(home: str, start_us: int, end_us: int, entities: Collection[str]) -> GapRecord:
    """Return a gap that a comparison with Home Assistant's history found: some entities lack something of a time.

    Hand it to `Gaps.observe`: the `history` tasks fill it. Of the same find the id is the same, so that finding it
    twice changes nothing; `Gaps.find` tells what became of it, `refilled` has it filled once more.
    """
    chosen = tuple(sorted(entities))
    of = hashlib.sha256("\0".join(chosen).encode()).hexdigest()[:8]
    gap_id = f"{gap_id_of(home, RECONCILE, start_us)}:{end_us}:{of}"
    return GapRecord(gap_id, home, RECONCILE, RECONCILE, start_us, end_us, entities=chosen)


def refilled(gap: GapRecord) -> GapRecord:
    """Return a gap as it is to be saved so that it is filled once more, from its beginning."""
    kept = {name: gap.counts[name] for name in (DROPPED, RECOVERED) if name in gap.counts}
    return replace(gap, state=GapState.FILLING, why="", progress={}, counts=kept)


def observed(known: GapRecord | None, told: GapRecord) -> GapRecord:
    """Return what is to be kept of a gap that is told of, given what is kept.

    A gap that lasts longer than was known is filled anew: what was read already does no harm.
    """
    if known is None:
        return replace(told, state=GapState.FILLING if told.end_us else GapState.OPEN)
    lost = {**known.lost, **told.lost}
    counts = {**known.counts, **told.counts}
    if told.end_us <= known.end_us:
        return replace(known, lost=lost, counts=counts)
    return replace(
        known,
        end_us=told.end_us,
        lost=lost,
        counts=counts,
        event_types=told.event_types or known.event_types,
        state=GapState.FILLING,
        why="",
        progress={},
    )
