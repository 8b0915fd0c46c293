"""Those who listen hear when the installation falls ill and when it is well, once, from a real state server."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from ingestor import bootstrap
from ingestor.api.health import Component, Health
from ingestor.api.system_watch import SystemWatch
from ingestor.live.channel import EntryId
from ingestor.live.entry import Notice, decode_entry
from ingestor.settings import Settings
from tests.servers_brokers import ValkeyServer


class Watched:
    """An installation whose health is said, who watches it, and what its homes' streams have."""

    def __init__(self, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.homes = [f"watched-{uuid.uuid4().hex[:8]}" for _ in range(2)]
        monkeypatch.setattr("ingestor.api.system_watch._KEY", f"system:{self.homes[0]}")
        self.settings = Settings.model_validate({"data_dir": folder, "broker": {"url": url}})
        self.ill: dict[str, str] = {}
        self.at_us = 1_800_000_000_000_000
        self.watches = [self.watch(), self.watch()]
        self._channel = bootstrap.open_live_channel(self.settings, bootstrap.open_state(self.settings))

    def watch(self) -> SystemWatch:
        feed, state = bootstrap.open_live_feed(self.settings), bootstrap.open_state(self.settings)
        assert feed is not None
        return SystemWatch(self.read, feed, state, self.homes, clock_us=lambda: self.at_us)

    def read(self) -> Health:
        names = {"broker", "weather_api", *self.ill}
        return Health(tuple(Component(name, name not in self.ill, self.ill.get(name, "fine")) for name in names))

    def look(self, times: int = 2, **ill: str) -> None:
        self.ill = ill
        for _ in range(times):
            for watch in self.watches:
                watch.look()
        self.at_us += 60_000_000

    def heard(self, home: int = 0) -> list[Notice]:
        entries = self._channel.read({self.homes[home]: EntryId(0, 0)}, most=100, wait_s=0)
        return [notice for entry in entries for notice in decode_entry(entry.body).notices]


@pytest.fixture
def watched(tmp_path: Path, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(tmp_path, valkey_server.url, monkeypatch)


def test_each_change_is_told_once_in_every_home_with_what_is_ill(watched: Watched) -> None:
    watched.look()
    watched.look()
    watched.look(weather_api="no answer")
    watched.look(weather_api="no answer", broker="refuses")
    watched.look()

    names = [one.name for one in watched.heard()]
    assert names == ["system.healthy", "system.warning", "system.error", "system.healthy"]
    assert [one.name for one in watched.heard(1)] == names
    assert [one.data.get("was", "") for one in watched.heard()] == ["", *names[:-1]]
    error = watched.heard()[2]
    assert error.data["components"] == {"weather_api": "no answer", "broker": "refuses"}
    assert error.data["status"] == "unavailable"
    assert len({one.notice_id for one in watched.heard() + watched.heard(1)}) == 8


def test_what_is_so_for_one_look_alone_is_not_told(watched: Watched) -> None:
    watched.look()
    watched.look(1, broker="timed out")
    watched.look()

    assert [one.name for one in watched.heard()] == ["system.healthy"]


def test_a_process_that_starts_anew_does_not_tell_again(watched: Watched) -> None:
    watched.look()
    watched.watches = [watched.watch()]
    watched.look()

    assert len(watched.heard()) == 1


def test_what_happened_while_the_state_server_was_away_is_told_when_it_is_back(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.look()
    watched.watches = watched.watches[:1]
    state: Any = watched.watches[0]._state
    with monkeypatch.context() as away:
        away.setattr(state.connection_pool, "get_connection", _refuse)
        watched.look(state="gone")
        watched.look()
        assert len(watched.heard()) == 1
    watched.look(1)

    told = watched.heard()
    assert [one.name for one in told] == ["system.healthy", "system.error", "system.healthy"]
    assert [one.time_us for one in told[1:]] == [1_800_000_060_000_000, 1_800_000_120_000_000]


def test_it_looks_by_itself_while_somebody_listens(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestor.api.system_watch._EVERY_S", 0.01)
    watch = watched.watches[0]
    turns = 0

    def heard() -> bool:
        nonlocal turns
        turns += 1
        return turns > 20

    watch._heard = heard

    async def story() -> None:
        task = asyncio.create_task(watch.watch())
        while turns < 20:
            assert watched.heard() == []
            await asyncio.sleep(0.005)
        until_s = time.monotonic() + 60
        while not watched.heard() and time.monotonic() < until_s:  # noqa: ASYNC110 -- it is in a server
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
    assert [one.name for one in watched.heard()] == ["system.healthy"]


def _refuse(*_: Any, **__: Any) -> Any:
    import redis  # noqa: PLC0415 -- only here

    raise redis.ConnectionError("refused")
