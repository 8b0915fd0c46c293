"""Publishes to an MQTT broker that may go away: what was not confirmed is sent again on the next connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from ingestor.demo import mqtt_packets

_WINDOW = 2000
_AGAIN_AFTER_S = 0.3
_ACK_BYTES = 4


@dataclass(slots=True)
class Message:
    """A message with QoS 1. `number` is set for one that must not be sent twice: it has no time of its own."""

    topic: str
    payload: bytes
    retain: bool = False
    number: int | None = None

    def packet(self, packet_id: int) -> bytes:
        """Return the PUBLISH packet."""
        body = mqtt_packets.text(self.topic) + packet_id.to_bytes(2, "big") + self.payload
        return bytes((0x32 | self.retain,)) + mqtt_packets.length(len(body)) + body


class Publisher:
    """A queue of messages and a connection that comes back. `unsure` is told a number that may have been taken."""

    def __init__(self, url: str, unsure: Callable[[int], None]) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 1883
        self._unsure = unsure
        self._queue: deque[Message] = deque()
        self._in_flight: dict[int, Message] = {}
        self._last_id = 0
        self._wake = asyncio.Event()
        self.connections = 0

    @property
    def waiting(self) -> int:
        """Messages that the broker has not confirmed."""
        return len(self._queue) + len(self._in_flight)

    def put(self, message: Message) -> None:
        """Queue a message."""
        self._queue.append(message)
        self._wake.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            with contextlib.suppress(OSError, EOFError, asyncio.TimeoutError):
                await self._connected()
            self._take_back()
            await asyncio.sleep(_AGAIN_AFTER_S)

    async def _connected(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(mqtt_packets.connect("ha-ingestor-chaos", keep_alive_s=0))
            answer = await asyncio.wait_for(reader.readexactly(_ACK_BYTES), 5)
            if answer[3]:
                return
            self.connections += 1
            self._wake.set()
            both = [asyncio.ensure_future(self._read(reader)), asyncio.ensure_future(self._write(writer))]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in both:
                    one.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while True:
            head = await reader.readexactly(2)
            rest = await reader.readexactly(head[1])
            if head[0] == mqtt_packets.PUBACK:
                self._in_flight.pop(int.from_bytes(rest[:2], "big"), None)
                self._wake.set()

    async def _write(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue and len(self._in_flight) < _WINDOW:
                message = self._queue.popleft()
                number = self._next_id()
                self._in_flight[number] = message
                writer.write(message.packet(number))
            await writer.drain()

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % mqtt_packets.MOST_IDS + 1
            if self._last_id not in self._in_flight:
                return self._last_id

    def _take_back(self) -> None:
        """Queue again what was not confirmed, before all else; of an untimed one nobody knows whether it is there."""
        for message in reversed(self._in_flight.values()):
            if message.number is None:
                self._queue.appendleft(message)
            else:
                self._unsure(message.number)
        self._in_flight.clear()
