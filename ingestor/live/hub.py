"""The hub of a process: one reader of the channel for all who listen in it, each entry read and filtered once.

It reads only while somebody listens. What one of them does or leaves undone is their own matter (`Listener`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import structlog

from ingestor import errors
from ingestor.live.channel import Entry, EntryId, Kept, LiveChannel
from ingestor.live.cursor import WHOLE, Position, cursor_text
from ingestor.live.entry import decode_entry
from ingestor.live.envelope import Chosen, Messages
from ingestor.live.filter import LiveFilter
from ingestor.live.listener import Delivery, Gap, Item, Listener, Policy, delivery_of, messages_of

T = TypeVar("T")
_WAIT_S: Final = 1.0
_AWAY_PAUSE_S: Final = 1.0
_ENTRIES_AT_ONCE: Final = 100
_CATCHING_UP: Final = 4
_log: Final = structlog.get_logger(__name__)

Read = tuple[Entry, Messages | None]


class LiveHub:
    """Who listens in this process. For one event loop; what blocks is done in threads of its own."""

    def __init__(
        self,
        channel: LiveChannel,
        homes: Sequence[str],
        *,
        chosen: Chosen | None = None,
        max_listeners: int = 1000,
        max_waiting: int = 1000,
    ) -> None:
        self.homes = tuple(homes)
        self._channel = channel
        self._chosen = chosen
        self._max_listeners = max_listeners
        self._max_waiting = max_waiting
        self._listeners: set[Listener] = set()
        self._opened = 0
        self._is_over = False
        self._endings = 0
        self._places: dict[str, Position] = {}
        self._numbers: dict[str, int] = {}
        self._reader: asyncio.Task[None] | None = None
        #: Whether the channel is away, and how often it was: what was written meanwhile may never be told.
        self.away = False
        self.interruptions = 0
        self._starting = asyncio.Lock()
        # Reading waits for what comes; who catches up must not wait for that.
        self._reading = ThreadPoolExecutor(1, "live-reader")
        self._catching_up = ThreadPoolExecutor(_CATCHING_UP, "live-catch-up")

    @property
    def endings(self) -> int:
        """How often all hearings were ended."""
        return self._endings

    @property
    def is_over(self) -> bool:
        """Whether all hearings are ended, also those that are opened later."""
        return self._is_over

    @property
    def listeners(self) -> int:
        """How many listen."""
        return self._opened

    @contextlib.asynccontextmanager
    async def listen(
        self, wanted: LiveFilter, *, after: Mapping[str, Position] | None = None, policy: Policy = "drop_oldest"
    ) -> AsyncIterator[Hearing]:
        """Open a hearing: from now on, or from behind a cursor. Raises Overloaded, StateUnavailable."""
        if self._opened >= self._max_listeners:
            raise errors.Overloaded(f"{self._max_listeners} listen already")
        listener = Listener(wanted, most=self._max_waiting, policy=policy)
        self._opened += 1
        try:
            await self._start()
            yield Hearing(self, listener, self._begin(wanted, after or {}), resumed=bool(after))
        finally:
            self._opened -= 1
            self._listeners.discard(listener)
            if not self._opened:
                self._stop()

    def end(self) -> None:
        """End all hearings, also those that are opened later."""
        self._is_over = True
        self.end_hearings()

    def end_hearings(self) -> None:
        """End all hearings that are open now, also those that still catch up."""
        self._endings += 1
        for listener in self._listeners:
            listener.end()

    async def close(self) -> None:
        """End all hearings and the reader."""
        self.end()
        self._stop()
        self._reading.shutdown(wait=False)
        self._catching_up.shutdown(wait=False)

    async def _start(self) -> None:
        async with self._starting:
            if self._reader is None:
                kept = await self._threaded(self._kept)
                self._places = {home: Position(one.last) for home, one in kept.items()}
                self._numbers = {}
                self.away = False
                self._reader = asyncio.create_task(self._read(), name="live-reader")
                self._reader.add_done_callback(self._ended)

    def _stop(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def _ended(self, reader: asyncio.Task[None]) -> None:
        """Leave nobody waiting for a reader that nobody foresaw to fail; they come back, and find another."""
        if reader.cancelled() or (error := reader.exception()) is None:
            return
        _log.error("live_reader_failed", exc_info=error)
        self._reader = None
        for listener in self._listeners:
            listener.end()

    def _begin(self, wanted: LiveFilter, after: Mapping[str, Position]) -> dict[str, Position]:
        return {home: after.get(home, at) for home, at in self._places.items() if wanted.takes_home(home)}

    async def _read(self) -> None:
        """Read what comes and deliver it, until nobody listens."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                if self.away:
                    self._go_on(await loop.run_in_executor(self._reading, self._kept))
                    self.away = False
                after = {home: at.entry_id for home, at in self._places.items()}
                for entry, messages in await loop.run_in_executor(self._reading, self._take, after, _WAIT_S):
                    self._deliver(entry, messages)
            except errors.IngestorError as error:
                if not self.away:
                    self.interruptions += 1
                    _log.warning("live_channel_away", error=str(error), kind=type(error).__name__)
                self.away = True
                await asyncio.sleep(_AWAY_PAUSE_S)

    def _go_on(self, kept: Mapping[str, Kept]) -> None:
        """Go on after the server was away; where the stream is another one now, from its beginning."""
        for home, one in kept.items():
            if self._places[home].is_lost(one):
                self._places[home] = Position(one.after)
                self._numbers.pop(home, None)
                self._tell_gap(home)

    def _deliver(self, entry: Entry, messages: Messages | None) -> None:
        """Give an entry to all who want something of it; filters that are equal are asked once."""
        last = self._numbers.get(entry.home)
        self._numbers[entry.home] = entry.number
        before = dict(self._places)
        self._places[entry.home] = Position(entry.entry_id)
        if messages is None or (last is not None and entry.number != last + 1):
            self._tell_gap(entry.home)
        if messages is None:
            return
        made: dict[LiveFilter, Delivery | None] = {}
        for listener in self._listeners:
            wanted = listener.wanted
            if listener.ahead and listener.has_had(entry.home, entry.entry_id):
                continue
            if wanted not in made:
                made[wanted] = delivery_of(messages, entry.entry_id, wanted, before)
            if (delivery := made[wanted]) is not None:
                listener.put(delivery)

    def _tell_gap(self, home: str) -> None:
        for listener in self._listeners:
            if listener.wanted.takes_home(home):
                listener.put(Gap(home, self.cursor_of(listener.wanted)))

    def cursor_of(self, wanted: LiveFilter) -> str:
        """Return the cursor of who has heard all there is."""
        return cursor_text({home: at for home, at in self._places.items() if wanted.takes_home(home)})

    def attach(self, listener: Listener, at: Mapping[str, Position], opened: int) -> bool:
        """Let a listener hear what the reader reads; False where it is not as far as the reader is.

        `opened`: how many endings there had been when it was opened.
        """
        if any(at[home].entry_id < self._places[home].entry_id or at[home].message != WHOLE for home in at):
            return False
        listener.ahead = {home: one.entry_id for home, one in at.items() if one.entry_id > self._places[home].entry_id}
        self._listeners.add(listener)
        if self._is_over or opened < self._endings:
            listener.end()
        return True

    async def kept(self) -> dict[str, Kept]:
        """Return what can be read of each home. Raises StateUnavailable."""
        return await self._threaded(self._kept)

    async def take(self, after: Mapping[str, EntryId]) -> list[Read]:
        """Return what there is later than these places. Raises StateUnavailable."""
        return await self._threaded(lambda: self._take(after, 0))

    async def _threaded(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._catching_up, call)

    def _kept(self) -> dict[str, Kept]:
        return {home: self._channel.kept(home) for home in self.homes}

    def _take(self, after: Mapping[str, EntryId], wait_s: float) -> list[Read]:
        entries = self._channel.read(after, most=_ENTRIES_AT_ONCE, wait_s=wait_s)
        return [(entry, self._messages(entry)) for entry in entries]

    def _messages(self, entry: Entry) -> Messages | None:
        try:
            return Messages(decode_entry(entry.body), entry.entry_id, self._chosen)
        except errors.UnreadableMessage as error:
            _log.warning("live_entry_unreadable", home=entry.home, error=str(error))
            return None


