"""The whole stack on a broker that somebody else runs: RabbitMQ with the state on a Redis beside it; Debian's Redis.

A demo home sends numbered events. In the midst of them the worker that writes is held still, so that its queue fills,
and then killed (-9) with what it has in hand.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from tests.conftest import make
from tests.servers import Server, find_program
from tests.servers_brokers import RabbitMQ, RedisServer
from tests.system.stack import Stack, free_port, numbered_events, wait_until

COUNT: Final = 6_000
RATE: Final = 250
TOKEN: Final = "a token of this test"
#: Those that there are in any case.
QUEUES: Final = {"validate", "enrich", "write", "registry", "upkeep"}


@dataclass(slots=True)
class Story:
    """What was seen from outside, in the order of the day."""

    broker: Server
    stack: Stack
    held: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    quarantine: str = ""
    queue_types: dict[str, str] = field(default_factory=dict)
    family: list[int] = field(default_factory=list)
    stopped: tuple[int, float] = (-1, 0.0)


@pytest.fixture(scope="module", params=["rabbitmq", "redis"])
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Each broker in turn: the machine is small."""
    folder: Path = tmp_path_factory.mktemp("broker")
    with make(RedisServer) as redis:
        broker = request.getfixturevalue("rabbitmq") if request.param == "rabbitmq" else redis
        port = free_port()
        stack = Stack(
            folder / "data",
            HA_INGESTOR_BROKER__URL=broker.url,
            HA_INGESTOR_STATE__URL=redis.url,
            HA_INGESTOR_HOMEASSISTANT__URL=f"http://127.0.0.1:{port}",
            HA_INGESTOR_HOMEASSISTANT__TOKEN=TOKEN,
        )
        told = Story(broker, stack)
        try:
            stack.start()
            wait_until(lambda: _status(stack)["workers"].keys() >= QUEUES, 90, "all workers are up")
            with numbered_events(port, COUNT, RATE, TOKEN):
                _tell(told)
            yield told
        finally:
            if stack.process is not None and not stack.ended():
                stack.stop()


def _tell(story: Story) -> None:
    stack = story.stack
    wait_until(lambda: _status(stack)["counts"]["written"] > COUNT // 20, 60, "the first events are written")
    writer = _worker(stack, "-Q write")
    writer.suspend()
    story.held = wait_until(lambda: (now := _status(stack))["queues"]["write"] > 0 and now, 60, "a queue that fills")
    assert story.held["counts"]["written"] < COUNT, "too late: all was written before the worker was held still"
    writer.kill()
    wait_until(lambda: "worker-write started again" in stack.printed(), 30, "the worker is started again")
    story.end = wait_until(lambda: _is_settled(now := _status(stack)) and now, 120, "everything is written")
    story.events = stack.events("--limit", "100000")
    story.quarantine = stack.run("quarantine", "list", "--json").strip()
    if isinstance(story.broker, RabbitMQ):
        story.queue_types = _queue_types(story.broker)
    story.family = stack.pids()
    story.stopped = stack.stop()


def _worker(stack: Stack, words: str) -> psutil.Process:
    """Return the process of a worker that hands out the work, not those that do it."""
    assert stack.process is not None
    (found,) = [one for one in map(psutil.Process, stack.pids(words)) if one.ppid() == stack.process.pid]
    return found


def _status(stack: Stack) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(stack.run("status", "--json"))
    return answer


def _is_settled(now: dict[str, Any]) -> bool:
    return bool(now["counts"]["received"] >= COUNT and now["journal"]["pending_batches"] == 0)


def _queue_types(rabbitmq: RabbitMQ) -> dict[str, str]:
    """Ask RabbitMQ's own tool."""
    tool = find_program("rabbitmqctl", "rabbitmq-server", ["/usr/lib/rabbitmq/bin"])
    done = subprocess.run(
        [tool, "list_queues", "--silent", "--formatter", "json", "name", "type"],
        env={**os.environ, **rabbitmq.environment()},
        cwd=rabbitmq.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return {str(queue["name"]): str(queue["type"]) for queue in json.loads(done.stdout)}


def test_every_event_is_stored_once_though_the_worker_that_writes_was_killed(story: Story) -> None:
    stored = Counter(round(event["fields"]["value"]) for event in story.events)

    assert stored == Counter(range(COUNT))
    assert {event["tags"]["area"] for event in story.events} - {"-"}
    assert story.quarantine == ""


def test_every_event_is_counted_once(story: Story) -> None:
    counts = story.end["counts"]

    assert (counts["received"], counts["written"]) == (COUNT, COUNT), counts
    assert story.end["problems"] == []


def test_status_shows_what_waits_and_who_works(story: Story) -> None:
    assert story.held["queues"].keys() >= QUEUES
    assert story.held["journal"]["pending_batches"] > 0
    assert set(story.end["queues"].values()) == {0}, story.end["queues"]
    assert story.end["workers"].keys() == story.end["queues"].keys()
    assert {serving["nodes"] for serving in story.end["workers"].values()} == {1}, story.end["workers"]
    assert [listener["connected"] for listener in story.end["listeners"]] == [True]


@pytest.mark.parametrize("story", ["rabbitmq"], indirect=True)  # Redis knows no types of queues
def test_the_queues_of_rabbitmq_are_quorum_queues(story: Story) -> None:
    assert {name: story.queue_types.get(name) for name in QUEUES} == dict.fromkeys(QUEUES, "quorum")


def test_no_broker_of_our_own_is_started_beside_it(story: Story) -> None:
    assert not (story.stack.folder / "broker").exists()
    assert len(story.family) > 10


def test_everything_stops_within_ten_seconds_and_leaves_no_process_behind(story: Story) -> None:
    code, took_s = story.stopped

    assert code == 0, story.stack.printed()
    assert took_s < 10
    assert not [pid for pid in story.family if psutil.pid_exists(pid)]
