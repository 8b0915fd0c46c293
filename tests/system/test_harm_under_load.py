"""A broker emptied and killed under load: every number is stored once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
import redis

from tests.conftest import make
from tests.servers import Server, free_port
from tests.servers_brokers import RedisServer
from tests.system.stack import Stack, numbered_events, wait_until

RATE: Final = 100
TOKEN: Final = "a-token-of-this-test"
QUEUES: Final = {"validate", "enrich", "write", "registry", "upkeep"}
OnBroker = Callable[[Server], Stack]


@pytest.fixture
def state() -> Iterator[RedisServer]:
    with make(RedisServer) as server:
        yield server


@pytest.fixture
def stack_on(tmp_path: Path, state: RedisServer) -> Iterator[OnBroker]:
    """Make a stack on a broker of the test's own; it is started by `run`."""
    made: list[Stack] = []

    def on(broker: Server) -> Stack:
        port = free_port()
        stack = Stack(
            tmp_path / "data",
            HA_INGESTOR_BROKER__URL=broker.url,  # type: ignore[attr-defined] # every broker has it
            HA_INGESTOR_STATE__URL=state.url,
            HA_INGESTOR_HOMEASSISTANT__URL=f"http://127.0.0.1:{port}",
            HA_INGESTOR_HOMEASSISTANT__TOKEN=TOKEN,
        )
        made.append(stack)
        return stack

    yield on
    for stack in made:
        if stack.process is not None and not stack.ended():
            stack.stop()


def status(stack: Stack) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(stack.run("status", "--json"))
    return answer


def run(stack: Stack, harm: Callable[[], None]) -> None:
    """Do harm while numbered events flow; every one that was heard must then be stored, once."""
    port = int(stack.environ["HA_INGESTOR_HOMEASSISTANT__URL"].rsplit(":", 1)[1])
    stack.start()
    wait_until(lambda: status(stack)["workers"].keys() >= QUEUES, 90, "all workers are up")
    with numbered_events(port, 0, RATE, TOKEN):
        wait_until(lambda: status(stack)["counts"]["written"] > RATE, 60, "the first events are written")
        harm()
        before = status(stack)["counts"]["written"]
        wait_until(lambda: status(stack)["counts"]["written"] > before + RATE, 90, "events are written after it")
    heard = wait_until(lambda: is_settled(now := status(stack)) and now["counts"], 120, "all is written")

    found = stack.events("--limit", "100000")
    stored = Counter(round(event["fields"]["value"]) for event in found if "value" in event["fields"])
    assert stored == Counter(range(len(stored))), "the numbers from 0 on, once each"
    assert len(found) - len(stored) <= 1, "and the home's word that it stops"
    assert (heard["received"], heard["written"]) == (len(found), len(found)), heard
    assert stack.run("quarantine", "list", "--json").strip() == ""


def is_settled(now: dict[str, Any]) -> bool:
    counts = now["counts"]
    return not now["listeners"][0]["connected"] and now["journal"]["pending_batches"] == 0 and bool(counts["received"])


def worker(stack: Stack, words: str) -> psutil.Process:
    assert stack.process is not None
    (found,) = [one for one in map(psutil.Process, stack.pids(words)) if one.ppid() == stack.process.pid]
    return found


def test_a_redis_emptied_and_then_killed_loses_nothing(stack_on: OnBroker, state: RedisServer) -> None:
    stack = stack_on(state)

    def harm() -> None:
        writer = worker(stack, "-Q write")
        writer.suspend()
        with redis.Redis.from_url(state.url) as client:
            wait_until(lambda: client.llen("write"), 60, "a queue that fills")
            client.flushall()
        writer.resume()
        state.kill()
        state.start()

    run(stack, harm)
