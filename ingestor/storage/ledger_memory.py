"""The ledger within one process, for tests and for trying things out."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from ingestor.events.counts import Counts, Page
from ingestor.storage.ledger import LedgerRow


class MemoryLedger:
    """Adds pages up in dicts."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._last: dict[str, int] = {}
        self._hours: dict[tuple[int, str, str], Counts] = {}
        self._stored: dict[tuple[str, str, int], int] = {}

    def add(self, pages: Sequence[Page]) -> None:
        """Add pages, each once."""
        for page in pages:
            with self._mutex:
                self._add_once(page)

    def _add_once(self, page: Page) -> None:
        if page.number > self._last.get(page.book, 0):
            self._last.pop(page.book, None)  # the last to be added stands last
            self._last[page.book] = page.number
            self._add(page)

    def _add(self, page: Page) -> None:
        for hour_s, counts in page.hours.items():
            self._hours.setdefault((hour_s, page.home, page.source), Counts()).add(counts)
        for hour_s, number in page.stored.items():
            key = (page.home, page.source, hour_s)
            self._stored[key] = self._stored.get(key, 0) + number

    def trim(self, books: int = 10_000) -> None:
        """Forget books, but for so many."""
        with self._mutex:
            for book in list(self._last)[: max(0, len(self._last) - books)]:
                del self._last[book]

    def rows(
        self, *, home: str | None = None, since_s: int | None = None, until_s: int | None = None
    ) -> list[LedgerRow]:
        """Return rows, oldest first."""
        return [
            LedgerRow(hour_s, of, source, counts)
            for (hour_s, of, source), counts in sorted(self._hours.items(), key=lambda item: item[0])
            if home in (None, of) and _within(hour_s, since_s, until_s)
        ]

    def stored(self, home: str, since_s: int | None = None, until_s: int | None = None) -> dict[tuple[str, int], int]:
        """Return how many new points the store took, by source and hour."""
        return {
            (source, hour_s): number
            for (of, source, hour_s), number in self._stored.items()
            if of == home and _within(hour_s, since_s, until_s)
        }


def _within(hour_s: int, since_s: int | None, until_s: int | None) -> bool:
    return (since_s is None or hour_s >= since_s) and (until_s is None or hour_s < until_s)
