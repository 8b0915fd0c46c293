"""One who listens: what waits for them, so much and no more, and what they are told of what they missed. One loop's."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

import structlog

from ingestor.live.channel import EntryId
from ingestor.live.cursor import WHOLE, Cursor, Position, cursor_text
from ingestor.live.envelope import Messages
from ingestor.live.filter import LiveFilter

_log: Final = structlog.get_logger(__name__)
Made = TypeVar("Made")
#: What is let go where a listener is too slow: the oldest that waits, the newest that comes, or the listener.
Policy = Literal["drop_oldest", "drop_newest", "disconnect"]
POLICIES: Final[tuple[Policy, ...]] = ("drop_oldest", "drop_newest", "disconnect")


@dataclass(frozen=True, eq=False)
class Delivery:
    """The messages of an entry that a filter takes: one object for all who listen by that filter.

    `before` is where they all were. `made` is for transports: what they made of it, by a key of theirs.
    """

    messages: Messages
    entry_id: EntryId
    chosen: tuple[int, ...]
    before: Cursor
    made: dict[str, Any] = field(default_factory=dict)

    def made_once(self, key: str, make: Callable[[Delivery], Made]) -> Made:
        """Return what a transport makes of it, made at the first call."""
        if key not in self.made:
            self.made[key] = make(self)
        made: Made = self.made[key]
        return made

    def cursor_at(self, place: int) -> str:
        """Return the cursor of who has taken the messages up to this place in `chosen`."""
        at = self.chosen[place] if place < len(self.chosen) - 1 else WHOLE
        return cursor_text({**self.before, self.messages.home: Position(self.entry_id, at)})

    @property
    def cursor(self) -> str:
        """The cursor of who has taken all of it."""
        return self.made_once("cursor", lambda made: made.cursor_at(len(made.chosen) - 1))


def messages_of(delivery: Delivery) -> int:
    """Return how many messages a delivery has."""
    return len(delivery.chosen)


@dataclass(frozen=True)
class Gap:
    """Messages of a home were not kept for this listener, nobody knows how many; the store has their events."""

    home: str
    cursor: str


@dataclass(frozen=True)
class Missed:
    """So many messages were let go, because this listener was too slow."""

    messages: int


@dataclass(frozen=True)
class Ended:
    """There is no more: the listener was too slow, or this process ends."""

    too_slow: bool


Item = Delivery | Gap | Missed | Ended


class Listener:
    """What waits for one who listens: at most so many messages, whatever they do; a single entry always has room."""

    def __init__(self, wanted: LiveFilter, *, most: int, policy: Policy = "drop_oldest") -> None:
        self.wanted = wanted
        #: Up to which entry of a home they had all before they began to listen, where that is beyond the reader.
        self.ahead: dict[str, EntryId] = {}
        #: Takes a delivery at once, without waking who waits for it; False where it cannot, and it waits as ever.
        self.take_now: Callable[[Delivery], bool] | None = None
        self._most = most
        self._policy = policy
        self._waiting: deque[Delivery | Gap] = deque()
        self._messages = 0
        self._missed = 0
        self._ended: Ended | None = None
        self._waiter: asyncio.Future[None] | None = None

    def put(self, item: Delivery | Gap) -> None:
        """Let something wait; at the limit the policy says what goes."""
        if self._ended is not None:
            return
        if isinstance(item, Delivery):
            # Only where nothing is before it: neither here nor with who took the last.
            if self._is_awaited and self._take_now(item):
                return
            if not self._has_room(len(item.chosen)):
                return
        self._messages += _size(item)
        self._waiting.append(item)
        self._wake()

    def has_had(self, home: str, entry_id: EntryId) -> bool:
        """Tell whether they had this entry before they began to listen."""
        until = self.ahead.get(home)
        if until is None:
            return False
        if entry_id > until:
            del self.ahead[home]
            return False
        return True

    def end(self, *, too_slow: bool = False) -> None:
        """Let nothing more wait: what does goes, and the end is told."""
        if self._ended is None:
            self._ended = Ended(too_slow)
            self._waiting.clear()
            self._wake()

    async def get(self, wait_s: float) -> Item | None:
        """Return what comes next, None where nothing does for so long."""
        if (item := self._next()) is None:
            await self._woken(wait_s)
            item = self._next()
        return item

    def more(self, most: int, size_of: Callable[[Delivery], int] = messages_of) -> list[Delivery]:
        """Return what waits behind, without waiting: whole deliveries that together are so large at most."""
        found: list[Delivery] = []
        while not self._missed and self._waiting and isinstance(first := self._waiting[0], Delivery):
            most -= size_of(first)
            if most < 0:
                break
            self._messages -= len(first.chosen)
            self._waiting.popleft()
            found.append(first)
        return found

    async def _woken(self, wait_s: float) -> None:
        """Wait until something happens, for so long at most: `asyncio.wait_for` would make a task of each wait."""
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = loop.call_later(wait_s, self._wake)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _take_now(self, delivery: Delivery) -> bool:
        """Have it taken at once. Who cannot do that is one listener, and must not stop who reads for all."""
        if self.take_now is None:
            return False
        try:
            return self.take_now(delivery)
        except Exception:  # noqa: BLE001 -- what comes now comes to its own task, as anything that cannot be taken
            _log.exception("live_not_taken_at_once")
            self.take_now = None
            return False

    @property
    def _is_awaited(self) -> bool:
        waiter = self._waiter
        return waiter is not None and not waiter.done() and not self._waiting and not self._missed

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _next(self) -> Item | None:
        if self._missed:
            missed, self._missed = self._missed, 0
            return Missed(missed)
        if self._ended is not None:
            return self._ended
        if not self._waiting:
            return None
        item = self._waiting.popleft()
        self._messages -= _size(item)
        return item

    def _has_room(self, messages: int) -> bool:
        if self._messages + messages <= self._most or not self._messages:
            return True
        if self._policy == "drop_newest":
            self._miss(messages)
            return False
        if self._policy == "disconnect":
            self._miss(messages + self._messages)
            self.end(too_slow=True)
            return False
        while self._waiting and self._messages + messages > self._most:
            gone = self._waiting.popleft()
            self._messages -= _size(gone)
            self._miss(_size(gone))
        return True

    def _miss(self, messages: int) -> None:
        self._missed += messages
        self._wake()


def _size(item: Delivery | Gap) -> int:
    return len(item.chosen) if isinstance(item, Delivery) else 0


def delivery_of(
    messages: Messages, entry_id: EntryId, wanted: LiveFilter, before: Mapping[str, Position], *, behind: int = -1
) -> Delivery | None:
    """Return what a filter takes of an entry, later than the message numbered `behind`; None where that is nothing."""
    chosen = wanted.select(messages)
    if behind >= 0:
        chosen = tuple(one for one in chosen if one > behind)
    if not chosen:
        return None
    return Delivery(messages, entry_id, chosen, {home: at for home, at in before.items() if wanted.takes_home(home)})
