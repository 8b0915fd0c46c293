"""Task types that somebody paused: what comes waits, over restarts of everything, and is stored once in the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis

from ingestor import errors
from ingestor.api.health_pauses import pauses_check
from ingestor.api.side_by_side import NotWell
from ingestor.managing.workers import WorkerAdmin
from ingestor.queue.app import make_app
from ingestor.queue.depths import queue_depths
from ingestor.queue.names import TaskType
from ingestor.queue.pauses import HeededPauses, Pauses
from ingestor.queue.state import connect_state
from ingestor.queue.status_board import StatusBoard
from ingestor.security.access import ANONYMOUS, Principal
from ingestor.security.audit import Audit
from ingestor.settings import Settings
from tests.conftest import StartServer
from tests.integration.real_workers import Road
from tests.servers import wait_until
from tests.servers_brokers import RedisServer
from workers.pausing import PausableQueues
from workers.watchdog import Watchdog

WHO = Principal("key", "dashboard")


@pytest.fixture
def road(start_server: StartServer, tmp_path: Path) -> Iterator[Road]:
    server = start_server(RedisServer)
    with ExitStack() as stack:
        yield Road(stack, tmp_path / "data", server.url, server.url)


def test_what_comes_while_write_is_paused_waits_over_a_restart_and_is_stored_once(road: Road) -> None:
    state = connect_state(str(road.settings.state.url))
    admin = WorkerAdmin(road.settings, state, Audit(road.settings.data_dir))
    node = road.start_workers()
    road.add("before")
    road.settle(60)

    admin.pause(WHO, [TaskType.WRITE])
    wait_until(lambda: "queue_paused" in road.log(), timeout_s=60, what="the node follows")
    road.add(*(f"while-{number:02d}" for number in range(50)))
    wait_until(lambda: all_wait(road), timeout_s=60, what="all of them wait")
    wait_until(lambda: told(state) == (["write"], ["enrich", "validate", "write"]), timeout_s=60, what="it is told")
    assert road.stored() == ["before"]
    with pytest.raises(NotWell, match="write is paused by dashboard since 20"):
        pauses_check(road.settings)()

    road.end(node)
    road.start_workers()
    waited = waiting(road)
    road.add("after-the-restart")
    wait_until(lambda: all_wait(road) and waiting(road) > waited, timeout_s=60, what="one more waits")
    assert road.stored() == ["before"]

    admin.resume(WHO, [TaskType.WRITE])
    road.settle(60)
    assert road.stored() == sorted(road.sent)
    assert road.intake.status()["done"]["written"] == len(road.sent)
    assert pauses_check(road.settings)() == "nothing is paused"


def waiting(road: Road) -> int:
    return queue_depths(road.settings.broker.url, ["write"])["write"]


def all_wait(road: Road) -> bool:
    status = road.intake.status()
    return not status["waiting_bytes"] and waiting(road) >= status["pending_batches"] > 0


def told(state: redis.Redis[bytes]) -> tuple[list[str], list[str]]:
    (node,) = [entry for key, entry in StatusBoard(state).read().items() if key.startswith("worker:")]
    return sorted(node["paused"]), sorted(node["queues"])


def test_a_pause_outlives_the_state_server_and_the_first_who_paused_is_told(
    state: redis.Redis[bytes], tmp_path: Path
) -> None:
    pauses = Pauses(state, tmp_path / "pauses.json")
    pauses.pause([TaskType.WRITE], "one")
    first = pauses.read()
    pauses.pause([TaskType.WRITE, TaskType.HISTORY], "two")

    state.flushdb()

    assert pauses.last_known().keys() == {TaskType.WRITE}
    found = pauses.read()
    assert found == Pauses(state).read() == first
    assert found[TaskType.WRITE].by == "one"
    pauses.resume([TaskType.WRITE])
    assert pauses.read() == pauses.last_known() == {}


def test_who_is_unknown_pauses_nothing_and_what_is_done_is_in_the_audit(
    state: redis.Redis[bytes], tmp_path: Path
) -> None:
    admin = WorkerAdmin(Settings(data_dir=tmp_path), state, Audit(tmp_path))

    with pytest.raises(errors.Unauthenticated):
        admin.pause(ANONYMOUS, [TaskType.WRITE])
    with pytest.raises(errors.InvalidSettings, match="SQLite"):
        admin.scale(WHO, {"write": 2})
    with pytest.raises(errors.NobodyListens, match="Compose, systemd"):
        admin.scale(WHO, {"enrich": 2})
    StatusBoard(state).put("worker", "all@cellar", {"type": "all", "host": "cellar"})
    with pytest.raises(errors.NobodyListens, match="one worker node takes every batch"):
        admin.scale(WHO, {"enrich": 2})
    assert Pauses(state).read() == {}
    assert not (tmp_path / "audit.jsonl").exists()

    StatusBoard(state).put("pools", "attic", {"host": "attic"})
    assert admin.scale(WHO, {"enrich": 2}, request_id="r-1") == ["attic"]
    admin.pause(WHO, [TaskType.WRITE])
    scaled, paused = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert '"who":"dashboard","action":"workers:manage","nodes":{"enrich":2},"host":null,"request_id":"r-1"' in scaled
    assert '"pause":["write"]' in paused


def test_a_worker_goes_on_as_it_did_while_the_state_server_is_away(
    start_server: StartServer,
) -> None:
    server = start_server(RedisServer)
    now_s = 0.0
    pauses = Pauses(connect_state(server.url, hurried=True))
    heeded = HeededPauses(pauses, lambda: now_s)
    pauses.pause([TaskType.WRITE], "me")
    assert heeded.has(TaskType.WRITE)
    assert not heeded.has(TaskType.ENRICH)

    server.stop()
    now_s = 5.0

    assert heeded.has(TaskType.WRITE)


def test_a_node_that_starts_takes_nothing_from_a_paused_queue_also_while_the_state_server_is_away(
    state: redis.Redis[bytes],
) -> None:
    Pauses(state).pause([TaskType.WRITE], "me")
    nobody = Pauses(connect_state("redis://127.0.0.1:1/0", hurried=True))

    for pauses, known in ((Pauses(state), []), (nobody, [TaskType.WRITE])):
        app = make_app("redis://127.0.0.1:1/0")
        app.amqp.queues.select(["enrich", "write"])
        queues = PausableQueues(pauses, lambda known=known: known)  # type: ignore[misc] # mypy knows no default here
        queues.begin(app)
        assert queues.served == ["enrich", "write"]
        assert list(app.amqp.queues.consume_from) == ["enrich"]


def test_a_node_that_takes_nothing_from_a_paused_queue_is_not_taken_for_one_that_hangs(
    state: redis.Redis[bytes], redis_server: RedisServer
) -> None:
    app = make_app(redis_server.url.removesuffix("/0") + "/9")
    app.amqp.queues.select(["enrich", "write"])
    watchdog = Watchdog(SimpleNamespace(app=app, hub=None, hostname="all@here"))
    state.lpush("write", b"{}")
    assert watchdog._waiting() == 1

    app.amqp.queues.deselect(["write"])
    assert watchdog._waiting() == 0

    app.amqp.queues.select_add(app.amqp.queues["write"])
    assert watchdog._waiting() == 1
