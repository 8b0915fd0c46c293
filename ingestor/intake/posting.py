"""Hands in the pages of a book, again and again until the ledger has them; the only part of counting that may wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from ingestor.events.counts import Page
from ingestor.intake.book import Book
from ingestor.queue.ledger_post import LedgerPost

_EVERY_S: Final = 3.0


class Posting:
    """Carries pages from a book to the post; `is_empty` tells whether the journal holds nothing."""

    def __init__(
        self,
        book: Book,
        post: LedgerPost,
        is_empty: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._book = book
        self._post = post
        self._is_empty = is_empty
        self._clock = clock
        self._next_s = float("-inf")
        self._first: int | None = None
        self._waiting_since_s: float | None = None

    def step(self, *, at_once: bool = False) -> None:
        """Hand in what there is, if it is time to. Raises StateUnavailable: it is tried again."""
        now_s = self._clock()
        if now_s < self._next_s and not at_once:
            return
        self._next_s = now_s + _EVERY_S
        self._book.compare_empty(self._is_empty)
        self._book.kept(self._post.kept(self._book.name))
        pages = self._book.pages()
        self._note_wait(pages, now_s)
        if pages:
            self._post.put(pages)

    def waiting_s(self) -> float:
        """Return for how long the oldest page has waited to be kept."""
        since_s = self._waiting_since_s
        return 0.0 if since_s is None else self._clock() - since_s

    def _note_wait(self, pages: Sequence[Page], now_s: float) -> None:
        first = pages[0].number if pages else None
        if first != self._first:
            self._first, self._waiting_since_s = first, None if first is None else now_s
