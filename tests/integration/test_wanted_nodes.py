"""How many worker nodes somebody asked for: kept over the end of any one server or process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from ingestor.queue.gauge import Load, MemoryGauge
from ingestor.queue.pools import WantedNodes
from ingestor.queue.state import connect_state
from ingestor.queue.status_board import StatusBoard
from ingestor.settings import Settings
from tests.servers_brokers import RedisServer
from workers.pools import Pools


@pytest.fixture
def state(redis_server: RedisServer) -> Iterator[redis.Redis[bytes]]:
    client = connect_state(redis_server.url)
    client.flushdb()
    yield client
    client.close()


def test_what_is_asked_of_all_hosts_holds_for_each_and_ends_what_was_asked_of_one(state: redis.Redis[bytes]) -> None:
    wanted = WantedNodes(state)

    wanted.set({"enrich": 2, "write": 3})
    wanted.set({"enrich": 5}, host="attic")
    assert wanted.read("attic") == {"enrich": 5, "write": 3}
    assert wanted.read("cellar") == {"enrich": 2, "write": 3}

    wanted.set({"enrich": 4})
    assert wanted.read("attic") == {"enrich": 4, "write": 3}
    wanted.set({"enrich": None})
    assert wanted.read("attic") == {"write": 3}


def test_what_was_asked_for_outlives_the_state_server_and_what_was_taken_back_does_not(
    state: redis.Redis[bytes], tmp_path: Path
) -> None:
    wanted = WantedNodes(state, tmp_path / "pools.json")
    wanted.set({"enrich": 2})
    wanted.read("attic")

    state.flushdb()
    assert WantedNodes(state, tmp_path / "pools.json").last_known("attic") == {"enrich": 2}
    assert WantedNodes(state, tmp_path / "pools.json").read("attic") == {"enrich": 2}
    assert WantedNodes(state).read("cellar") == {"enrich": 2}

    wanted.set({"enrich": None})
    assert wanted.read("attic") == {}
    assert WantedNodes(state, tmp_path / "pools.json").last_known("attic") == {}


@pytest.mark.parametrize("value", ["0", "65", "many", "-1", "²", ""])
def test_a_number_that_nobody_may_ask_for_is_passed_over(state: redis.Redis[bytes], value: str) -> None:
    state.hset("ha_ingestor:pools", "enrich", value)

    assert WantedNodes(state).read("attic") == {}


def test_a_pool_grows_by_what_its_nodes_on_all_hosts_tell_and_its_supervisor_tells_it(
    state: redis.Redis[bytes], tmp_path: Path
) -> None:
    now_s, gauge = 0.0, MemoryGauge()
    pools: dict[str, Any] = {"enrich": {"nodes_max": 4}}
    settings = Settings.model_validate({"data_dir": tmp_path, "workers": {"host": "attic", "pools": pools}})
    looking = Pools(settings, state, gauge, lambda: now_s)
    board = StatusBoard(state)

    for second in range(8):  # ten come each second, one is taken
        now_s = float(second)
        board.put("worker", "enrich@cellar", {"type": "enrich", "host": "cellar", "pid": 7, "tasks": 100 + second})
        gauge.load = Load({"enrich": 9 * second})
        looking.step()

    assert looking.wanted == {"validate": 1, "enrich": 4, "write": 1, "rare": 1}
    told = board.all()["pools:attic"]["pools"]["enrich"]
    assert (told["wanted"], told["least"], told["most"], told["waiting"]) == (4, 1, 4, 63)
    assert told["oldest_s"] >= 6

    gauge.away = True
    looking.step()
    assert looking.wanted["enrich"] == 4
