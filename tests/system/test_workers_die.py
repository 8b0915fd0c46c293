"""Workers that die, hang, are replaced or meet a full broker, in the whole stack: what was sent is stored."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import redis
import requests

from tests.system.stack import Stack, wait_until

StackFactory = Callable[..., Stack]
_BUSY = {"HA_INGESTOR_DEMO__RATE": "200", "HA_INGESTOR_DEMO__ENTITIES": "50"}


def first_event(stack: Stack) -> None:
    wait_until(lambda: stack.events("--limit", "1"), 60, "a first event")


def journal(stack: Stack) -> dict[str, Any]:
    """Return what the listener tells of its journal."""
    with broker(stack) as client:
        for key in client.scan_iter("ha_ingestor:status:listener:*"):
            return dict(json.loads(client.get(key) or b"{}").get("intake", {}))
    return {}


@contextlib.contextmanager
def broker(stack: Stack) -> Any:
    client = redis.Redis(unix_socket_path=str(stack.folder / "broker" / "valkey.sock"))
    try:
        yield client
    finally:
        client.close()


def oldest_s(stack: Stack) -> float:
    return float(journal(stack).get("oldest_pending_s", 1e9))


def all_written(stack: Stack, until: float, within_s: float) -> None:
    """Wait until every batch opened up to that moment is written; nothing was lost on the way."""
    wait_until(lambda: time.time() - oldest_s(stack) > until, within_s, "every batch written")
    told = journal(stack)
    assert told["lost_frames"] == told["refused_frames"] == told["damaged_batches"] == 0


def node_of(stack: Stack, queue: str) -> psutil.Process:
    """Return the main process of a node."""
    return nodes_of(stack, queue)[0]


def nodes_of(stack: Stack, queue: str) -> list[psutil.Process]:
    found = [psutil.Process(pid) for pid in stack.pids(f"-Q {queue}")]
    return [one for one in found if one.parent().pid == stack.process.pid]  # type: ignore[union-attr] # it runs


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests here but the one that fills its broker: each leaves it whole and written."""
    stack = Stack(tmp_path_factory.mktemp("workers") / "data", **_BUSY)
    try:
        yield stack.start()
    finally:
        if not stack.ended():
            stack.stop()


def test_the_batch_of_a_worker_killed_at_work_is_written_within_thirty_seconds(stack: Stack) -> None:
    first_event(stack)

    # Killed in the middle: what it has in hand is stopped first, so that it cannot end before the kill.
    node = node_of(stack, "write")
    (child, *_) = node.children()
    child.suspend()
    wait_until(lambda: oldest_s(stack) > 2, 60, "a batch in hand")
    node.kill()
    killed_at = time.time()

    wait_until(lambda: "worker-write started again" in stack.printed(), 60, "the restart")
    all_written(stack, killed_at, 30)
    assert has_ended(child)


