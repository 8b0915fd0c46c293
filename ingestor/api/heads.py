"""HEAD wherever GET is: answered as GET is, without the body; a stream, which has no end, has none."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NOT_ALLOWED: Final = 405
#: Parts are for GET alone (RFC 9110, 14.2).
_OF_PARTS: Final = (b"range", b"if-range")


class _Enough(OSError):
    """The head is sent: whoever still writes a body is to stop, as if the reader had gone."""


class Heads:
    """ASGI middleware. What is asked of the stores is what GET asks; a file that is streamed is not read on.

    `but`: paths that are passed on as they are, and answer 405.
    """

    def __init__(self, app: ASGIApp, *, but: Collection[str] = ()) -> None:
        self._app = app
        self._but = frozenset(but)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; of an answer to HEAD pass on the head alone."""
        if scope["type"] != "http" or scope["method"] == "GET" or scope["path"] in self._but:
            await self._app(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._head(scope, receive, send)
        else:
            await self._app(scope, receive, _Allowing(send))

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        answered = False

        async def send_head(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                await send(message)
            elif message["type"] == "http.response.body":
                if not answered:
                    answered = True
                    await send({"type": "http.response.body", "body": b""})
                if message.get("more_body"):
                    raise _Enough

        try:
            # A copy: to the server it stays a HEAD.
            headers = [(name, value) for name, value in scope["headers"] if name.lower() not in _OF_PARTS]
            await self._app({**scope, "method": "GET", "headers": headers}, receive, send_head)
        except (_Enough, ClientDisconnect):
            if not answered:
                raise


class _Allowing:
    """Names HEAD where an answer says that GET is allowed (405)."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == _NOT_ALLOWED:
            headers = MutableHeaders(scope=message)
            allowed = [one.strip() for one in headers.get("allow", "").split(",")]
            if "GET" in allowed:
                headers["Allow"] = ", ".join(sorted({*allowed, "HEAD"}))
        await self._send(message)
