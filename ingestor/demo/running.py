"""Runs a demo server in a thread of its own, for tests; hands every call to the server's thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from ingestor.demo.home import NEWEST, DemoHome
from ingestor.demo.load import LoadSource
from ingestor.demo.misbehaviour import Misbehaviour
from ingestor.demo.server import DEMO_TOKEN, USER_TOKEN, DemoServer
from ingestor.demo.wire import Event

_WITHIN_S: Final = 10.0

Result = TypeVar("Result")


class Control:
    """What a test does to a running demo home; safe from any thread."""

    def __init__(self, server: DemoServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop

    def call(self, function: Callable[[DemoHome], Result]) -> Result:
        """Run a function with the home in the server's thread; return what it returns."""

        async def run() -> Result:
            return function(self._server.home)

        return self._wait(run())

    def set_state(self, entity_id: str, state: str, attributes: dict[str, Any] | None = None) -> Event | None:
        """Write a state; attributes that are not given stay. None: it was that already."""
        return self.call(lambda home: home.set_state(entity_id, state, attributes))

    def remove(self, entity_id: str) -> None:
        """Remove a state."""
        self.call(lambda home: home.bus.remove(entity_id))

    def fire(self, event_type: str, data: dict[str, Any] | None = None) -> Event:
        """Fire an event."""
        return self.call(lambda home: home.bus.fire(event_type, data or {}))

    def rename(self, entity_id: str, new_entity_id: str) -> None:
        """Give an entity another id."""
        self.call(lambda home: home.registry.update_entity(entity_id, {}, new_entity_id))

    def move(self, entity_id: str, area_id: str | None) -> None:
        """Put an entity into another area; None: into its device's."""
        self.call(lambda home: home.registry.update_entity(entity_id, {"area_id": area_id}))

    def set_available(self, device_id: str, *, available: bool) -> None:
        """Make a device unreachable, or bring it back."""
        self.call(lambda home: home.set_available(device_id, available=available))

    def call_service(self, service: str, **data: Any) -> None:
        """Call a service such as `light.turn_on`, as the admin."""
        self.call(lambda home: home.call_service(service, data, None, home.users["admin"]))

    def clients(self) -> int:
        """Return how many clients are connected."""
        return self.call(lambda _home: len(self._server.clients))

    def subscriptions(self) -> int:
        """Return how many subscriptions all clients have together."""
        return self.call(lambda _home: sum(len(client.subscriptions) for client in self._server.clients))

    def pending(self) -> int:
        """Return how many messages wait to be sent to all clients."""
        return self.call(lambda _home: sum(client.pending for client in self._server.clients))

    def send_load(self, source: LoadSource, count: int) -> None:
        """Send so many prebuilt events to all who subscribed to state changes."""
        self.call(lambda home: self._server.send_bodies("state_changed", source.bodies(count, home.clock.now_us())))

    def cut(self) -> int:
        """Break all connections without a close frame; return how many there were."""
        return self.call(lambda _home: self._server.cut())

    def close_all(self) -> None:
        """Close all connections with code 1000, as Home Assistant does to one that reads too slowly."""
        self._wait(self._server.close_all())

    def stall(self, seconds: float) -> None:
        """Be silent for so long; returns at once."""
        self.call(lambda _home: self._server.spawn(self._server.stall(seconds)))

    def refuse_token(self, refuse: bool = True) -> None:
        """Refuse every token from now on, or accept them again."""
        self.call(lambda _home: setattr(self._server.misbehaviour, "refuse_token", refuse))

    def send_rubbish(self, kind: str) -> None:
        """Send a frame of `misbehaviour.RUBBISH` to all clients."""
        self._wait(self._server.send_rubbish(kind))

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_WITHIN_S)


class RunningDemo:
    """A demo server that runs: where, with which tokens, and how to control it."""

    def __init__(self, server: DemoServer, loop: asyncio.AbstractEventLoop, token: str) -> None:
        self.home = server.home
        self.url = server.url
        self.port = server.port
        self.token = token
        self.user_token = USER_TOKEN
        self.control = Control(server, loop)

    @property
    def websocket_url(self) -> str:
        """The address of the WebSocket API."""
        return f"ws{self.url.removeprefix('http')}/api/websocket"


@contextmanager
def running_demo(
    home: DemoHome | None = None,
    *,
    seed: int = 1,
    entities: int = 60,
    ha_version: str = NEWEST,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str = DEMO_TOKEN,
    alive: bool = False,
    misbehaviour: Misbehaviour | None = None,
) -> Iterator[RunningDemo]:
    """Run a demo home in a thread until the block ends. Unless `alive`, nothing happens but what the test does."""
    home = home or DemoHome(seed, entities, ha_version=ha_version)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="demo-home", daemon=True)
    thread.start()

    async def make() -> DemoServer:
        server = DemoServer(home, host, port, token=token, alive=alive, misbehaviour=misbehaviour)
        await server.start()
        return server

    try:
        server = asyncio.run_coroutine_threadsafe(make(), loop).result(_WITHIN_S)
        try:
            yield RunningDemo(server, loop, token)
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(_WITHIN_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_WITHIN_S)
        loop.close()
