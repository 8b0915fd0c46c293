"""The chaos home as a program: Home Assistant's WebSocket API and an MQTT publisher, told what to do on stdin.

Standard input takes a JSON object a line: {"do": "go" | "cut" | "close" | "stall", "s": seconds | "rename" | "move" |
"end"}. Standard output says where it is and, after the end, what was sent. It is never faked, killed or stalled itself.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from ingestor.demo.home import DemoHome
from ingestor.demo.server import DemoServer
from tests.chaos.book import Book
from tests.chaos.mix import Mix
from tests.chaos.publisher import Publisher

_TICK_S = 0.01
#: Said at once at most: what the machine could not keep up with comes later, not never.
_MOST_AT_ONCE = 400
_CONFIRM_WITHIN_S = 120
#: How soon after a silence the server has read that its client is gone.
_NOTICED_AFTER_S = 1.0


class Source:
    """The home, its server, its publisher and its book."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._rate: float = options.rate
        self._book = Book(Path(options.book))
        self._home = DemoHome(options.seed, options.entities, sensors_only=True)
        self._server = DemoServer(self._home, token=options.token, alive=False)
        self._publisher = Publisher(options.mqtt_url, lambda number: self._book.line("unsure", number=number))
        self._mix = Mix(
            self._home,
            options.seed,
            self._book,
            publish=self._publisher.put,
            send_raw=self._send_raw,
            heard=self._is_heard,
        )
        self._said = 0
        self._begun: float | None = None
        self._was_heard = False
        self._end = asyncio.Event()

    async def run(self) -> None:
        """Serve until told to end; then wait until the broker has confirmed all, and say what was sent."""
        await self._server.start()
        tasks = [asyncio.ensure_future(work) for work in (self._publisher.run(), self._obey(), self._talk())]
        _say({"url": self._server.url})
        await self._end.wait()
        deadline = time.monotonic() + _CONFIRM_WITHIN_S
        while self._publisher.waiting and time.monotonic() < deadline:  # noqa: ASYNC110 -- nothing to hurry for
            await asyncio.sleep(0.1)
        self._note_hearing()
        self._book.flush()
        _say({"sent": self._book.sent, "unconfirmed": self._publisher.waiting})
        await asyncio.gather(*tasks, return_exceptions=False)

    async def _talk(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._note_hearing()
            self._book.flush()
            if self._begun is None or self._end.is_set():
                continue
            due = min(_MOST_AT_ONCE, int((time.monotonic() - self._begun) * self._rate) - self._said)
            if due > 0:
                self._said += due
                self._mix.say(due)

    async def _obey(self) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            await self._do(orjson.loads(line))
        raise EOFError("the harness is gone")

    async def _do(self, order: dict[str, Any]) -> None:
        match order["do"]:
            case "go":
                self._begun = time.monotonic()
            case "cut":
                self._server.cut()
            case "close":
                await self._server.close_all()
            case "stall":
                self._server.spawn(self._stall(order["s"]))
            case "rename":
                self._mix.rename()
            case "move":
                self._mix.move()
            case "end":
                self._end.set()

    async def _stall(self, seconds: float) -> None:
        """Fall silent. Who takes that for the end of the connection never hears what was queued for it meanwhile."""
        began_us = time.time_ns() // 1000
        clients = [client for client in self._server.clients if client.subscriptions]
        await self._server.stall(seconds)
        await asyncio.sleep(_NOTICED_AFTER_S)
        if not all(client.is_open for client in clients):
            self._book.line("deaf", t=began_us, until=time.time_ns() // 1000)

    def _is_heard(self) -> bool:
        return any(client.subscriptions and client.is_open for client in self._server.clients)

    def _note_hearing(self) -> None:
        if (heard := self._is_heard()) != self._was_heard:
            self._was_heard = heard
            self._book.line("up" if heard else "down", t=time.time_ns() // 1000)

    def _send_raw(self, frame: bytes) -> None:
        for client in self._server.clients:
            if client.subscriptions:
                client.queue_raw(frame)


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(message).decode() + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--token", required=True)
    parser.add_argument("--mqtt-url", required=True)
    parser.add_argument("--book", required=True)
    parser.add_argument("--rate", type=float, default=2000.0)
    parser.add_argument("--entities", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(Source(parser.parse_args()).run())


if __name__ == "__main__":
    main()
