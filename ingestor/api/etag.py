"""ETags: a whole answer gets one, and who has that answer already is told so (304); a stream passes as it is."""

from __future__ import annotations

import hashlib
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OK: Final = 200
_NOT_MODIFIED: Final = 304
_DIGEST_BYTES: Final = 16


class ETags:
    """ASGI middleware for GET and HEAD. It holds back no more than the one message that a whole answer is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; look at what is answered to a reader."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Tagging(send, known_tags(Headers(scope=scope))))


class _Tagging:
    def __init__(self, send: Send, known: str) -> None:
        self._send = send
        self._known = known
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == _OK:
            self._start = message
            return
        if self._start is None:
            await self._send(message)
            return
        start, self._start = self._start, None
        headers = MutableHeaders(scope=start)
        if not message.get("more_body") and "etag" not in headers:
            tag = tag_of(message.get("body", b""))
            headers["ETag"] = tag
            if names_tag(self._known, tag):
                start["status"] = _NOT_MODIFIED
                for name in ("content-length", "content-type"):
                    del headers[name]
                message = {"type": "http.response.body", "body": b""}
        await self._send(start)
        await self._send(message)


def tag_of(body: bytes) -> str:
    """Return the ETag of an answer."""
    return f'"{hashlib.blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()}"'


def known_tags(headers: Headers) -> str:
    """Return what `If-None-Match` names, be it sent in one line or in several."""
    return ",".join(headers.getlist("if-none-match"))


def may_write(if_match: str, tag: str) -> bool:
    """Tell whether `If-Match` names this tag: one of a list, or `*`. A weak one is no tag to write by (RFC 9110)."""
    named = [one.strip() for one in if_match.split(",")]
    return "*" in named or tag in named


def names_tag(if_none_match: str, tag: str) -> bool:
    """Tell whether `If-None-Match` names this tag; weak comparison, as RFC 9110 has it for readers."""
    named = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return "*" in named or tag in named