def has_ended(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def test_a_stopped_node_is_noticed_within_sixty_seconds_and_a_stopped_child_though_the_broker_restarts(
    stack: Stack,
) -> None:
    first_event(stack)
    node = node_of(stack, "enrich")
    (child, *_) = node_of(stack, "validate").children()
    stopped_at = time.monotonic()

    node.suspend()
    child.suspend()
    (valkey,) = stack.pids("valkey-server")
    os.kill(valkey, signal.SIGKILL)

    def left_s() -> float:
        return stopped_at + 62 - time.monotonic()

    wait_until(lambda: "worker-enrich showed no sign of life" in stack.printed(), left_s(), "the node is noticed")
    # Stopped in a task: its time limit ends it. Stopped before one: its node ends with it, after fifty seconds, which
    # begin anew with what it takes after a broker that ended.
    wait_until(lambda: has_ended(child), left_s() + 60, "the child is replaced")
    wait_until(lambda: "worker-enrich started again" in stack.printed(), 60, "the node is replaced")
    all_written(stack, time.time(), 60)


def test_workers_are_replaced_one_by_one_under_load_and_nothing_waits_for_it(stack: Stack) -> None:
    first_event(stack)
    before = {queue: node_of(stack, queue).pid for queue in ("validate", "enrich", "write")}

    stack.run("restart-workers")

    wait_until(lambda: "all workers were replaced" in stack.printed(), 120, "the round")
    assert all(node_of(stack, queue).pid != pid for queue, pid in before.items())
    all_written(stack, time.time(), 30)


def test_a_scaled_pool_stays_so_when_a_node_of_it_is_killed_and_gives_back_what_is_not_wanted(stack: Stack) -> None:
    first_event(stack)
    key = {"X-API-Key": stack.run("key").strip()}
    asked = requests.put(f"{stack.api}/api/workers/enrich", json={"nodes": 2}, headers=key, timeout=60)
    assert asked.status_code == 200, asked.text
    wait_until(lambda: second_node(stack, key).get("tasks"), 60, "the second node works")
    nodes_of(stack, "enrich")[-1].kill()

    wait_until(lambda: "worker-enrich-2 started again" in stack.printed(), 60, "the restart")
    (enrich,) = [pool for pool in json.loads(stack.run("workers", "--json"))["pools"] if pool["type"] == "enrich"]
    assert enrich["wanted"] == len(nodes_of(stack, "enrich")) == 2

    stack.run("scale", "enrich=default")
    wait_until(lambda: "worker-enrich-2 stopped" in stack.printed(), 60, "one node less")
    all_written(stack, time.time(), 60)


def second_node(stack: Stack, key: dict[str, str]) -> dict[str, Any]:
    told = requests.get(f"{stack.api}/api/workers", headers=key, timeout=60).json()
    return next((node for node in told["nodes"] if node["name"].startswith("enrich-2@")), {})


def test_what_comes_while_write_is_paused_waits_and_is_written_when_it_goes_on(stack: Stack) -> None:
    first_event(stack)
    key = {"X-API-Key": stack.run("key").strip()}

    stack.run("pause", "write")
    wait_until(lambda: len(batches_waiting(stack)) > 10, 60, "batches wait")
    health = stack.health()
    assert "write is paused by " in health["components"]["pauses"]["detail"]
    assert health["components"]["workers"]["ok"]
    assert "write is paused by " in stack.run("status")
    node_of(stack, "write").kill()
    wait_until(lambda: "worker-write started again" in stack.printed(), 60, "the node is back")
    before = len(batches_waiting(stack))
    wait_until(lambda: len(batches_waiting(stack)) > before, 60, "more wait")

    told = requests.put(f"{stack.api}/api/queues/write", json={"paused": False}, headers=key, timeout=60).json()
    assert told["paused"] is False
    all_written(stack, time.time(), 60)


def batches_waiting(stack: Stack) -> list[bytes]:
    with broker(stack) as client:
        return list(client.lrange("write", 0, -1))


def test_every_kind_of_process_ends_by_itself_within_ten_seconds_of_sigterm_and_is_started_again(stack: Stack) -> None:
    first_event(stack)
    before = stack.printed().count("started again")
    supervisor = psutil.Process(stack.process.pid)  # type: ignore[union-attr] # it runs
    children = [child for child in supervisor.children() if "valkey" not in child.name()]
    assert len(children) >= 8

    took: dict[str, float] = {}
    for child in children:
        words = " ".join(child.cmdline()[-12:])
        started = time.monotonic()
        os.kill(child.pid, signal.SIGTERM)
        child.wait(12)
        took[words] = time.monotonic() - started

    assert max(took.values()) < 10, took
    wait_until(lambda: stack.printed().count("started again") >= before + len(children), 60, "all are started again")
    all_written(stack, time.time(), 60)


def test_a_broker_filled_to_its_ceiling_goes_on_by_its_reserve_and_closes_it_afterwards(
    stack_factory: StackFactory,
) -> None:
    stack = stack_factory(**_BUSY, HA_INGESTOR_BROKER__MAX_MEMORY_BYTES=str(64 * 1024 * 1024))
    first_event(stack)

    with broker(stack) as client:
        number = 0
        with contextlib.suppress(redis.ResponseError):
            for number in range(2_000):
                client.set(f"junk:{number}", os.urandom(65536))
        assert number > 100
        wait_until(lambda: "its reserve was opened" in stack.printed(), 60, "relief")
        held_at = time.time()
        wait_until(lambda: journal(stack).get("held"), 60, "listeners hold")
        for at in range(number):
            client.delete(f"junk:{at}")

    wait_until(lambda: "the broker has room again" in stack.printed(), 60, "the reserve is closed")
    all_written(stack, time.time(), 60)
    assert [event for event in stack.events("--limit", "5") if event["time_ns"] > held_at * 1e9]
