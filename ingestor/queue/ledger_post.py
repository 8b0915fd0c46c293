"""How pages of the ledger travel from listeners to the database: what is not kept there yet lies in the state server.

A listener puts them again until it hears that the database has them, so losing them is harmless.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Final, Protocol

import msgspec
import redis
import structlog

from ingestor.events.counts import Page
from ingestor.events.decoding import UNREADABLE
from ingestor.queue.state import state_errors

_PAGES: Final = "ha_ingestor:ledger:pages"
_KEPT: Final = "ha_ingestor:ledger:kept:"
#: A listener asks every few seconds; one that was away for longer hands its page in again.
_KEPT_FOR_S: Final = 30 * 86_400
#: What a count or a time in seconds may reach: sums of them still fit the database's 64 bits.
_MOST: Final = 2**53
_MAX_DIGITS: Final = 16
#: What the database's columns take: PostgreSQL refuses a longer one, and with it all that wait behind.
_MAX_NAMES: Final = {"book": 64, "home": 255, "source": 64, "journal": 1000}
#: Who counts.
_SOURCES: Final = frozenset({"websocket", "mqtt", "history"})
#: An hour that is further ahead of our clock than this is none in which anything was received.
_AHEAD_S: Final = 2 * 86_400
#: What a store takes for a time: nanoseconds in 64 bits.
_STORABLE_S: Final = 9_223_372_037
#: A book's page has no more (`ingestor.intake.book_state`).
_MAX_HOURS: Final = 501
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Page])
_log: Final = structlog.get_logger(__name__)


class LedgerPost(Protocol):
    """Where listeners leave pages. Every call may raise StateUnavailable."""

    def put(self, pages: Sequence[Page]) -> None:
        """Leave the pages of a book that are not kept yet, in place of those left before; in their order."""
        ...

    def kept(self, book: str) -> int:
        """Return the number of the newest page of a book that is known to be in the ledger; 0 for none."""
        ...

    def waiting(self) -> list[list[Page]]:
        """Return the pages that wait, a list for each book."""
        ...

    def confirm(self, pages: Sequence[Page]) -> None:
        """Say that pages of a book are in the ledger: they wait no longer."""
        ...


class MemoryLedgerPost:
    """Pages within one process, for tests and for trying things out."""

    def __init__(self) -> None:
        self._pages: dict[str, list[Page]] = {}
        self._kept: dict[str, int] = {}

    def put(self, pages: Sequence[Page]) -> None:
        """Leave the pages of a book."""
        self._pages[pages[0].book] = list(pages)

    def kept(self, book: str) -> int:
        """Return the number of the newest page that is in the ledger."""
        return self._kept.get(book, 0)

    def waiting(self) -> list[list[Page]]:
        """Return the pages that wait."""
        return list(self._pages.values())

    def confirm(self, pages: Sequence[Page]) -> None:
        """Say that pages are in the ledger."""
        book = pages[-1].book
        self._kept[book] = max(pages[-1].number, self._kept.get(book, 0))
        if self._pages.get(book) == list(pages):
            del self._pages[book]


class RedisLedgerPost:
    """Pages in the state server. Where `homes` are given, the pages of others wait: somebody may have made them up."""

    def __init__(self, state: redis.Redis[bytes], homes: Collection[str] | None = None) -> None:
        self._state = state
        self._homes = homes

    def put(self, pages: Sequence[Page]) -> None:
        """Leave the pages of a book: all or none of them is there. Raises StateUnavailable."""
        with state_errors():
            self._state.hset(_PAGES, pages[0].book, _encoder.encode(pages))

    def kept(self, book: str) -> int:
        """Return the number of the newest page that is in the ledger. Raises StateUnavailable."""
        with state_errors():
            number = self._state.get(_KEPT + book)
        return int(number) if number and number.isdigit() and len(number) <= _MAX_DIGITS else 0

    def waiting(self) -> list[list[Page]]:
        """Return the pages that wait. Raises StateUnavailable."""
        with state_errors():
            packed = self._state.hgetall(_PAGES)
        return [pages for book, one in packed.items() if (pages := self._read(book, one))]

    def confirm(self, pages: Sequence[Page]) -> None:
        """Say that pages of a book are in the ledger. Raises StateUnavailable."""
        book = pages[-1].book
        with state_errors():
            self._state.set(_KEPT + book, pages[-1].number, ex=_KEPT_FOR_S)
            # Between these two the listener may put newer ones: then it puts them once more a little later.
            if self._state.hget(_PAGES, book) == _encoder.encode(pages):
                self._state.hdel(_PAGES, book)

    def _read(self, book: bytes, packed: bytes) -> list[Page]:
        try:
            pages = _decoder.decode(packed)
            _require_ours(book, pages)
        except (*UNREADABLE, ValueError) as error:
            # Of another version, or somebody else's: it must not come up again every few seconds.
            _log.warning("ledger_page_unreadable", book=book.decode("ascii", "replace"), error=str(error))
            with state_errors():
                self._state.hdel(_PAGES, book)
            return []
        if self._homes is not None and any(page.home not in self._homes for page in pages):
            _log.warning("ledger_page_of_unknown_home", home=pages[0].home)
            return []
        return pages


def _require_ours(book: bytes, pages: Sequence[Page]) -> None:
    """Raise ValueError for pages that no book of ours has: the database would refuse them, and all that wait behind."""
    latest_s = time.time() + _AHEAD_S
    for page in pages:
        texts = {name: getattr(page, name) for name in _MAX_NAMES}
        numbers = [page.number, *page.hours, *page.stored, *page.stored.values()]
        for counts in page.hours.values():
            numbers += msgspec.structs.astuple(counts)
        if page.book.encode() != book or page.number < 1:
            raise ValueError("a page of another book")
        if any(len(text) > _MAX_NAMES[name] or "\0" in text for name, text in texts.items()):
            raise ValueError("a name that is none")
        if page.source not in _SOURCES:
            raise ValueError("nobody counts by that name")
        if len(page.hours) > _MAX_HOURS:
            raise ValueError("more hours than a page has")
        if not all(0 <= hour_s <= latest_s and hour_s % 3600 == 0 for hour_s in page.hours):
            raise ValueError("an hour in which nothing can have been received")
        if not all(abs(hour_s) <= _STORABLE_S and hour_s % 3600 == 0 for hour_s in page.stored):
            raise ValueError("an hour in which nothing can have happened")
        if any(abs(number) > _MOST for number in numbers):
            raise ValueError("a number that no count reaches")
