"""How far the broker has confirmed what was published, in order: what a cursor may be moved on to. Sends nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from ingestor.mqtt_out.suspects import Sent


@dataclass
class _Portion:
    cursor: str
    left: int = 0
    #: All of it was given to the broker.
    closed: bool = False


class Window:
    """At most so many messages on their way. For one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._portions: deque[_Portion] = deque()
        self._by_id: dict[int, tuple[_Portion, Sent]] = {}
        self._room = asyncio.Event()
        self._room.set()
        #: Behind everything that was confirmed; empty before the first.
        self.cursor = ""

    @property
    def waiting(self) -> int:
        """How many messages are not confirmed yet."""
        return len(self._by_id)

    @property
    def under_way(self) -> list[Sent]:
        """What is not confirmed yet, the oldest first."""
        return [sent for _, sent in self._by_id.values()]

    @property
    def oldest(self) -> int:
        """The id of the oldest of these; 0 where there is none."""
        return next(iter(self._by_id), 0)

    def open(self, cursor: str) -> None:
        """Begin a portion, behind which the cursor is."""
        self._portions.append(_Portion(cursor))

    def sent(self, message_id: int, sent: Sent) -> None:
        """Note a message of the portion that was opened last."""
        portion = self._portions[-1]
        portion.left += 1
        self._by_id[message_id] = (portion, sent)
        if len(self._by_id) >= self._most:
            self._room.clear()

    def close(self) -> None:
        """End the portion that was opened last."""
        self._portions[-1].closed = True
        self._move_on()

    def split(self, cursor: str) -> None:
        """End the portion that was opened last at this cursor, and begin another with what is left of it."""
        rest = self._portions[-1].cursor
        self._portions[-1].cursor = cursor
        self.close()
        self.open(rest)

    def confirmed(self, message_id: int) -> Sent | None:
        """Note that the broker has a message, and return it; one that nobody waits for is let pass."""
        found = self._by_id.pop(message_id, None)
        if found is None:
            return None
        portion, sent = found
        portion.left -= 1
        self._room.set()
        self._move_on()
        return sent

    def forget(self) -> None:
        """Let go of what is not confirmed: it is published again, from the cursor on."""
        self._portions.clear()
        self._by_id.clear()
        self._room.set()

    async def room(self, *, alone: bool = False) -> None:
        """Wait until another message may go; `alone`: until nothing is on its way."""
        while len(self._by_id) >= (1 if alone else self._most):
            self._room.clear()
            await self._room.wait()

    def _move_on(self) -> None:
        while self._portions and self._portions[0].closed and not self._portions[0].left:
            self.cursor = self._portions.popleft().cursor
