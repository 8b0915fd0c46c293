"""A filled gap settles what its listener counted as lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingestor.events.counts import Counts, Page
from ingestor.pipeline.history_recovered import settled
from ingestor.queue.ledger_post import MemoryLedgerPost
from ingestor.storage.gaps import GapRecord, GapState, observed, refilled
from ingestor.storage.ledger_memory import MemoryLedger

HOUR_S = 1_800_000_000 // 3600 * 3600
START_US = (HOUR_S + 3500) * 1_000_000
GAP = GapRecord(
    gap_id="home:websocket:1",
    home="home",
    listener="websocket",
    reason="journal_full",
    start_us=START_US,
    end_us=START_US + 200_000_000,
    state=GapState.FILLED,
    lost={"call_service": 20},
    counts={"dropped": 140, "written": 120},
)


def book(*lost: int, source: str = "websocket") -> MemoryLedgerPost:
    """What a listener lost, by hour."""
    post = MemoryLedgerPost()
    hours = {
        HOUR_S + 3600 * number: Counts(frames=count, settled=count, lost=count) for number, count in enumerate(lost)
    }
    post.put([Page("book", 1, "home", source, "journal", hours, {})])
    return post


def recovered(ledger: MemoryLedger) -> list[int]:
    return [row.counts.recovered for row in ledger.rows()]


def test_what_was_lost_and_read_back_is_settled_in_its_hours_once() -> None:
    ledger = MemoryLedger()

    gap = settled(GAP, book(50, 90), ledger)
    settled(gap, MemoryLedgerPost(), ledger)
    settled(GAP, MemoryLedgerPost(), ledger)

    assert gap.counts["recovered"] == 120
    assert recovered(ledger) == [50, 70]
    assert [(row.counts.missing, row.counts.balances) for row in ledger.rows()] == [(0, True), (20, True)]


def test_filled_once_more_it_settles_nothing_more() -> None:
    ledger = MemoryLedger()
    gap = settled(GAP, book(140), ledger)

    again = replace(refilled(gap), state=GapState.FILLED)
    settled(again, MemoryLedgerPost(), ledger)

    assert recovered(ledger) == [120]


def test_a_gap_that_grew_settles_what_it_has_more() -> None:
    ledger = MemoryLedger()
    gap = settled(GAP, book(140), ledger)
    told = replace(GAP, end_us=GAP.end_us + 1_000_000, counts={"dropped": 150})

    grown = replace(observed(gap, told), state=GapState.FILLED)
    settled(grown, MemoryLedgerPost(), ledger)

    assert sum(recovered(ledger)) == 130


@pytest.mark.parametrize("state", [GapState.FILLING, GapState.PARTLY_FILLED, GapState.NOT_FILLABLE])
def test_what_nobody_knows_to_be_stored_stays_lost(state: GapState) -> None:
    ledger = MemoryLedger()

    gap = settled(replace(GAP, state=state), book(140), ledger)

    assert (gap.counts, recovered(ledger)) == (GAP.counts, [])


def test_losses_that_are_not_in_the_ledger_yet_are_settled_when_they_come() -> None:
    ledger = MemoryLedger()

    settled(GAP, MemoryLedgerPost(), ledger)
    for pages in book(0, 140).waiting():
        ledger.add(pages)

    assert sum(row.counts.missing for row in ledger.rows()) == 20
