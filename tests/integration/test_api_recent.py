"""The newest changes of state from memory: the same answers as from the store, or from it, where memory will not do."""

from __future__ import annotations

import asyncio
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from fastapi import FastAPI

from ingestor import bootstrap, errors
from ingestor.api import recent
from ingestor.api.recent import RecentStates
from ingestor.events.event import Event, EventBatch, Moment, Place
from ingestor.queue import message
from ingestor.queue.app import make_app
from ingestor.reading.recent import recent_events
from ingestor.settings import Settings
from tasks import resources as resources_module
from tasks.write import write_batch
from tests.integration.api_bench import KEY, T0_US, api_app, served
from tests.servers import wait_until
from tests.servers_brokers import ValkeyServer

MINUTE_US = 60_000_000


class Recent:
    """The pipeline's last step, an API that keeps 50 events, and one that keeps none: on the same store."""

    def __init__(self, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = f"recent-{uuid.uuid4().hex[:8]}"
        given: dict[str, Any] = {"home": self.home, "broker": {"url": url}, "state": {"url": url}}
        self.kept = api_app(folder, {**given, "api": {"key": KEY, "recent_events": 50}})
        self.asked = api_app(folder, {**given, "api": {"key": KEY, "recent_events": 0}})
        self.settings: Settings = self.kept.state.means.settings
        monkeypatch.setattr(bootstrap, "settings", lambda: self.settings)
        monkeypatch.setattr(resources_module, "current_app", make_app(f"memory://{uuid.uuid4().hex}"))
        resources_module.forget()
        self.addresses: dict[int, str] = {}

    def write(self, *times_us: int, source: str = "websocket", entity: str = "sensor.kitchen", **more: Any) -> None:
        """Write changes of state as the task `write` does."""
        events = [
            Event(
                *(slot, "state", "state_changed", entity, entity, time_us, time_us * 1000, source, 7),
                **{"state": f"{time_us % 97}", "unit": "°C", "place": 0, "moment": 0, **more},
            )
            for slot, time_us in enumerate(times_us)
        ]
        begin_us = min(times_us) // MINUTE_US * MINUTE_US
        weather: dict[str, Any] = {"outdoor_temperature": begin_us % 31 / 2, "outdoor_condition": "rainy"}
        batch = EventBatch(
            *(uuid.uuid4().hex[:26], self.home, source, f"{self.home}-{source}", 1, len(events), events, []),
            [Place(entity, entity.partition(".")[0], "Kitchen", device_class="temperature")],
            moments=[Moment(begin_us, begin_us + MINUTE_US, weather)],
        )
        write_batch(message.encode_events(batch))

    def get(self, app: FastAPI, **params: Any) -> list[dict[str, Any]]:
        address = self.addresses[id(app)]
        answer = requests.get(f"{address}/api/events/recent", params, headers={"X-API-Key": KEY}, timeout=60)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    def from_memory(self) -> bool:
        """Ask until what is kept is there."""
        self.get(self.kept)
        states: RecentStates = self.kept.state.recent
        return states._tail is not None

    def agree(self, **params: Any) -> bool:
        return self.get(self.kept, **params) == self.get(self.asked, **params)


@pytest.fixture
def both(tmp_path: Path, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recent]:
    monkeypatch.setattr(recent, "TRUSTED_S", 3600.0)  # a slow machine must not begin anew in between
    made = Recent(tmp_path, valkey_server.url, monkeypatch)
    with served(made.kept) as kept, served(made.asked) as asked:
        made.addresses = {id(made.kept): kept, id(made.asked): asked}
        yield made
    resources_module.forget()


@pytest.fixture
def reads(both: Recent, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often the API that keeps some asked the store."""
    means, count = both.kept.state.means, 0
    ask = means.store

    async def counted(question: Any) -> Any:
        nonlocal count
        count += 1
        return await ask(question)

    monkeypatch.setattr(means, "store", counted)
    return lambda: count


def test_memory_answers_as_the_store_does_whatever_comes_in_whatever_order(
    both: Recent, reads: Callable[[], int]
) -> None:
    both.write(*(T0_US + second * 1_000_000 for second in range(20)))
    wait_until(both.from_memory, timeout_s=60, what="it is kept")
    before = reads()

    chance = random.Random(7)
    for turn in range(12):
        at_us = T0_US + turn * 3_000_000 + chance.randrange(1_000_000)
        entity = chance.choice(["sensor.kitchen", "light.hall", "light.[x]"])
        both.write(at_us, at_us + 1, entity=entity, previous_state="1", attributes={"friendly": turn})
    # One that came late, one removed, and one that a richer source says again.
    both.write(T0_US + 5_500_000, entity="light.hall", state=None)
    both.write(T0_US + 40_000_001, source="statestream")
    both.write(T0_US + 40_000_001, context_id="c", attributes={"richer": True})

    for asked in ({}, {"limit": 1}, {"limit": 7}, {"limit": 44}, {"entity_id": "light.*", "limit": 5}):
        wait_until(lambda asked=asked: both.agree(**asked), timeout_s=60, what=f"the same for {asked}")  # type: ignore[misc]
    assert both.agree(entity_id="light.hall")
    assert both.agree(entity_id="light.[x]")
    assert both.agree(entity_id="?ensor.*")
    assert both.agree(entity_id="light.nowhere")
    assert both.get(both.kept, limit=1)[0]["weather_data"]["condition"] == "rainy"
    assert reads() == before


def test_what_memory_has_not_is_read_from_the_store(both: Recent, reads: Callable[[], int]) -> None:
    both.write(*(T0_US + second for second in range(70)), entity="light.old")
    both.write(*(T0_US + MINUTE_US + second for second in range(30)))
    wait_until(both.from_memory, timeout_s=60, what="it is kept")
    before = reads()

    assert both.agree(limit=40)
    assert both.agree(limit=30, entity_id="sensor.kitchen")
    assert reads() == before
    assert both.agree(limit=100)
    assert both.agree(limit=31, entity_id="sensor.kitchen")
    assert both.agree(limit=60, entity_id="light.old")
    assert reads() == before + 3


def test_what_could_not_be_told_is_there_when_memory_begins_anew(both: Recent, monkeypatch: pytest.MonkeyPatch) -> None:
    both.write(T0_US)
    wait_until(both.from_memory, timeout_s=60, what="it is kept")

    monkeypatch.setitem(vars(resources_module.resources()), "live_feed", None)
    both.write(T0_US + MINUTE_US)
    assert not both.agree()
    monkeypatch.setattr(recent, "TRUSTED_S", 0.0)

    wait_until(both.agree, timeout_s=60, what="it is there")


def test_memory_is_not_asked_once_the_channel_is_away(both: Recent) -> None:
    both.write(T0_US)
    wait_until(both.from_memory, timeout_s=60, what="it is kept")
    states: RecentStates = both.kept.state.recent

    def read() -> list[bytes] | None:
        return asyncio.run(states.read(1, None, None))

    assert read() is not None
    both.kept.state.live.away = True
    assert read() is None
    both.kept.state.live.away = False
    both.kept.state.live.interruptions += 1
    assert read() is None


def test_many_who_ask_at_once_at_first_have_the_store_asked_once(both: Recent, reads: Callable[[], int]) -> None:
    both.write(T0_US)

    with ThreadPoolExecutor(20) as clients:
        found = list(clients.map(lambda _: both.get(both.kept), range(20)))

    assert [len(one) for one in found] == [1] * 20
    assert reads() == 1


def test_who_waits_for_a_first_reading_that_fails_is_told_so_by_the_store(
    both: Recent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise errors.StoreUnavailable("away")

    monkeypatch.setattr(recent, "recent_events", away)
    both.write(T0_US)

    assert len(both.get(both.kept)) == 1


def test_who_asks_while_a_later_reading_takes_long_waits_for_it(
    both: Recent, reads: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    both.write(T0_US)
    wait_until(both.from_memory, timeout_s=60, what="it is kept")
    states: RecentStates = both.kept.state.recent
    may_end, begun, read = threading.Event(), threading.Event(), recent_events

    def slowly(*asked: Any) -> Any:
        begun.set()
        may_end.wait(60)
        return read(*asked)

    monkeypatch.setattr(recent, "recent_events", slowly)
    monkeypatch.setattr(recent, "TRUSTED_S", 0.0)
    assert begun.wait(60)
    monkeypatch.setattr(recent, "TRUSTED_S", 3600.0)
    before = reads()
    states._began_s = float("-inf")  # what is kept is too old
    with ThreadPoolExecutor(5) as clients:
        asked = [clients.submit(both.get, both.kept) for _ in range(5)]
        time.sleep(0.5)
        may_end.set()
        assert [len(one.result(60)) for one in asked] == [1] * 5

    assert reads() == before
