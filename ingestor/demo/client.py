"""One client of the demo server: what it subscribed to and what waits to be sent; cut when it reads too slowly."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import orjson
import structlog
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ingestor.demo.wire import Event

#: So many messages may wait for a slow reader (Home Assistant's MAX_PENDING_MSG).
MOST_PENDING: Final = 4096
#: Above this many for `PEAK_FOR_S` a client is cut as well.
PEAK_PENDING: Final = 1024
PEAK_FOR_S: Final = 10.0
#: In 2024.3.
SHORT_PEAK_FOR_S: Final = 5.0

_log: Final = structlog.get_logger(__name__)
#: The count of a frame that is no message: it is joined with no other.
_AS_IT_IS: Final = 0


class Client:
    """An authenticated connection. Messages are queued and sent by `write`, coalesced if the client can take it."""

    def __init__(self, connection: ServerConnection, user_id: str, *, is_admin: bool, modern: bool) -> None:
        self.connection = connection
        self.user_id = user_id
        self.is_admin = is_admin
        self.can_coalesce = False
        self.last_id = 0
        #: The event type of each subscription; None: all.
        self.subscriptions: dict[int, str | None] = {}
        #: Cleared while nothing may be sent or answered.
        self.unstalled = asyncio.Event()
        self.unstalled.set()
        self._sent_all = asyncio.Event()
        self._sent_all.set()
        self._modern = modern
        self._peak_for_s = PEAK_FOR_S if modern else SHORT_PEAK_FOR_S
        self._queue: deque[tuple[int, bytes]] = deque()
        self._pending = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._over_peak_since: float | None = None
        self._closer: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        """How many messages wait to be sent."""
        return self._pending

    @property
    def is_open(self) -> bool:
        """Whether anything that is sent can arrive."""
        return not self._closing

    def send(self, message: bytes, count: int = 1) -> None:
        """Queue a message, or several that are joined by commas; cut a client that does not read."""
        if self._closing:
            return
        if self._pending >= MOST_PENDING:
            self._cut_slow(f"reached {MOST_PENDING} pending messages")
            return
        self._queue.append((count, message))
        self._pending += count
        self._wake.set()
        self._sent_all.clear()
        self._watch_peak()

    def queue_raw(self, text: bytes) -> None:
        """Queue a text frame that is sent as it is, in its turn: Home Assistant, too, sends nothing out of turn."""
        if not self._closing:
            self._queue.append((_AS_IT_IS, text))
            self._wake.set()
            self._sent_all.clear()

    def _watch_peak(self) -> None:
        if self._pending <= PEAK_PENDING:
            self._over_peak_since = None
            return
        now = asyncio.get_running_loop().time()
        if self._over_peak_since is None:
            self._over_peak_since = now
        elif now - self._over_peak_since > self._peak_for_s:
            self._cut_slow(f"stayed over {PEAK_PENDING} pending messages for {self._peak_for_s:g} s")

    def send_result(self, number: int, result: Any = None) -> None:
        """Answer a command."""
        shown = orjson.dumps(result)
        self.send(b'{"id":%d,"type":"result","success":true,"result":%b}' % (number, shown))

    def send_error(self, number: Any, code: str, message: str) -> None:
        """Refuse a command."""
        error = {"code": code, "message": message}
        self.send(orjson.dumps({"id": number, "type": "result", "success": False, "error": error}))

    def send_event(self, event: Event) -> None:
        """Send an event to each subscription that wants it."""
        for number, wanted in self.subscriptions.items():
            if wanted is None or wanted == event.event_type:
                self.send(event.message(number))

    def send_bodies(self, event_type: str, bodies: list[bytes]) -> int:
        """Send prebuilt events, without id and last brace; return to how many subscriptions."""
        wanting = [number for number, wanted in self.subscriptions.items() if wanted in (None, event_type)]
        for number in wanting:
            end = b',"id":%d}' % number
            if self.can_coalesce:
                self.send((end + b",").join(bodies) + end, len(bodies))
            else:
                self._send_each(bodies, end)
        return len(wanting)

    def _send_each(self, bodies: Iterable[bytes], end: bytes) -> None:
        for body in bodies:
            self.send(body + end)

    async def write(self) -> None:
        """Send what is queued until the connection ends."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._write_queued()
                self._sent_all.set()

    async def _write_queued(self) -> None:
        while self._queue:
            await self.unstalled.wait()
            message, count = self._next_frame() if self._queue else (b"", 0)
            if count:
                await self.connection.send(b"[" + message + b"]" if count > 1 else message, text=True)

    def _next_frame(self) -> tuple[bytes, int]:
        """Take all that is queued if the client can coalesce, else one message."""
        count, message = self._queue.popleft()
        if count == _AS_IT_IS:
            return message, 1
        messages = [message]
        while self.can_coalesce and self._queue and self._queue[0][0] != _AS_IT_IS:
            more, message = self._queue.popleft()
            messages.append(message)
            count += more
        self._pending -= count
        return b",".join(messages), count

    async def flush(self) -> None:
        """Wait until nothing is queued, or nothing can be sent any more."""
        await self._sent_all.wait()

    def close(self) -> None:
        """Note that the connection has ended: what is queued can no longer arrive."""
        self._closing = True
        self._queue.clear()
        self._pending = 0
        self._sent_all.set()

    async def send_raw(self, text: bytes) -> None:
        """Send a text frame as it is, past the queue."""
        with contextlib.suppress(ConnectionClosed):
            await self.connection.send(text, text=True)

    def _cut_slow(self, why: str) -> None:
        """End the connection as Home Assistant does: 2024.3 without a word, later ones with a usual close."""
        _log.warning("demo_client_cut", why=why, pending=self._pending)
        if self._modern:
            self.close()
            self._closer = asyncio.get_running_loop().create_task(self.connection.close(1000))
        else:
            self.cut()

    def cut(self) -> None:
        """Break the connection without a close frame."""
        self.close()
        self.connection.transport.abort()
