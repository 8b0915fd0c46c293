"""Settles in the ledger which lost events a filled gap has brought back; fills none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from ingestor.events.counts import Counts, Page, hour_of
from ingestor.pipeline.ledger import bring_in
from ingestor.queue.ledger_post import LedgerPost
from ingestor.storage.gaps import DROPPED, RECOVERED, GapRecord, GapState
from ingestor.storage.ledger import Ledger, LedgerRow

_NS: Final = 1000
_HOUR_S: Final = 3600


def settled(gap: GapRecord, post: LedgerPost, ledger: Ledger) -> GapRecord:
    """Count what a gap had lost and has brought back, once, and return the gap with that noted.

    Raises Transient errors: whoever tries again counts nothing twice.
    """
    events = _recovered(gap)
    if not events:
        return gap
    bring_in(post, ledger)
    # Losses stand in the hours of our clock, and Home Assistant's may be another.
    first_s, last_s = (hour_of(at_us * _NS) for at_us in (gap.start_us, gap.end_us))
    rows = ledger.rows(home=gap.home, since_s=first_s - _HOUR_S, until_s=last_s + 2 * _HOUR_S)
    ledger.add([_page(gap, events, rows)])
    return replace(gap, counts={**gap.counts, RECOVERED: gap.counts.get(RECOVERED, 0) + events})


def _recovered(gap: GapRecord) -> int:
    """Return how many lost events of a gap are stored now and not counted as recovered yet.

    Where a gap is filled every change of state in it is stored. Other events have no history; and of a gap that is
    filled in part nobody knows which it was: these stay lost.
    """
    if gap.state is not GapState.FILLED:
        return 0
    return max(0, gap.counts.get(DROPPED, 0) - sum(gap.lost.values()) - gap.counts.get(RECOVERED, 0))


def _page(gap: GapRecord, events: int, rows: Iterable[LedgerRow]) -> Page:
    """Return a page that settles so many events in the hours that lost them; book and number are the gap's own."""
    hours: dict[int, Counts] = {}
    for row in rows:
        found = min(events, row.counts.missing) if row.source == gap.listener else 0
        if found:
            hours[row.hour_s] = Counts(recovered=found)
            events -= found
    if events:  # its losses have not come to the ledger yet
        hours.setdefault(hour_of(gap.end_us * _NS), Counts()).add(Counts(recovered=events))
    book = f"gap-{hashlib.sha256(gap.gap_id.encode()).hexdigest()[:32]}"
    return Page(book, gap.end_us, gap.home, gap.listener, book, hours, {})