class Hearing:
    """What one who listens hears, in order: first what they missed, as fast as they take it, then what comes."""

    def __init__(self, hub: LiveHub, listener: Listener, at: dict[str, Position], *, resumed: bool) -> None:
        self._hub = hub
        self._listener = listener
        self._at = at
        self._resumed = resumed
        self._opened = hub.endings
        self._numbers: dict[str, int] = {}
        self.cursor = cursor_text(at)

    async def items(self, wait_s: Callable[[], float]) -> AsyncGenerator[Item | None]:
        """Yield what is heard, None where nothing is for `wait_s()` seconds. May raise StateUnavailable at first."""
        if self._resumed:
            async for item in self._missed():
                yield item
        while not self._hub.attach(self._listener, self._at, self._opened):
            async for item in self._catch_up():
                yield item
        while True:
            yield await self._listener.get(wait_s())

    def more(self, most: int, size_of: Callable[[Delivery], int] = messages_of) -> list[Delivery]:
        """Return deliveries that wait already and together are so large at most: for who tells them at once."""
        return self._listener.more(most, size_of)

    def take_at_once(self, take_now: Callable[[Delivery], bool]) -> None:
        """Have what comes given to `take_now` while `items` is waited for; what that does not take comes by `items`."""
        self._listener.take_now = take_now

    def heard_all(self) -> str:
        """Return the cursor of who has heard all there is: also where none of it was for them."""
        return self._hub.cursor_of(self._listener.wanted)

    async def _missed(self) -> AsyncIterator[Item]:
        """Tell of what is no longer kept, and go on with the oldest that is."""
        kept = await self._hub.kept()
        for home, place in self._at.items():
            if place.is_lost(kept[home]):
                self._at[home] = Position(kept[home].after)
                yield Gap(home, cursor_text(self._at))

    async def _catch_up(self) -> AsyncIterator[Item]:
        """Read a portion of what came since."""
        # From before an entry that was begun: what is left of it comes with it.
        after = {home: _before(at) for home, at in self._at.items()}
        read = await self._hub.take(after)
        found = {entry.home for entry, _ in read}
        for entry, messages in read:
            begun = self._at[entry.home]
            behind = begun.message if begun.entry_id == entry.entry_id else -1
            before = dict(self._at)
            self._at[entry.home] = Position(entry.entry_id)
            last = self._numbers.get(entry.home)
            self._numbers[entry.home] = entry.number
            if messages is None or (last is not None and entry.number > last + 1):
                yield Gap(entry.home, cursor_text(self._at))
            if messages is None:
                continue
            if item := delivery_of(messages, entry.entry_id, self._listener.wanted, before, behind=behind):
                yield item
        for home, at in self._at.items():
            if home not in found and at.message != WHOLE:
                self._at[home] = Position(at.entry_id)


def _before(at: Position) -> EntryId:
    if at.message == WHOLE:
        return at.entry_id
    ms, seq = at.entry_id
    return EntryId(ms, seq - 1) if seq else EntryId(ms - 1, 2**64 - 1)
