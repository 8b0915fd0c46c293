"""Workers and queues over HTTP: told as they tell of themselves, scaled within limits, paused and let go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from ingestor.queue.names import TaskType
from ingestor.queue.pauses import Pauses
from ingestor.queue.pools import WantedNodes
from ingestor.queue.status_board import StatusBoard
from tests.integration.api_bench import ApiBench, api_bench
from tests.servers_brokers import RedisServer


@pytest.fixture
def api(tmp_path: Path, redis_server: RedisServer, state: redis.Redis[bytes]) -> Iterator[ApiBench]:
    server = redis_server.url.removesuffix("/0") + "/9"
    with api_bench(tmp_path, {"state": {"url": server}, "broker": {"url": server}}) as bench:
        yield bench


def put(api: ApiBench, path: str, status: int = 200, headers: dict[str, str] | None = None, **change: Any) -> Any:
    answer = api.client.put(path, json=change, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def queue(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = [one for one in found["items"] if one["name"] == name]
    return dict(one)


def test_nodes_tell_what_they_have_in_hand_and_pools_how_many_are_wanted(
    api: ApiBench, state: redis.Redis[bytes]
) -> None:
    board = StatusBoard(state)
    told = {"host": "attic", "pid": 7, "started_s": 1_795_229_244.5, "memory_bytes": 80_000_000, "processes": 2}
    task = {"task": "tasks.enrich.enrich_batch", "about": "batch x 500 events", "for_s": 1.5}
    work = {"ready": True, "queues": ["enrich"], "paused": [], "holds": 1, "in_hand": [task], "tasks": 12, "busy": 0.5}
    board.put("worker", "enrich-2@attic", {**told, **work})
    board.put("worker", "write@attic", {**told, "ready": True, "queues": ["write"], "paused": ["write"], "holds": 0})
    flow = {"wanted": 3, "least": 1, "most": 4, "waiting": 9, "oldest_s": 2.5, "come_per_s": 7.0, "taken_per_s": 5.0}
    board.put("pools", "attic", {"host": "attic", "pools": {"enrich": flow}})
    state.lpush("enrich", b"{}", b"{}")

    found = api.get("/api/workers")

    enrich, write = found["nodes"]
    assert (enrich["name"], enrich["type"], enrich["state"]) == ("enrich-2@attic", "enrich", "working")
    assert (enrich["started"], enrich["in_hand"]) == ("2026-11-21T02:47:24.500000000Z", [task])
    assert (write["state"], write["memory_bytes"]) == ("paused", 80_000_000)
    assert found["pools"][0] == {
        "type": "enrich",
        "host": "attic",
        "nodes": 1,
        "wanted": 3,
        "least": 1,
        "most": 4,
        "processes": 2,
        "busy": 0.5,
        "tasks": 12,
        "holds": 1,
        "oldest_held_s": 0.0,
        "waiting": 9,
        "oldest_waiting_s": 2.5,
    }
    waits = queue(api.get("/api/queues"), "enrich")
    assert (waits["depth"], waits["come_per_s"], waits["taken_per_s"], waits["nodes"]) == (2, 7.0, 5.0, 1)
    assert (waits["paused"], waits["paused_by"], waits["paused_since"]) == (False, None, None)


def test_a_pool_is_scaled_within_its_limits_where_a_supervisor_listens(
    api: ApiBench, state: redis.Redis[bytes]
) -> None:
    put(api, "/api/workers/enrich", 503, nodes=2)
    StatusBoard(state).put("pools", "attic", {"host": "attic"})

    assert put(api, "/api/workers/enrich", nodes=2) == {"type": "enrich", "nodes": 2, "hosts": ["attic"]}
    put(api, "/api/workers/rare", nodes=3, host="attic")
    assert "SQLite" in put(api, "/api/workers/write", 400, nodes=2)["detail"]
    put(api, "/api/workers/enrich", 422, nodes=0)
    put(api, "/api/workers/enrich", 422, nodes=65)
    put(api, "/api/workers/enrich", 422)
    put(api, "/api/workers/all", 422, nodes=2)
    put(api, "/api/workers/rare", 404, nodes=2, host="cellar")
    assert WantedNodes(state).read("attic") == {"enrich": 2, "rare": 3}

    put(api, "/api/workers/enrich", nodes=None)
    assert WantedNodes(state).read("attic") == {"rare": 3}


def test_a_queue_is_paused_and_let_go_on_and_the_audit_says_by_whom(api: ApiBench, state: redis.Redis[bytes]) -> None:
    told = put(api, "/api/queues/write", headers={"X-Request-ID": "me-1"}, paused=True)
    assert (told["paused"], told["paused_by"]) == (True, "installation")
    assert told["paused_since"].startswith("20")
    assert queue(api.get("/api/queues"), "write") == told

    assert put(api, "/api/queues/write", paused=False)["paused"] is False
    put(api, "/api/queues/publish", 422, paused=True)
    put(api, "/api/queues/write", 422, paused="yes")
    lines = [json.loads(one) for one in (api.settings.data_dir / "audit.jsonl").read_text().splitlines()]
    assert [(one["who"], one["action"], one.get("pause"), one.get("resume")) for one in lines] == [
        ("installation", "workers:manage", ["write"], None),
        ("installation", "workers:manage", None, ["write"]),
    ]
    assert lines[0]["request_id"] == "me-1"


def test_a_page_from_elsewhere_and_who_has_no_key_change_nothing(api: ApiBench, state: redis.Redis[bytes]) -> None:
    StatusBoard(state).put("pools", "attic", {"host": "attic"})

    for path, change in (("/api/queues/write", {"paused": True}), ("/api/workers/enrich", {"nodes": 2})):
        put(api, path, 403, {"Origin": "https://evil.example"}, **change)
        put(api, path, 401, {"X-API-Key": "no key at all"}, **change)

    assert Pauses(state).read() == {}
    assert WantedNodes(state).read("attic") == {}
    assert not (api.settings.data_dir / "audit.jsonl").exists()


def test_what_nobody_can_tell_is_null_and_what_needs_the_state_server_says_that_it_is_away(tmp_path: Path) -> None:
    with api_bench(tmp_path) as away:
        assert away.get("/api/workers", 503)["type"].endswith(":unavailable")
        assert {one["depth"] for one in away.get("/api/queues")["items"]} == {None}
        assert [one["name"] for one in away.get("/api/queues")["items"]] == [kind.value for kind in TaskType]
        put(away, "/api/queues/write", 503, paused=True)
