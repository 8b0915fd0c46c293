"""What stays open long after it was let in, and the end of it: when the key is another one, or the session is over."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

import anyio.to_thread
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingestor import errors
from ingestor.live.hub import LiveHub
from ingestor.security.access import Principal
from ingestor.security.ended_sessions import EndedSessions
from ingestor.security.keys import Keyring

_LOOK_EVERY_S: Final = 1.0
_PURPOSE: Final = "open streams"
_POLICY_VIOLATION: Final = 1008
_NEW_KEY: Final = "the key was renewed"
_NO_SESSION: Final = "the session has ended"
_log: Final = structlog.get_logger(__name__)


class OpenStreams:
    """The WebSockets, and the streams of sessions, that are open now. For one event loop."""

    def __init__(self) -> None:
        self._open: dict[asyncio.Task[object], Principal] = {}
        self._ended: dict[asyncio.Task[object], str] = {}

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, who: Principal) -> None:
        """Serve one until it ends, or is ended here: a WebSocket with a close that says why, a stream as if it had."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- a server runs each in a task
        self._open[task] = who
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if (reason := self._ended.get(task)) is None:
                raise
            task.uncancel()
            with contextlib.suppress(RuntimeError):  # it had ended meanwhile
                await send(_last_message(scope["type"], reason))
        finally:
            self._open.pop(task, None)
            self._ended.pop(task, None)

    def sessions(self) -> set[tuple[str, int]]:
        """Return the mark and the end (Unix seconds) of each session that something is open for."""
        return {(who.mark, who.ends_s) for who in self._open.values() if who.mark}

    def end_all(self) -> None:
        """End all of them: the key is another one."""
        self._end(lambda _: True, _NEW_KEY)

    def end_sessions(self, marks: set[str]) -> None:
        """End what is open for these sessions."""
        self._end(lambda who: who.mark in marks, _NO_SESSION)

    def _end(self, those: Callable[[Principal], bool], reason: str) -> None:
        for task, who in list(self._open.items()):
            if task not in self._ended and those(who):
                self._ended[task] = reason
                task.cancel()


def _last_message(kind: str, reason: str) -> Message:
    if kind == "websocket":
        return {"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": reason}
    return {"type": "http.response.body", "body": b"", "more_body": False}


async def end_at_new_key(keys: Keyring, streams: OpenStreams, live: LiveHub | None) -> None:
    """Look at the key now and then, until cancelled; where it is another one, end what the old one has opened.

    Webhooks and MQTT out hear by the same hub: they go on behind their cursors.
    """
    known = _mark(keys)
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        now = _mark(keys)
        if now is None or now == known:
            continue
        if known is not None:
            _log.warning("key_renewed")
            streams.end_all()
            if live is not None:
                live.end_hearings()
        known = now


async def end_with_sessions(streams: OpenStreams, ended: EndedSessions, clock: Callable[[], float] = time.time) -> None:
    """Look now and then, until cancelled, which sessions were ended anywhere or have run out; end what they opened."""
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        if sessions := streams.sessions():
            streams.end_sessions(await anyio.to_thread.run_sync(_over, sessions, ended, clock()))


def _over(sessions: set[tuple[str, int]], ended: EndedSessions, now_s: float) -> set[str]:
    return {mark for mark, ends_s in sessions if now_s >= ends_s or ended.has(mark, ends_s)}


def _mark(keys: Keyring) -> bytes | None:
    """Return what tells one key from another; None where it cannot be read now."""
    try:
        return keys.derived(_PURPOSE)
    except (OSError, errors.IngestorError):
        return None
