"""A replayed InfluxDB: answers writes with the documented bodies of 2.x and 3.x, and keeps what those versions keep.

It is no database: which lines are bad is told by the test, and what it stored are the lines as they came.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

IsBad = Callable[[str], bool]


@dataclass
class Request:
    """A write as it arrived."""

    path: str
    params: dict[str, str]
    headers: Message
    lines: list[str]


@dataclass
class Reply:
    """An answer, and the lines that the version would have stored."""

    status: int
    body: dict[str, Any] | str = ""
    headers: dict[str, str] = field(default_factory=dict)
    stored: list[str] = field(default_factory=list)
    #: How many bytes of the body leave before the line is cut; None for all of it.
    cut_after: int | None = None


Behaviour = Callable[[Request], Reply]


def all_good(request: Request) -> Reply:
    """Answer 204: stored."""
    return Reply(204, stored=request.lines)


def fixed(status: int, body: dict[str, Any] | str = "", **headers: str) -> Behaviour:
    """Answer always the same; nothing is stored."""
    return lambda _: Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def malformed_2(is_bad: IsBad) -> Behaviour:
    """2.x and a line that cannot be parsed: 400 names the first one, and the whole request is refused."""

    def answer(request: Request) -> Reply:
        for number, line in enumerate(request.lines, 1):
            if is_bad(line):
                message = f"unable to parse '{line}': invalid number"
                return Reply(400, {"code": "invalid", "line": number, "message": message})
        return all_good(request)

    return answer


def conflict_2(is_bad: IsBad) -> Behaviour:
    """2.x and a field of another type: 422, the other lines are stored, none is named."""

    def answer(request: Request) -> Reply:
        good = [line for line in request.lines if not is_bad(line)]
        dropped = len(request.lines) - len(good)
        if not dropped:
            return all_good(request)
        message = (
            'failure writing points to database: partial write: field type conflict: input field "value" on'
            f' measurement "home_assistant_events" is type string, already exists as type float dropped={dropped}'
        )
        return Reply(422, {"code": "unprocessable entity", "message": message}, stored=good)

    return answer


def partial_3(is_bad: IsBad) -> Behaviour:
    """3.x: 400, the other lines are stored, up to 100 bad ones are named."""

    def answer(request: Request) -> Reply:
        good = [line for line in request.lines if not is_bad(line)]
        if len(good) == len(request.lines):
            return all_good(request)
        data = [
            {
                "original_line": line[:30],
                "line_number": number,
                "error_message": "invalid column type for column 'value', expected iox::column_type::field::float, "
                "got iox::column_type::field::string",
            }
            for number, line in enumerate(request.lines, 1)
            if is_bad(line)
        ]
        return Reply(400, {"error": "partial write of line protocol occurred", "data": data[:100]}, stored=good)

    return answer


def too_large_beyond(max_lines: int) -> Behaviour:
    """Any version and too much at once: 413, nothing is stored."""

    def answer(request: Request) -> Reply:
        if len(request.lines) > max_lines:
            return Reply(
                413, {"code": "request too large", "message": "unable to read data: points batch is too large"}
            )
        return all_good(request)

    return answer


class FakeInflux:
    """The server: `behaviour` may be changed at any time; `requests` and `stored` say what came."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = all_good
        self.requests: list[Request] = []
        self.stored: list[str] = []
        #: What a query is answered with, by its statement; `queries` says which came.
        self.answer: Callable[[str], dict[str, Any]] = lambda _: {"results": [{"statement_id": 0}]}
        self.queries: list[str] = []
        self.released = threading.Event()
        self.port = 0

    def stall(self, _: Request) -> Reply:
        """Say nothing until the test ends."""
        self.released.wait(30)
        return Reply(204)

    def select(self, statement: str) -> Reply:
        """Answer a query."""
        self.queries.append(statement)
        return Reply(200, self.answer(statement))

    def take(self, request: Request) -> Reply:
        """Answer one write."""
        self.requests.append(request)
        reply = self.behaviour(request)
        self.stored += reply.stored
        return reply


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # one packet an answer: else each waits 40 ms for the acknowledgement of its head
    fake: FakeInflux

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/query":
            self._send(self.fake.select(parse_qs(parts.query)["q"][0]))
            return
        self._send(Reply(204, headers={"X-Influxdb-Version": "2.7.12"}))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        parts = urlsplit(self.path)
        if parts.path == "/query":
            self._send(self.fake.select(parse_qs(body.decode())["q"][0]))
            return
        params = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self._send(self.fake.take(Request(parts.path, params, self.headers, body.decode().splitlines())))

    def _send(self, reply: Reply) -> None:
        body = (reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: reply.cut_after])
        if reply.cut_after is not None:
            self.close_connection = True


@contextmanager
def serve() -> Iterator[FakeInflux]:
    """Run a fake on a free loopback port."""
    fake = FakeInflux()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": fake}))
    server.daemon_threads = True
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
