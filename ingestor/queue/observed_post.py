"""How pages of what workers observed travel to the database: they wait in the state server, no more than so many."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
import redis
import structlog

from ingestor.events.decoding import UNREADABLE
from ingestor.events.observed import ObservedPage
from ingestor.queue.state import state_errors

PAGES: Final = "ha_ingestor:observed:pages"
#: Pages that may wait: what comes then stays with its worker, who adds to it.
MAX_WAITING: Final = 200
#: Pages that are taken at once.
_AT_ONCE: Final = 50
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ObservedPage)
_log: Final = structlog.get_logger(__name__)


class ObservedPost(Protocol):
    """Where workers leave pages. Every call may raise StateUnavailable."""

    def put(self, page: ObservedPage) -> bool:
        """Leave a page; False where too many wait. The same page may be left again: it is added once."""
        ...

    def waiting(self) -> list[ObservedPage]:
        """Return the oldest pages that wait."""
        ...

    def confirm(self, pages: list[ObservedPage]) -> None:
        """Say that pages are in the database: they wait no longer."""
        ...


class MemoryObservedPost:
    """Pages within one process: for tests and for trying things out."""

    def __init__(self, most: int = MAX_WAITING) -> None:
        self._most = most
        self._pages: list[ObservedPage] = []

    def put(self, page: ObservedPage) -> bool:
        """Leave a page; False where too many wait."""
        if len(self._pages) >= self._most:
            return False
        self._pages.append(page)
        return True

    def waiting(self) -> list[ObservedPage]:
        """Return the oldest pages that wait."""
        return self._pages[:_AT_ONCE]

    def confirm(self, pages: list[ObservedPage]) -> None:
        """Say that pages are in the database."""
        self._pages = [page for page in self._pages if page not in pages]


class RedisObservedPost:
    """Pages in a list in the state server."""

    def __init__(self, state: redis.Redis[bytes], most: int = MAX_WAITING) -> None:
        self._state = state
        self._most = most

    def put(self, page: ObservedPage) -> bool:
        """Leave a page; False where too many wait. Raises StateUnavailable."""
        with state_errors():
            if self._state.llen(PAGES) >= self._most:
                return False
            self._state.rpush(PAGES, _encoder.encode(page))
        return True

    def waiting(self) -> list[ObservedPage]:
        """Return the oldest pages that wait. Raises StateUnavailable."""
        with state_errors():
            packed = self._state.lrange(PAGES, 0, _AT_ONCE - 1)
        found: list[ObservedPage] = []
        for one in packed:
            try:
                found.append(_decoder.decode(one))
            except UNREADABLE as error:
                # Of another version, or somebody else's: it must not come up again every few seconds.
                _log.warning("observed_page_unreadable", error=str(error))
                with state_errors():
                    self._state.lrem(PAGES, 1, one)
        return found

    def confirm(self, pages: list[ObservedPage]) -> None:
        """Say that pages are in the database. Raises StateUnavailable."""
        with state_errors():
            for page in pages:
                self._state.lrem(PAGES, 1, _encoder.encode(page))
