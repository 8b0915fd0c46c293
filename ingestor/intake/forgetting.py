"""Lets the journal forget what is done: counted in the book first, and the book on the disk; sends nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from ingestor.intake.book import Book
from ingestor.intake.flights import DoneBatch
from ingestor.intake.journal.entry import Entry
from ingestor.intake.journal.journal import Journal

_log: Final = structlog.get_logger(__name__)
#: The book goes to the disk at most so often: a batch that is done stays in the journal that much longer.
_SYNC_EVERY_S: Final = 0.5
#: A book whose disk takes nothing must not fill the journal: after that long batches are forgotten all the same. If
#: the process is killed then before the disk is well again, they count as lost though they are not.
_LONGEST_WAIT_S: Final = 10.0


class Forgetting:
    """Batches on their way out of the journal. Without a book they go at once. Safe to use from several threads."""

    def __init__(
        self,
        journal: Journal,
        book: Book | None,
        on_done: Callable[[DoneBatch], None] | None,
        clock: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._book = book
        self._on_done = on_done or (lambda _batch: None)
        self._clock = clock
        self._mutex = threading.Lock()
        self._waiting: list[Entry] = []
        self._since_s = 0.0
        self._synced_s = float("-inf")

    def done(self, entry: Entry, batch: DoneBatch) -> None:
        """Count a batch that is done, once, and let it go."""
        new = True
        if self._book is None:
            self._journal.forget([entry])
        else:
            new = self._book.ended(entry, batch)
            with self._mutex:
                self._since_s = self._since_s if self._waiting else self._clock()
                self._waiting.append(entry)
        if new:
            self._tell(batch)

    def damaged(self, entry: Entry) -> None:
        """Let go of a batch that the journal cannot give any more; it is lost, unless it is done by now."""
        if self._journal.give_up(entry) and self._book is not None:
            self._book.gone(entry)

    def flush(self, *, at_once: bool = False) -> None:
        """Let go of what is counted, if it is time to."""
        now_s = self._clock()
        if self._book is None or not self._waiting or (now_s - self._synced_s < _SYNC_EVERY_S and not at_once):
            return
        with self._mutex:
            entries, self._waiting = self._waiting, []
        if self._book.sync() or now_s - self._since_s > _LONGEST_WAIT_S:
            self._synced_s = now_s
            self._journal.forget(entries)
            return
        with self._mutex:
            self._waiting[:0] = entries

    def _tell(self, batch: DoneBatch) -> None:
        try:
            self._on_done(batch)
        except Exception:  # noqa: BLE001 -- whoever counts must not cost other batches their marks
            _log.exception("on_done_failed", batch=batch.batch_id)
