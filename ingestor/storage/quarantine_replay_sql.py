"""How the quarantine's tables remember what is being sent again, and how it ends: for `SqlQuarantine` alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from ingestor.events.counts import Counts, Page, hour_of
from ingestor.events.frame import new_batch_id
from ingestor.storage.ledger_sql import SqlLedger
from ingestor.storage.quarantine import Replayed
from ingestor.storage.quarantine_tables import PIECES, TOTALS

#: The source under which the ledger counts what is sent again.
SOURCE: Final = "replay"


def claim(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Give pieces a batch of their own; one that is under way keeps its batch: what was written of it is its own."""
    free = sa.select(PIECES.c.id).where(PIECES.c.id.in_(ids), PIECES.c.replaying.is_(False)).order_by(PIECES.c.id)
    for identity in connection.scalars(free).all():
        chosen = {"replay_id": new_batch_id(), "replaying": True}
        connection.execute(sa.update(PIECES).where(PIECES.c.id == identity).values(chosen))


def settle(
    engine: sa.Engine, connection: sa.Connection, results: Sequence[Replayed], book: str, page: int
) -> frozenset[int]:
    """Let go what succeeded, keep what was rejected, add both to the ledger; return which pieces were under way so."""
    by_id = {result.id: result for result in results}
    query = sa.select(PIECES.c.id, PIECES.c.replay_id, PIECES.c.bytes)
    rows = connection.execute(query.where(PIECES.c.id.in_(list(by_id)), PIECES.c.replaying.is_(True))).all()
    ours = [row for row in rows if by_id[row.id].replay_id == row.replay_id]
    failed = [row.id for row in ours if by_id[row.id].outcomes.get("rejected")]
    gone = [row for row in ours if not by_id[row.id].outcomes.get("rejected")]
    again = {"attempts": PIECES.c.attempts + 1, "replaying": False, "last_seen_ns": time.time_ns()}
    connection.execute(sa.update(PIECES).where(PIECES.c.id.in_(failed)).values(again))
    connection.execute(sa.delete(PIECES).where(PIECES.c.id.in_([row.id for row in gone])))
    size = sum(row.bytes for row in gone)
    connection.execute(sa.update(TOTALS).values(pieces=TOTALS.c.pieces - len(gone), bytes=TOTALS.c.bytes - size))
    ledger = SqlLedger(engine)
    for counted in _pages([by_id[row.id] for row in ours], book, page):
        ledger.add_within(connection, counted)
    return frozenset(row.id for row in ours)


def _pages(results: Sequence[Replayed], book: str, number: int) -> list[Page]:
    """Return a page for each home; a home has a book of its own."""
    pages: dict[str, Page] = {}
    hour_s = hour_of(time.time_ns())
    for result in results:
        page = pages.get(result.home)
        if page is None:
            name = f"{book}-{result.home}"[:64]
            page = Page(name, number, result.home, SOURCE, SOURCE, {hour_s: Counts()}, {})
            pages[result.home] = page
        events = sum(result.outcomes.values())
        page.hours[hour_s].add(Counts(frames=1, settled=1, received=events, **result.outcomes))
        for hour, count in result.stored.items():
            page.stored[hour] = page.stored.get(hour, 0) + count
    return list(pages.values())
