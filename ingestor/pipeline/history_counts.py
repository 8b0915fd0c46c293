"""What became of the history that a step has sent, as a page of the ledger; each step hands in one of its own."""

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

    def add(self, outcomes: Mapping[str, int], stored: Mapping[int, int]) -> None:
        """Count a batch; every row of it has ended."""
        rows = sum(outcomes.values())
        counts = self._hours.setdefault(hour_of(time.time_ns()), Counts())
        counts.add(Counts(frames=rows, settled=rows, received=rows, **outcomes))
        for hour_s, events in stored.items():
            self._stored[hour_s] = self._stored.get(hour_s, 0) + events

    def take_page(self, home: str, journal: str) -> Page | None:
        """Return what was counted since the last page, as the only page of a book of its own."""
        if not self._hours:
            return None
        page = Page(new_batch_id(), 1, home, SOURCE, journal, self._hours, self._stored)
        self._hours, self._stored = {}, {}
        return page
