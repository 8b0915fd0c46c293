"""Serves the application: the options of the server, and an end that does not wait for those who only listen."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from ingestor.api.v1.socket import MAX_FRAME_BYTES, WRITE_NOW

#: How long answers that have begun may take once the end is asked for (s).
_LAST_ANSWERS_S: Final = 5
#: FIN and the opcode of text; the longest messages whose length stands in one byte, and in two.
_WHOLE_TEXT, _SHORT, _MIDDLE = 0x81, 125, 0xFFFF


class Sockets(WebSocketsSansIOProtocol):
    """WebSockets that take nothing once their connection is lost, and text at once where they can (`WRITE_NOW`).

    uvicorn goes on writing until the loop's next round. Where a connection has many subscriptions asyncio then warns of
    each of them (`socket.send() raised exception.`).
    """

    async def run_asgi(self) -> None:
        """Run the application, and let it write at once."""
        self.scope["extensions"][WRITE_NOW] = {"write": self.write_now}
        await super().run_asgi()

    def write_now(self, parts: Sequence[bytes]) -> bool:
        """Write a message of text that is these parts in a row, without a task, a lock and copies of it.

        Returns False, and has written nothing, where the client has not taken what was sent before, or is gone.
        """
        can_take = self.handshake_complete and self.writable.is_set() and not self.close_sent and not self.disconnected
        if not can_take or self.transport.is_closing():
            return False
        self.transport.write(b"".join((_frame_head(sum(map(len, parts))), *parts)))
        return True

    async def send(self, message: Any) -> None:
        """Send a message. Raises ClientDisconnected."""
        if self.handshake_complete and self.transport.is_closing():
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True  # else uvicorn logs an error of ours for each that is refused

    def keepalive_timeout(self) -> None:
        """Let a client go that answers no ping: a close alone waits for it to take what was sent, for ever."""
        super().keepalive_timeout()
        self.loop.call_later(self.close_timeout, self.transport.abort)


def _frame_head(size: int) -> bytes:
    """Return what stands before a whole message of text (RFC 6455, 5.2): servers mask nothing."""
    if size <= _SHORT:
        return bytes((_WHOLE_TEXT, size))
    if size <= _MIDDLE:
        return bytes((_WHOLE_TEXT, 126)) + size.to_bytes(2, "big")
    return bytes((_WHOLE_TEXT, 127)) + size.to_bytes(8, "big")


class ApiServer(uvicorn.Server):
    """A server whose streams end when it does: they have no end of their own that it could wait for."""

    def __init__(self, app: FastAPI, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._app = app
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=_LAST_ANSWERS_S,
                ws=Sockets,
                # Who sends more at once is not one of us; and packing each frame for each of many costs more than it
                # saves.
                ws_max_size=MAX_FRAME_BYTES,
                ws_per_message_deflate=False,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell those who listen that this is the end, then wait for the answers that have begun."""
        if (live := self._app.state.live) is not None:
            live.end()
        await super().shutdown(sockets)
