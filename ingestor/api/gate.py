"""The door of the API, before anything is read: request id, key, where a write comes from, how long a body may be."""

from __future__ import annotations

import ipaddress
import re
import socket
import uuid
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingestor import errors
from ingestor.api.callers import STREAM_PATHS, Callers, take_ticket_out
from ingestor.api.open_streams import OpenStreams
from ingestor.api.problems import answer_to
from ingestor.api.refusals import refuse_socket
from ingestor.security.access import ANONYMOUS, Action, Principal, authorize

#: Longest body (bytes) that is read: settings are the largest thing that anybody sends.
MAX_BODY_BYTES: Final = 256 * 1024
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
#: A length with more digits is too large, whatever it is: Python makes no number of thousands of them.
_MAX_DIGITS: Final = 18
_TOO_LARGE: Final = 413
_FAILURES: Final = 400


class Gate:
    """Lets in who is known; of others only what is open. Every answer gets its request id and may not be sniffed.

    `open_paths` may be read by anybody; at `sign_in` anybody may write.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        callers: Callers,
        open_paths: Collection[str],
        writes: WriteGuard,
        streams: OpenStreams,
        sign_in: str | None = None,
    ) -> None:
        self._app = app
        self._callers = callers
        self._open_paths = frozenset(open_paths)
        self._sign_in = sign_in
        self._writes = writes
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an ASGI request, or pass it on with `principal` and `request_id` in its state."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        ticket = take_ticket_out(scope)
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        state["principal"] = ANONYMOUS
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            if scope["type"] == "websocket":
                await self._websocket(scope, receive, send, ticket)
            else:
                await self._http(scope, receive, _Marked(send, request_id), headers, ticket)

    async def _http(self, scope: Scope, receive: Receive, send: _Marked, headers: Headers, ticket: str | None) -> None:
        try:
            who = scope["state"]["principal"] = await self._callers.of(headers, scope["path"], ticket)
            safe = scope["method"] in _SAFE
            if scope["path"] not in self._open_paths and (safe or scope["path"] != self._sign_in):
                authorize(who, Action.READ_DATA)
            if not safe:
                self._writes.check(headers, who)
            limited = _Limited(receive, headers)
            if who.mark and scope["path"] in STREAM_PATHS:
                await self._streams.serve(self._app, scope, limited, send, who)
            else:
                await self._app(scope, limited, send)
        except Exception as error:  # whatever it was, whoever asked gets an answer of one shape
            if send.started:
                raise
            await answer_to(scope, error)(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, ticket: str | None) -> None:
        headers = Headers(scope=scope)
        try:
            callers = self._callers
            who = scope["state"]["principal"] = await callers.of(headers, scope["path"], ticket, socket=True)
            authorize(who, Action.READ_DATA)
            self._writes.check(headers, who)
        except Exception as error:  # noqa: BLE001 -- as of HTTP: whoever asked gets an answer of one shape
            await refuse_socket(scope, receive, send, error)
            return
        await self._streams.serve(self._app, scope, receive, send, who)


class WriteGuard:
    """Says whether a write may come from where it comes: no page from elsewhere may write with a key that it has.

    A name that an attacker's server answers for is refused (DNS rebinding): what we are called by is known.
    """

    def __init__(self, *, host: str, hosts: Collection[str] = (), origins: Collection[str] = ()) -> None:
        named = (host, "localhost", socket.gethostname(), *hosts)
        self._hosts = frozenset(name.lower() for name in named)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def check(self, headers: Headers, who: Principal = ANONYMOUS) -> None:
        """Raise NotAllowed where `Host` is no name of ours, or `Origin` is another page's.

        A browser says always where a write comes from: a session that does not is none of a page of ours.
        """
        host = headers.get("host", "")
        name = _hostname(host)
        if not (name in self._hosts or _is_address(name)):
            raise errors.NotAllowed(f"{host!r:.100} is no name of this API; api.hosts takes more names")
        origin = headers.get("origin")
        if origin is None:
            if who.kind == "session":
                raise errors.NotAllowed("a session may write only with the header Origin, as browsers send it")
            return
        if origin.lower() in self._origins:
            return
        if _place_of(origin) != host.lower():
            raise errors.NotAllowed(f"a page of {origin!r:.100} may not write here; api.origins takes more of them")


class _Limited:
    """Receives a request's body up to a limit."""

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive = receive
        self._taken = 0
        told = headers.get("content-length", "0")
        if told.isdecimal() and (len(told) > _MAX_DIGITS or int(told) > MAX_BODY_BYTES):
            raise _too_large()

    async def __call__(self) -> Message:
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        if self._taken > MAX_BODY_BYTES:
            raise _too_large()
        return message


def _too_large() -> HTTPException:
    # Of this kind, since FastAPI makes a 400 of every other that is raised while it reads.
    return HTTPException(_TOO_LARGE, f"a body may have {MAX_BODY_BYTES:,} bytes")


class _Marked:
    """Sends an answer with its request id; knows whether it has begun."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._request_id
            headers["X-Content-Type-Options"] = "nosniff"
            headers.setdefault("Cache-Control", "no-store" if message["status"] >= _FAILURES else "private, no-cache")
        await self._send(message)


def principal_of(scope: Any) -> Principal:
    """Return who asks, as the door has found; anonymous where nothing went through it."""
    found = scope.get("state", {}).get("principal", ANONYMOUS)
    return found if isinstance(found, Principal) else ANONYMOUS


def _request_id(headers: Headers) -> str:
    """Return the asker's own id where it is one that a log can hold, else a new one."""
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _place_of(origin: str) -> str | None:
    """Return the host and port of an origin; None of what is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
