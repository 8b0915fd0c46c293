"""MQTT out's publisher with a broker of our own: what it gives, gives again, passes over, and how far it has come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count

import pytest

from ingestor.events.event import Event, EventBatch, Place
from ingestor.live.channel_memory import MemoryChannel
from ingestor.live.entry import encode_entry, entry_of
from ingestor.live.hub import LiveHub
from ingestor.mqtt_out.publisher import Publisher
from ingestor.mqtt_out.refused import Refusals
from ingestor.settings_mqtt_out import MqttOutSettings


class Stage:
    """A channel, a hub on it, a publisher, and a broker that ends the connection over some topics."""

    def __init__(self, *, ends_over: Sequence[str] = (), confirms: bool = True) -> None:
        self.channel = MemoryChannel(max_entries=1000, max_bytes=10**7)
        self.hub = LiveHub(self.channel, ("villa",))
        self.kept = ""
        self.refusals = Refusals()
        self.given: list[str] = []
        self.taken: list[str] = []
        self.connections = 0
        self._ends_over = ends_over
        self._confirms = confirms
        self._ids = count(1)
        settings = MqttOutSettings(topic="t/{entity_id}", late=True)
        self.publisher = Publisher(settings, self.hub, self, self._give, most=1000, refusals=self.refusals)

    async def find(self) -> str:
        return self.kept

    async def keep(self, cursor: str) -> None:
        self.kept = cursor

    def write(self, *entities: str) -> None:
        places = [Place(name, name.partition(".")[0]) for name in entities]
        events = [
            Event(slot, "state", "state_changed", name, name, slot + 1, 1, "websocket", 7, state="on", place=slot)
            for slot, name in enumerate(entities)
        ]
        batch = EventBatch("B", "villa", "websocket", "j", 0, len(events), events, places=places)
        entry = entry_of(batch, [(event, event.time_us * 1000, False) for event in events])
        assert entry is not None
        self.channel.publish("villa", encode_entry(entry))

    def _give(self, topic: str, payload: bytes) -> int:
        message_id = next(self._ids)
        self.given.append(topic.removeprefix("t/"))
        asyncio.get_running_loop().call_soon(self._answer, message_id, self.given[-1], self.connections)
        return message_id

    def _answer(self, message_id: int, entity: str, connection: int) -> None:
        if connection != self.connections:
            return  # it was lost with its connection
        if entity in self._ends_over:
            self.connections += 1
            self.publisher.note_down(message_id)
            self.publisher.note_up()
        elif self._confirms:
            self.taken.append(entity)
            self.publisher.note_confirmed(message_id, "")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.publisher.run())
        self.publisher.note_up()
        await until(lambda: bool(self.kept))
        yield task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self.hub.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- it may be any condition
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("bad", [("light.c",), ("light.a",), ("light.b", "light.c"), ("light.a", "light.e")])
def test_what_ends_the_connection_is_passed_over_and_nothing_else(bad: tuple[str, ...]) -> None:
    stage = Stage(ends_over=bad)

    async def tried() -> None:
        async with stage.running():
            stage.write("light.a", "light.b", "light.c", "light.d")
            stage.write("light.e", "light.f")
            await until(lambda: "light.f" in stage.taken)

    asyncio.run(tried())

    assert list(dict.fromkeys(stage.taken)) == [f"light.{one}" for one in "abcdef" if f"light.{one}" not in bad]
    assert stage.refusals.told()["refused"] == len(bad)
    assert bad[-1] in stage.refusals.told()["last_refused"]
    assert 3 * len(bad) <= stage.connections <= 4 * len(bad)


def test_what_is_on_its_way_when_the_hub_ends_is_not_published_again() -> None:
    stage = Stage(confirms=False)

    async def tried() -> None:
        async with stage.running() as task:
            before = stage.kept
            stage.write("light.a")
            await until(lambda: bool(stage.given))
            stage.hub.end()
            stage.publisher.note_confirmed(1, "")
            async with asyncio.timeout(60):
                await task
            assert stage.kept not in ("", before)

    asyncio.run(tried())

    assert stage.given == ["light.a"]
