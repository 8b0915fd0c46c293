"""The whole stack on a broker that somebody else runs: RabbitMQ with the state on a Redis beside it; Debian's Redis.

A demo home sends numbered events for 20 s (Redis: 40 s). In the midst of them the worker that writes is held still, so
that its queue fills, and then killed (-9) with what it has in hand. Then RabbitMQ is killed and started again; on
Redis, where `test_harm_under_load.py` does that, every process of the stack is replaced in turn instead.
"""

from __future__ import annotations

import contextlib
import functools
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
from tests.servers import Server, find_program, free_port
from tests.servers_brokers import RabbitMQ, RedisServer
from tests.system.stack import Stack, numbered_events, wait_until

#: Every process of the stack is replaced while they come on Redis: that takes longer.
COUNTS: Final = {"rabbitmq": 6_000, "redis": 12_000}
RATE: Final = 300
#: Every process of the stack, by words of its command line.
PROCESSES: Final = {
    "validate": "-Q validate",
    "enrich": "-Q enrich",
    "write": "-Q write",
    "rare": "-n rare@",
    "beat": "workers.beat",
    "api": "ingestor api",
    "flower": "workers.flower",
    "listener": "listen websocket",
}
TOKEN: Final = "a-token-of-this-test"
#: Those that there are in any case.
QUEUES: Final = {"validate", "enrich", "write", "registry", "upkeep"}


@dataclass(slots=True)
class Story:
    """What was seen from outside, in the order of the day."""

    broker: Server
    stack: Stack
    count: int
    held: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    ledger: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    quarantine: str = ""
    queue_types: dict[str, str] = field(default_factory=dict)
    family: list[int] = field(default_factory=list)
    stopped: tuple[int, float] = (-1, 0.0)
    replaced: dict[str, tuple[int, int]] = field(default_factory=dict)


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
        told = Story(broker, stack, COUNTS[request.param])
        try:
            stack.start()
            wait_until(lambda: _status(stack)["workers"].keys() >= QUEUES, 90, "all workers are up")
            with numbered_events(port, told.count, RATE, TOKEN):
                _tell(told)
            yield told
        finally:
            if stack.process is not None and not stack.ended():
                stack.stop()


def _tell(story: Story) -> None:
    stack = story.stack
    wait_until(lambda: _status(stack)["counts"]["written"] > 0, 60, "the first events are written")
    writer = _worker(stack, "-Q write")
    writer.suspend()
    story.held = wait_until(lambda: (now := _status(stack))["queues"]["write"] > 0 and now, 60, "a queue that fills")
    assert story.held["counts"]["written"] < story.count, "too late: all was written before the worker was held still"
    writer.kill()
    wait_until(lambda: "worker-write started again" in stack.printed(), 60, "the worker is started again")
    if isinstance(story.broker, RabbitMQ):
        story.broker.kill()
        story.broker.start()
    else:
        _replace_every_process(story)
    story.end = wait_until(lambda: _is_settled(stack, story.count), 150, "everything is written")
    story.ledger = _ledger(stack)
    story.events = stack.events("--limit", "100000")
    story.quarantine = stack.run("quarantine", "list", "--json").strip()
    if isinstance(story.broker, RabbitMQ):
        story.queue_types = _queue_types(story.broker)
    story.family = stack.pids()
    story.stopped = stack.stop()


def _replace_every_process(story: Story) -> None:
    """End every process but the workers one by one, each when the last is there again; then the workers take turns."""
    stack = story.stack
    before = wait_until(lambda: _all_processes(stack), 60, "every process is there")
    for name in ("listener", "beat", "api", "flower"):
        psutil.Process(before[name]).terminate()
        wait_until(functools.partial(_is_new, stack, name, before[name]), 60, f"a new {name}")
    wait_until(lambda: any(one["connected"] for one in _status(stack)["listeners"]), 60, "the listener hears again")
    assert _status(stack)["counts"]["received"] < story.count, "too late: all was sent before the workers' turn"
    stack.run("restart-workers")
    wait_until(lambda: "all workers were replaced" in stack.printed(), 180, "the round")
    after = wait_until(lambda: _all_processes(stack), 60, "every process is there again")
    story.replaced = {name: (pid, after[name]) for name, pid in before.items()}


def _all_processes(stack: Stack) -> dict[str, int] | None:
    found = {name: _process(stack, words) for name, words in PROCESSES.items()}
    return found if all(found.values()) else None


def _is_new(stack: Stack, name: str, before: int) -> bool:
    return _process(stack, PROCESSES[name]) not in (before, 0)


def _process(stack: Stack, words: str) -> int:
    """Return the process that the supervisor has started with these words; 0 where there is none."""
    assert stack.process is not None
    for child in psutil.Process(stack.process.pid).children():
        with contextlib.suppress(psutil.Error):
            if words in " ".join(child.cmdline()):
                return child.pid
    return 0


def _worker(stack: Stack, words: str) -> psutil.Process:
    """Return the process of a worker that hands out the work, not those that do it."""
    assert stack.process is not None
    (found,) = [one for one in map(psutil.Process, stack.pids(words)) if one.ppid() == stack.process.pid]
    return found


def _status(stack: Stack) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(stack.run("status", "--json"))
    return answer


def _is_settled(stack: Stack, count: int) -> dict[str, Any] | None:
    """Return the status once all is written, also what is read back of the time in which nobody listened."""
    now = _status(stack)
    gaps = json.loads(stack.run("gaps", "--json"))
    written = sum(row["written"] for row in _ledger(stack)["rows"])
    return now if written >= count and now["journal"]["pending_batches"] == 0 and gaps["all_ended"] else None


def _ledger(stack: Stack) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(stack.run("ledger", "--json"))
    return answer


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

    assert stored == Counter(range(story.count))
    assert {event["tags"]["area"] for event in story.events} - {"-"}
    assert story.quarantine == ""


def test_every_event_is_counted_once(story: Story) -> None:
    total = story.ledger["total"]

    # An event that came by both roads, while the listener was replaced, was received twice and is written once.
    assert (total["written"], total["received"]) == (story.count, story.count + total["duplicate"]), story.ledger
    assert (total["lost"], total["rejected"], total["in_flight"], total["balances"]) == (0, 0, 0, True), story.ledger
    assert story.end["problems"] == []


@pytest.mark.parametrize("story", ["redis"], indirect=True)
def test_every_process_was_replaced_under_load(story: Story) -> None:
    assert story.replaced.keys() == PROCESSES.keys()
    assert [name for name, (before, after) in story.replaced.items() if before == after] == []


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
