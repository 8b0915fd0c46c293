"""Those who listen to a running stack by WebSocket, as a process of its own: `python -m tests.bench.subscribers URL …`.

They read frames and no more, so that what is measured is the server and not a hundred JSON parsers on its machine: of
each frame the times of its oldest and its newest event are found by their text. One in ten has a filter. Beside them
are some that subscribe to everything and never read.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import json
import os
import signal
import sys
import time
from datetime import datetime
from typing import Any, ClassVar, Final

from ingestor.api import asyncapi

_TIME: Final = b'"time":"'
_TIME_CHARS: Final = len("2026-01-01T00:00:00.000000Z")
_LONG, _LONGER = 126, 127
#: More than a frame usually has.
_BUFFER: Final = 128 * 1024
#: One in so many hears a single entity's messages.
FILTERED_EVERY: Final = 10
#: What is said on standard output.
MOST_PAIRS: Final = 100_000
_PARTS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)

#: When a frame was heard, the times of its oldest and its newest message (seconds), and how many it had.
Heard = tuple[float, float, float, int]


class Subscriber(asyncio.BufferedProtocol):
    """One connection: subscribes, and notes of each frame of events when it was heard."""

    #: What was found in a frame, by its oldest time and its length: ninety hear the same ones, one looks into them.
    looked_at: ClassVar[dict[tuple[bytes, int], tuple[float, float, int]]] = {}

    def __init__(self, key: str, wanted: dict[str, Any]) -> None:
        self.heard: list[Heard] = []
        self.missed = 0
        self.subscribed = asyncio.Event()
        self._key = key
        self._wanted = wanted
        self._got = bytearray(_BUFFER)
        self._filled = 0
        self._open = False
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Ask for a WebSocket."""
        self._transport = transport
        nonce = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET {asyncapi.PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\nX-API-Key: {self._key}\r\n\r\n".encode()
        )

    def get_buffer(self, sizehint: int) -> memoryview:
        """Have what comes put behind what waits; a frame that is larger than there is room for gets more."""
        if self._filled == len(self._got):
            self._got = self._got + bytearray(len(self._got))
        return memoryview(self._got)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take whole frames off what has come, where it is."""
        self._filled += nbytes
        at = self._opened() if not self._open else 0
        while self._open and (frame := _frame(self._got, at, self._filled)) is not None:
            opcode, start, at = frame
            self._take(opcode, self._got, start, at)
        if at:
            left = self._filled - at
            self._got[:left] = self._got[at : self._filled]
            self._filled = left

    def _opened(self) -> int:
        """Return where the answer to our asking for a WebSocket ends, 0 where it has not come yet."""
        at = self._got.find(b"\r\n\r\n", 0, self._filled) + 4
        if at < 4:
            return 0
        if b" 101 " not in self._got[:at].split(b"\r\n", 1)[0]:
            raise ConnectionError(self._got[:at].decode(errors="replace"))
        self._open = True
        self._say({"type": "subscribe", "id": "bench", "filter": self._wanted})
        return at

    def _take(self, opcode: int, data: bytearray, start: int, end: int) -> None:
        if opcode == 0x9:
            self._send(0xA, bytes(data[start:end]))
        elif data.startswith(b'{"type":"events"', start):
            heard_s = time.time()
            oldest = data.index(_TIME, start) + len(_TIME)
            key = (bytes(data[oldest : oldest + _TIME_CHARS]), end - start)
            if (found := self.looked_at.get(key)) is None:
                newest = data.rindex(_TIME, start, end) + len(_TIME)
                times = [_seconds(data[at : at + _TIME_CHARS]) for at in (oldest, newest)]
                found = self.looked_at[key] = (times[0], times[1], data.count(b'"context_id":', start, end))
            self.heard.append((heard_s, *found))
        else:
            told = json.loads(data[start:end])
            if told["type"] == "subscribed":
                self.subscribed.set()
            elif told["type"] == "missed":
                self.missed += told["messages"]

    def _say(self, command: dict[str, Any]) -> None:
        self._send(0x1, json.dumps(command).encode())

    def _send(self, opcode: int, payload: bytes) -> None:
        # A mask of zeros is a mask, and leaves the payload as it is.
        self._transport.write(bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload)


def _frame(data: bytearray, at: int, filled: int) -> tuple[int, int, int] | None:
    """Return the opcode of the frame that begins there, where its payload begins, and where it ends; None: not all."""
    if filled - at < 2:
        return None
    length, start = data[at + 1] & 0x7F, at + 2
    if extra := {_LONG: 2, _LONGER: 8}.get(length, 0):
        if filled < start + extra:
            return None
        length, start = int.from_bytes(data[start : start + extra], "big"), start + extra
    end = start + length
    return (data[at] & 0x0F, start, end) if filled >= end else None


def _seconds(text: bytes | bytearray) -> float:
    return datetime.fromisoformat(text.decode()).timestamp()


async def hear(port: int, key: str, subscribers: int, entity: str, dead: int) -> list[Subscriber]:
    """Listen until told to stop (SIGTERM)."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    found = []
    for number in range(subscribers):
        wanted = {"entity": [entity]} if number % FILTERED_EVERY == FILTERED_EVERY - 1 else {}
        one = Subscriber(key, wanted)
        await loop.create_connection(lambda one=one: one, "127.0.0.1", port)  # type: ignore[misc]
        found.append(one)
    for one in found:
        await asyncio.wait_for(one.subscribed.wait(), 60)
    silent = [await _dead(port, key) for _ in range(dead)]
    print(json.dumps({"subscribed": len(found), "dead": len(silent)}), flush=True)
    await stop.wait()
    return found


def pairs_of(frames: list[Heard], most: int = MOST_PAIRS) -> list[tuple[float, float]]:
    """Return so many pairs at most: how long messages took (ms), and how many; of a frame's as if they came evenly.

    Where that are too many, whole frames are left out: of one that stays, old and new messages count alike.
    """
    frames = frames[:: max(1, -(-len(frames) * len(_PARTS) // most))]
    return [
        (round((at - oldest - (newest - oldest) * part) * 1000, 2), messages / len(_PARTS))
        for at, oldest, newest, messages in frames
        for part in _PARTS
    ]


async def _dead(port: int, key: str) -> Subscriber:
    one = Subscriber(key, {})
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: one, "127.0.0.1", port)
    await asyncio.wait_for(one.subscribed.wait(), 60)
    transport.pause_reading()
    return one


def main() -> int:
    """Listen, and print what was heard as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--key", required=True)
    parser.add_argument("--subscribers", type=int, default=100)
    parser.add_argument("--dead", type=int, default=3)
    parser.add_argument("--entity", default="*")
    parser.add_argument("--warm-up-s", type=float, default=0.0)
    options = parser.parse_args()
    gc.disable()  # what it would find is what was heard, a hundred thousand tuples: it stops us for 20 ms
    found = asyncio.run(hear(options.port, options.key, options.subscribers, options.entity, options.dead))
    begin = min((one.heard[0][0] for one in found if one.heard), default=0.0) + options.warm_up_s
    frames = [frame for one in found for frame in one.heard if frame[0] >= begin]
    told = {
        "frames": len(frames),
        "messages": [sum(frame[3] for frame in one.heard) for one in found],
        "missed": sum(one.missed for one in found),
        "pairs": pairs_of(frames),
    }
    print(json.dumps(told), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
