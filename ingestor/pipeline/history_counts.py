"""What became of the history that a step has sent, as pages of the ledger; each step has a book of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ingestor.events.counts import Counts, Page, hour_of
from ingestor.events.frame import new_batch_id

SOURCE = "history"


class HistoryCounts:
    """Counts batches of history that are done, by the hour in which they were read."""

    def __init__(self) -> None:
        self._hours: dict[int, Counts] = {}
        self._stored: dict[int, int] = {}
        self._book = new_batch_id()
        self._pages: list[Page] = []

    def add(self, outcomes: Mapping[str, int], stored: Mapping[int, int]) -> None:
        """Count a batch; every row of it has ended."""
        rows = sum(outcomes.values())
        counts = self._hours.setdefault(hour_of(time.time_ns()), Counts())
        counts.add(Counts(frames=rows, settled=rows, received=rows, **outcomes))
        for hour_s, events in stored.items():
            self._stored[hour_s] = self._stored.get(hour_s, 0) + events

    def pages(self, home: str, journal: str) -> list[Page]:
        """Close a page with what was counted since the last one; return all pages, or none where there is no new one.

        All: those before may not have been taken from the post yet, where the last take the place of the others.
        """
        if not self._hours:
            return []
        number = len(self._pages) + 1
        self._pages.append(Page(self._book, number, home, SOURCE, journal, self._hours, self._stored))
        self._hours, self._stored = {}, {}
        return list(self._pages)
