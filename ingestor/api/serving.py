"""Serves the application: the options of the server, and an end that does not wait for those who only listen."""

from __future__ import annotations

import socket
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from ingestor.api.v1.socket import MAX_FRAME_BYTES

#: How long answers that have begun may take once the end is asked for (s).
_LAST_ANSWERS_S: Final = 5


class Sockets(WebSocketsSansIOProtocol):
    """WebSockets that take nothing once their connection is lost.

    uvicorn goes on writing until the loop's next round. Where a connection has many subscriptions asyncio then warns of
    each of them (`socket.send() raised exception.`).
    """

    async def send(self, message: Any) -> None:
        """Send a message. Raises ClientDisconnected."""
        if self.handshake_complete and self.transport.is_closing():
            raise ClientDisconnected
        await super().send(message)


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
