"""A proxy before the event store that misbehaves when told to: delays, cuts, refusals; in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.chaos.loops import stop_loop
from tests.servers import HOST, free_port

_HEAD_LIMIT = 65_536


@dataclass(slots=True)
class Mood:
    """How requests to write are treated. `how`: pass, delay, cut_request, cut_answer, 500, 503, 429, refuse."""

    how: str = "pass"
    seconds: float = 0.0
    #: Of so many requests one is treated so; 1: each.
    one_in: int = 1


@dataclass(slots=True)
class _Request:
    head: bytes
    body: bytes = b""
    path: str = ""

    @property
    def is_write(self) -> bool:
        return "/write" in self.path


@dataclass(slots=True)
class Seen:
    """What came by."""

    requests: int = 0
    harmed: dict[str, int] = field(default_factory=dict)


class Proxy:
    """Listens on a port of its own and hands on to the store's; `mood` may be changed at any time."""

    def __init__(self, upstream_port: int) -> None:
        self.port = free_port()
        self.mood = Mood()
        self.seen = Seen()
        self._upstream = upstream_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="store-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(5)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        stop_loop(self._loop, self._thread)

    async def _serve(self) -> None:
        await asyncio.start_server(self._client, HOST, self.port, limit=_HEAD_LIMIT)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            while request := await _read(reader):
                self.seen.requests += 1
                if not await self._answer(request, writer):
                    break
        with contextlib.suppress(OSError):
            writer.close()

    async def _answer(self, request: _Request, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False where the connection is to end."""
        how = self._how(request)
        if how == "refuse":
            return False
        if how in _REFUSALS:
            await asyncio.sleep(0.02)  # a client that asks again at once is not to find out how fast it can
            writer.write(_REFUSALS[how] % int(self.mood.seconds))
            await writer.drain()
            return True
        if how == "delay":
            await asyncio.sleep(self.mood.seconds)
        answer = await self._ask(request, half=how == "cut_request")
        if not answer:
            return False
        if how == "cut_answer":
            writer.write(answer[: len(answer) // 2])
            await writer.drain()
            return False
        writer.write(answer)
        await writer.drain()
        return True

    def _how(self, request: _Request) -> str:
        mood = self.mood
        if not request.is_write or mood.how == "pass" or self.seen.requests % mood.one_in:
            return "pass"
        self.seen.harmed[mood.how] = self.seen.harmed.get(mood.how, 0) + 1
        return mood.how

    async def _ask(self, request: _Request, *, half: bool) -> bytes:
        """Hand a request on, or the half of it; return the answer, nothing where there is none."""
        try:
            reader, writer = await asyncio.open_connection(HOST, self._upstream)
        except OSError:
            return b""
        try:
            whole = request.head + request.body
            writer.write(whole[: len(request.head) + len(request.body) // 2] if half else whole)
            await writer.drain()
            return b"" if half else await _read_answer(reader)
        except (OSError, EOFError):
            return b""
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> _Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    request = _Request(head, path=head.split(b" ", 2)[1].decode())
    if size := _length(head):
        request.body = await reader.readexactly(size)
    return request


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    """Read one answer: with a length, in chunks, or with nothing."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b"chunked" not in head.lower():
        return head + await reader.readexactly(_length(head))
    parts = [head]
    while True:
        line = await reader.readline()
        chunk = await reader.readexactly(int(line, 16) + 2)
        parts += [line, chunk]
        if chunk == b"\r\n":
            return b"".join(parts)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _refusal(status: bytes, extra: bytes = b"") -> bytes:
    body = b'{"error":"chaos"}'
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b"
    return head % (status, len(body), extra, body)


_REFUSALS = {
    "500": _refusal(b"500 Internal Server Error", b"X-Chaos: %d\r\n"),
    "503": _refusal(b"503 Service Unavailable", b"Retry-After: %d\r\n"),
    "429": _refusal(b"429 Too Many Requests", b"Retry-After: %d\r\n"),
}
