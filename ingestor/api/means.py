"""What answers are made from: store and metadata database, asked in threads of their own, so many at once."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import anyio.to_thread
from fastapi import Request

from ingestor import bootstrap, errors
from ingestor.settings import Settings
from ingestor.storage.port import Store

if TYPE_CHECKING:
    import sqlalchemy

T = TypeVar("T")
#: Readings of the metadata database, the state server and files at once: they are short.
_OTHERS_AT_ONCE: Final = 8
#: Streams out of the store at once: each has a connection of its own, for as long as its reader takes.
_STREAMS_AT_ONCE: Final = 4


class Means:
    """Runs what blocks in threads, never on the event loop; the health checks' threads are not among them.

    A store is lent to one question at a time, since its adapters are for one thread. Who waits longer than
    `api.timeout_s` for a turn is told so (Overloaded): what waits is bounded by the connections of the server.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        at_once = settings.api.store_connections
        self._free: list[Store] = []
        self._store_turns = asyncio.Semaphore(at_once)
        self._other_turns = asyncio.Semaphore(_OTHERS_AT_ONCE)
        self._stream_turns = asyncio.Semaphore(_STREAMS_AT_ONCE)
        self._threads = anyio.CapacityLimiter(at_once + _OTHERS_AT_ONCE + _STREAMS_AT_ONCE)
        self._opening = threading.Lock()
        self._database: sqlalchemy.Engine | None = None

    async def store(self, ask: Callable[[Store], T]) -> T:
        """Return what the store answers. Raises what `ask` raises, and Overloaded."""
        async with self._turn(self._store_turns):
            return await self._threaded(functools.partial(self._with_store, ask))

    async def stream(self, ask: Callable[[Store], Iterator[T]]) -> AsyncGenerator[T]:
        """Yield what comes out of a store, piece by piece as it is taken. Raises what `ask` raises, and Overloaded."""
        async with self._turn(self._stream_turns):
            store = bootstrap.open_store(self.settings, self.settings.api.timeout_s)
            pieces = ask(store)
            try:
                while (piece := await self._threaded(functools.partial(next, pieces, None))) is not None:
                    yield piece
            finally:
                # Also where whoever asked is gone, and with it this task.
                with anyio.CancelScope(shield=True):
                    await self._threaded(functools.partial(_end, pieces, store))

    async def database(self, ask: Callable[[sqlalchemy.Engine], T]) -> T:
        """Return what is asked of the metadata database. Raises what `ask` raises, and Overloaded."""
        return await self.other(lambda: ask(self.metadata()))

    async def other(self, ask: Callable[[], T]) -> T:
        """Return what anything else that blocks answers. Raises what `ask` raises, and Overloaded."""
        async with self._turn(self._other_turns):
            return await self._threaded(ask)

    def metadata(self) -> sqlalchemy.Engine:
        """Open the metadata database once, for all who ask; blocks."""
        with self._opening:
            if self._database is None:
                self._database = bootstrap.open_metadata(self.settings)
            return self._database

    def close(self) -> None:
        """Give connections back."""
        for store in self._free:
            store.close()
        self._free.clear()
        if self._database is not None:
            self._database.dispose()

    @contextlib.asynccontextmanager
    async def _turn(self, turns: asyncio.Semaphore) -> AsyncIterator[None]:
        try:
            await asyncio.wait_for(turns.acquire(), self.settings.api.timeout_s)
        except TimeoutError:
            raise errors.Overloaded from None
        try:
            yield
        finally:
            turns.release()

    async def _threaded(self, ask: Callable[[], T]) -> T:
        # A turn ends when its thread does: who hangs up meanwhile frees nothing that is in use.
        return await anyio.to_thread.run_sync(ask, limiter=self._threads)

    def _with_store(self, ask: Callable[[Store], T]) -> T:
        try:
            store = self._free.pop()  # not asked before: another thread may take the last one in between
        except IndexError:
            store = bootstrap.open_store(self.settings, self.settings.api.timeout_s)
        try:
            return ask(store)
        finally:
            self._free.append(store)


def _end(pieces: Iterator[object], store: Store) -> None:
    if isinstance(pieces, Generator):
        pieces.close()
    store.close()


async def means_of(request: Request) -> Means:
    """Return the means of the application that a request goes to."""
    found = request.app.state.means
    assert isinstance(found, Means)  # noqa: S101 -- put there by create_app
    return found
