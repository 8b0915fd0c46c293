"""What stays open long after it was let in, and the end of it when the key is another one."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from ingestor import errors
from ingestor.live.hub import LiveHub
from ingestor.security.keys import Keyring

_LOOK_EVERY_S: Final = 1.0
_PURPOSE: Final = "open streams"
_POLICY_VIOLATION: Final = 1008
_log: Final = structlog.get_logger(__name__)


class OpenSockets:
    """The WebSockets that are open now. For one event loop."""

    def __init__(self) -> None:
        self._open: set[asyncio.Task[object]] = set()
        self._ended: set[asyncio.Task[object]] = set()

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one until it ends, or is ended here."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- a server runs each in a task
        self._open.add(task)
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if task not in self._ended:
                raise
            task.uncancel()
            with contextlib.suppress(RuntimeError):  # it had ended meanwhile
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": "the key was renewed"})
        finally:
            self._open.discard(task)
            self._ended.discard(task)

    def end(self) -> None:
        """End all that are open."""
        for task in self._open - self._ended:
            self._ended.add(task)
            task.cancel()


async def end_at_new_key(keys: Keyring, sockets: OpenSockets, live: LiveHub | None) -> None:
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
            sockets.end()
            if live is not None:
                live.end_hearings()
        known = now


def _mark(keys: Keyring) -> bytes | None:
    """Return what tells one key from another; None where it cannot be read now."""
    try:
        return keys.derived(_PURPOSE)
    except (OSError, errors.IngestorError):
        return None
