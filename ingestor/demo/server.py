"""Serves the demo home as Home Assistant's WebSocket API (and some REST) on one port; decides nothing of the home."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

import orjson
import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from ingestor.demo import commands, rest
from ingestor.demo.client import Client
from ingestor.demo.home import DemoHome
from ingestor.demo.misbehaviour import RUBBISH, Misbehaviour
from ingestor.demo.wire import Event

#: The tokens of an admin and of a user who is none. They open nothing but a simulation.
DEMO_TOKEN: Final = "demo-home-token"  # noqa: S105 - opens a simulated home
USER_TOKEN: Final = "demo-home-user-token"  # noqa: S105 - opens a simulated home

_AUTH_WITHIN_S: Final = 10.0
#: How often the home is advanced; events carry their own time, so this shows only as delay.
_TICK_S: Final = 0.02
#: Home Assistant waits for a slow reader only above this many bytes.
_WRITE_LIMIT: Final = 2**20

_log: Final = structlog.get_logger(__name__)


def _quiet() -> logging.Logger:
    """Return a logger for `websockets` that does not report each client that came and went without a handshake."""
    logger = logging.getLogger("ingestor.demo.websockets")
    logger.setLevel(logging.CRITICAL)
    return logger


class DemoServer:
    """One home on one port. `start` and `stop` belong to a running event loop."""

    def __init__(
        self,
        home: DemoHome,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        token: str = DEMO_TOKEN,
        user_token: str = USER_TOKEN,
        misbehaviour: Misbehaviour | None = None,
        alive: bool = True,
    ) -> None:
        self.home = home
        self.clients: set[Client] = set()
        self.misbehaviour = misbehaviour or Misbehaviour()
        self.subscribed = asyncio.Event()
        self._host, self._port = host, port
        self._tokens = {token: "admin", user_token: "anna"}
        self._admin_token = token
        self._alive = alive
        self._server: Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stop_listening: Callable[[], None] = lambda: None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._server is None:
            return self._port
        return int(next(iter(self._server.sockets)).getsockname()[1])

    @property
    def url(self) -> str:
        """What to set as the address of Home Assistant."""
        return f"http://{self._host}:{self.port}"

    async def start(self) -> None:
        """Open the port, set the home's states and let it live."""
        self.home.begin()
        self._stop_listening = self.home.listen(self._forward)
        self._server = await serve(
            self._serve,
            self._host,
            self._port,
            process_request=self._answer_http,
            compression=None,
            max_size=None,
            ping_interval=55,
            ping_timeout=55,
            close_timeout=0.3,
            write_limit=_WRITE_LIMIT,
            server_header="",
            logger=_quiet(),
        )
        if self._alive:
            self.spawn(self._live())
        self.spawn(self._misbehave())

    async def stop(self) -> None:
        """Say that Home Assistant stops, close every connection and the port."""
        self.home.bus.fire("homeassistant_stop", {})
        self._stop_listening()
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await asyncio.gather(*(client.flush() for client in self.clients))
        if self._server is not None:
            self._server.close(code=1000)
            await self._server.wait_closed()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something until it ends or the server stops."""
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _live(self) -> None:
        while True:
            self.home.advance()
            await asyncio.sleep(_TICK_S)

    def _forward(self, event: Event) -> None:
        for client in self.clients:
            client.send_event(event)

    def send_bodies(self, event_type: str, bodies: list[bytes]) -> int:
        """Send prebuilt events to all who subscribed to them; return how many subscriptions that were."""
        return sum([client.send_bodies(event_type, bodies) for client in self.clients])

    def _answer_http(self, _connection: ServerConnection, request: Request) -> Response | None:
        """Answer REST; None lets the WebSocket handshake go on."""
        if request.path.partition("?")[0] == "/api/websocket":
            return None
        status, kind, body = rest.answer(self.home, request.path, request.headers, self._valid_tokens())
        headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"})
        return Response(status.value, HTTPStatus(status).phrase, headers, body)

    def _valid_tokens(self) -> dict[str, str]:
        return {} if self.misbehaviour.refuse_token else self._tokens

    async def _serve(self, connection: ServerConnection) -> None:
        client = await self._authenticate(connection)
        if client is None:
            await connection.close(1000)
            return
        self.clients.add(client)
        writer = asyncio.get_running_loop().create_task(client.write())
        try:
            await self._converse(client)
        except Exception:  # noqa: BLE001 - a fault of the demo's own is shown, and ends this one connection alone
            _log.exception("demo_client_failed")
        finally:
            self.clients.discard(client)
            client.close()
            writer.cancel()

    async def _authenticate(self, connection: ServerConnection) -> Client | None:
        version = self.home.ha_version
        with contextlib.suppress(ConnectionClosed, TimeoutError, ValueError):
            await connection.send(orjson.dumps({"type": "auth_required", "ha_version": version}), text=True)
            async with asyncio.timeout(_AUTH_WITHIN_S):
                message = orjson.loads(await connection.recv())
            name, refusal = self._who(message)
            if name is None:
                await connection.send(orjson.dumps({"type": "auth_invalid", "message": refusal}), text=True)
                return None
            await connection.send(orjson.dumps({"type": "auth_ok", "ha_version": version}), text=True)
            is_admin = name == "admin"
            return Client(connection, self.home.users[name], is_admin=is_admin, modern=self.home.modern)
        return None

    def _who(self, message: Any) -> tuple[str | None, str]:
        """Return who logs in; else what to tell them."""
        token = message.get("access_token") if isinstance(message, dict) else None
        if not isinstance(token, str) or message.get("type") != "auth":
            return None, "Auth message incorrectly formatted"
        return self._valid_tokens().get(token), "Invalid access token or password"

    async def _converse(self, client: Client) -> None:
        """Answer commands until the connection ends; what is no JSON ends it."""
        with contextlib.suppress(ConnectionClosed, ValueError):
            async for text in client.connection:
                await client.unstalled.wait()
                message = orjson.loads(text)
                for one in message if isinstance(message, list) else [message]:
                    commands.handle(self.home, client, one)
                if client.subscriptions:
                    self.subscribed.set()

    async def _misbehave(self) -> None:
        """Do from time to time what the options ask for."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        done = {"cut": 0, "stall": 0, "rubbish": 0}
        while True:
            await asyncio.sleep(_TICK_S)
            wrong, passed = self.misbehaviour, loop.time() - begun
            periods = {"cut": wrong.cut_every_s, "stall": wrong.stall_every_s, "rubbish": wrong.rubbish_every_s}
            for name, period in periods.items():
                if period and passed // period > done[name]:
                    done[name] = int(passed // period)
                    self._do_wrong(name, done[name])

    def _do_wrong(self, name: str, number: int) -> None:
        _log.info("demo_misbehaves", how=name)
        if name == "cut":
            self.cut()
        elif name == "stall":
            self.spawn(self.stall(self.misbehaviour.stall_for_s))
        else:
            kinds = list(RUBBISH)
            self.spawn(self.send_rubbish(kinds[number % len(kinds)]))

    def cut(self) -> int:
        """Break all connections without a close frame; return how many there were."""
        cut = list(self.clients)
        for client in cut:
            client.cut()
        return len(cut)

    async def close_all(self) -> None:
        """Close all connections with code 1000, as Home Assistant does to one that it finds too slow."""
        for client in list(self.clients):
            client.close()
            await client.connection.close(1000)

    async def stall(self, seconds: float) -> None:
        """Be silent on all connections: nothing is sent, nothing answered, not even protocol pings."""
        stalled = list(self.clients)
        for client in stalled:
            client.unstalled.clear()
            client.connection.transport.pause_reading()
        await asyncio.sleep(seconds)
        for client in stalled:
            client.unstalled.set()
            if client in self.clients:
                client.connection.transport.resume_reading()

    async def send_rubbish(self, kind: str) -> None:
        """Send a frame that is no message."""
        for client in list(self.clients):
            await client.send_raw(RUBBISH[kind])
