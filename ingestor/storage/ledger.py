"""The ledger: for each hour, home and source what became of every event; the port, and one row of it. Counts nothing.

It is kept a page at a time, never an event at a time: a listener counts in a book beside its journal
(`ingestor.intake.book`) and hands in a page every few seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ingestor.events.counts import Counts, Page


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What a home's source received in the hour that begins at `hour_s` (Unix), all journals together."""

    hour_s: int
    home: str
    source: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class LedgerSummary:
    """Rows of the ledger in few words: the counts of each home and source, and how many rows do not balance."""

    by_source: dict[tuple[str, str], Counts]
    total: Counts
    unbalanced: int


def summed_up(rows: Iterable[LedgerRow]) -> LedgerSummary:
    """Add rows up over their hours."""
    by_source: dict[tuple[str, str], Counts] = {}
    total, unbalanced = Counts(), 0
    for row in rows:
        by_source.setdefault((row.home, row.source), Counts()).add(row.counts)
        total.add(row.counts)
        unbalanced += not row.counts.balances
    return LedgerSummary(by_source, total, unbalanced)


class Ledger(Protocol):
    """Where the pages of all books are added up. Every call may raise StoreUnavailable."""

    def add(self, pages: Sequence[Page]) -> None:
        """Add pages, each once: a page whose number its book has reached already changes nothing."""
        ...

    def trim(self, books: int = 10_000) -> None:
        """Forget how far books have been added, but for so many that were last: each step of history has one."""
        ...

    def rows(
        self, *, home: str | None = None, since_s: int | None = None, until_s: int | None = None
    ) -> list[LedgerRow]:
        """Return the rows of hours that begin at or after `since_s` and before `until_s`, oldest first."""
        ...

    def stored(self, home: str, since_s: int | None = None, until_s: int | None = None) -> dict[tuple[str, int], int]:
        """Return how many new points the store took, by source and by hour of the events' own time (Unix seconds).

        An event whose point was there already (a richer source wrote it once more) is not counted: the sum over the
        sources of an hour is what a store should hold, where nothing of that hour was written before the ledger began.
        """
        ...
