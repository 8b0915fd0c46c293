"""Keeps the newest changes of state of this process from the live channel, while somebody asks for them.

It begins with what the store has, and goes on with what is told. The channel may lose, so it begins anew now and then,
and at once where it knows of a loss; until then the store is asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from ingestor import errors
from ingestor.api.means import Means
from ingestor.api.recent_tail import RecentTail
from ingestor.events.point import FieldValue, StoredEvent
from ingestor.live.filter import LiveFilter
from ingestor.live.hub import Hearing, LiveHub
from ingestor.live.listener import Delivery, Ended
from ingestor.reading.recent import recent_events
from ingestor.storage.port import Store
from ingestor.storage.schema import PointBuilder

#: For so long nothing is kept for nobody.
_IDLE_S: Final = 60.0
#: A writer that could not tell leaves no trace in the channel: what is kept is good for so long.
TRUSTED_S: Final = 20.0
_LOOK_EVERY_S: Final = 1.0
_AGAIN_S: Final = 1.0
_EVERYTHING: Final = LiveFilter()
_log: Final = structlog.get_logger(__name__)


class RecentStates:
    """What is kept; for one event loop. `show` makes of a change of state what is told of it."""

    def __init__(
        self,
        hub: LiveHub | None,
        means: Means,
        show: Callable[[dict[str, Any]], bytes],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        settings = means.settings
        self._most = settings.api.recent_events
        # Nothing is told of points that are not in our own schema alone.
        self._hub = hub if self._most and settings.storage.schema_ in ("native", "both") else None
        self._means = means
        self._show = show
        self._clock = clock
        self._builder = PointBuilder(settings.storage)
        self._asked_s = float("-inf")
        self._began_s = float("-inf")
        self._interruptions = 0
        self._tail: RecentTail | None = None
        self._following: asyncio.Task[None] | None = None
        self._reading: asyncio.Future[None] | None = None

    async def read(self, limit: int, series: tuple[str, ...] | None, entity: str | None) -> list[bytes] | None:
        """Return the newest changes of state as they are told; None where the store must be asked.

        Who asks while they are read, where nothing else will do, waits for that: if each asked the store beside it, a
        large one would have more to answer than it can, and that reading would wait behind them.
        """
        if self._hub is None:
            return None
        self._asked_s = self._clock()
        if self._following is None or self._following.done():
            self._reading = asyncio.get_running_loop().create_future()
            self._following = asyncio.create_task(self._follow(self._hub), name="recent-states")
        if self._reading is not None and (self._tail is None or not self._is_whole(self._hub)):
            await asyncio.wait([self._reading])
        if self._tail is None or not self._is_whole(self._hub):
            return None
        return self._tail.read(limit, series, entity)

    def close(self) -> None:
        """Keep nothing any more."""
        if self._following is not None:
            self._following.cancel()

    def _is_whole(self, hub: LiveHub) -> bool:
        fresh = self._clock() - self._began_s < TRUSTED_S + 2 * _LOOK_EVERY_S
        return fresh and not hub.away and hub.interruptions == self._interruptions

    def _idle(self) -> bool:
        return self._clock() - self._asked_s > _IDLE_S

    async def _follow(self, hub: LiveHub) -> None:
        """Keep the newest for as long as somebody asks."""
        try:
            while not self._idle():
                try:
                    async with hub.listen(_EVERYTHING) as hearing:
                        await self._hear(hub, hearing)
                except errors.IngestorError as error:
                    _log.info("recent_not_kept", error=str(error), kind=type(error).__name__)
                self._tail = None
                self._let_go()
                await asyncio.sleep(_AGAIN_S)
        finally:
            self._tail = None
            self._let_go()

    def _let_go(self) -> None:
        """Let those go on who wait for a reading, however it ended."""
        reading, self._reading = self._reading, None
        if reading is not None and not reading.done():
            reading.set_result(None)

    async def _hear(self, hub: LiveHub, hearing: Hearing) -> None:
        """Follow the channel until something of it is missing, or nobody asks."""
        await self._begin(hub)
        async for item in hearing.items(lambda: _LOOK_EVERY_S):
            if isinstance(item, Ended) or self._idle():
                return
            if isinstance(item, Delivery):
                if self._tail is not None:
                    self._tail.add(item.messages.entry)
            elif item is not None:
                await self._begin(hub)
            if self._clock() - self._began_s >= TRUSTED_S or hub.interruptions != self._interruptions:
                await self._begin(hub)

    async def _begin(self, hub: LiveHub) -> None:
        """Read the newest of the store; what is told meanwhile waits for us, and what is in both counts once."""
        began_s, self._interruptions = self._clock(), hub.interruptions
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_future()
        found = await self._means.store(self._newest)
        self._tail = RecentTail(found, most=self._most, builder=self._builder, show=self._show)
        self._began_s = began_s
        self._let_go()

    def _newest(self, store: Store) -> list[tuple[StoredEvent, Mapping[str, FieldValue]]]:
        return recent_events(store, self._most)
