"""How pages of the ledger travel from listeners to the database: the newest page of each book lies in the state server.

A page lies there until the listener hears that the database has it, so losing it is harmless: it is put again.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec
import redis
import structlog

from ingestor.events.counts import Page
from ingestor.queue.state import state_errors

_PAGES: Final = "ha_ingestor:ledger:pages"
_KEPT: Final = "ha_ingestor:ledger:kept:"
#: A listener asks every few seconds; one that was away for longer hands its page in again.
_KEPT_FOR_S: Final = 30 * 86_400
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Page)
_log: Final = structlog.get_logger(__name__)


class LedgerPost(Protocol):
    """Where listeners leave pages. Every call may raise StateUnavailable."""

    def put(self, page: Page) -> None:
        """Leave a page, in place of an older one of the same book."""
        ...

    def kept(self, book: str) -> int:
        """Return the number of the newest page of a book that is known to be in the ledger; 0 for none."""
        ...

    def pages(self) -> list[Page]:
        """Return the pages that wait."""
        ...

    def confirm(self, page: Page) -> None:
        """Say that a page is in the ledger: it waits no longer."""
        ...


class MemoryLedgerPost:
    """Pages within one process, for tests and for trying things out."""

    def __init__(self) -> None:
        self._pages: dict[str, Page] = {}
        self._kept: dict[str, int] = {}

    def put(self, page: Page) -> None:
        """Leave a page."""
        self._pages[page.book] = page

    def kept(self, book: str) -> int:
        """Return the number of the newest page that is in the ledger."""
        return self._kept.get(book, 0)

    def pages(self) -> list[Page]:
        """Return the pages that wait."""
        return list(self._pages.values())

    def confirm(self, page: Page) -> None:
        """Say that a page is in the ledger."""
        self._kept[page.book] = max(page.number, self._kept.get(page.book, 0))
        if self._pages.get(page.book) == page:
            del self._pages[page.book]


class RedisLedgerPost:
    """Pages in the state server."""

    def __init__(self, state: redis.Redis[bytes]) -> None:
        self._state = state

    def put(self, page: Page) -> None:
        """Leave a page. Raises StateUnavailable."""
        with state_errors():
            self._state.hset(_PAGES, page.book, _encoder.encode(page))

    def kept(self, book: str) -> int:
        """Return the number of the newest page that is in the ledger. Raises StateUnavailable."""
        with state_errors():
            number = self._state.get(_KEPT + book)
        return int(number) if number and number.isdigit() else 0

    def pages(self) -> list[Page]:
        """Return the pages that wait. Raises StateUnavailable."""
        with state_errors():
            packed = self._state.hgetall(_PAGES)
        return [page for book, one in packed.items() if (page := self._read(book, one)) is not None]

    def confirm(self, page: Page) -> None:
        """Say that a page is in the ledger. Raises StateUnavailable."""
        with state_errors():
            self._state.set(_KEPT + page.book, page.number, ex=_KEPT_FOR_S)
            # Between the two calls the listener may put the next page: it is put again after a while.
            held: Any = self._state.hget(_PAGES, page.book)
            if held is not None and held == _encoder.encode(page):
                self._state.hdel(_PAGES, page.book)

    def _read(self, book: bytes, packed: bytes) -> Page | None:
        try:
            return _decoder.decode(packed)
        except msgspec.DecodeError as error:
            # Of another version, or somebody else's: it must not come up again every few seconds.
            _log.warning("ledger_page_unreadable", book=book.decode("ascii", "replace"), error=str(error))
            with state_errors():
                self._state.hdel(_PAGES, book)
            return None
