"""The way from `add` to a forgotten batch, over real brokers that are killed, emptied and filled on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection, Message

from ingestor import errors
from ingestor.events.event import Settled
from ingestor.events.frame import Frame, RawBatch
from ingestor.intake.assemble import Intake, open_intake
from ingestor.intake.flights import DoneBatch
from ingestor.queue import message
from ingestor.queue.app import make_app
from ingestor.queue.done import DoneMark
from ingestor.queue.done_redis import RedisDoneMarks
from ingestor.queue.gauge import BrokerGauge
from ingestor.queue.producer import Producer
from ingestor.queue.state import connect_state
from ingestor.settings import (
    BatchSettings,
    BrokerSettings,
    JournalSettings,
    QueueSettings,
    Settings,
    StateSettings,
)
from tests.servers import Server, wait_until
from tests.servers_brokers import RabbitMQ, RedisServer, ValkeyServer

PATIENCE_S = 30.0


class Worker:
    """A worker in a thread: takes tasks from `validate`, notes their frames, marks them done."""

    def __init__(self, broker_url: str, state_url: str) -> None:
        self._url = broker_url
        self._done = RedisDoneMarks(connect_state(state_url))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.batches: list[RawBatch] = []
        self.attempts: list[int] = []

    def numbers(self) -> list[int]:
        return [int(frame.payload) for batch in list(self.batches) for frame in batch.frames]

    def start(self) -> Worker:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident:
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with Connection(self._url, transport_options={"max_retries": 1, "socket_timeout": 2}) as connection:
                    self._work(connection)
            except Exception:  # noqa: BLE001 -- the broker is killed under it on purpose
                self._stop.wait(0.05)

    def _work(self, connection: Any) -> None:
        channel = connection.default_channel
        while not self._stop.is_set():
            taken = channel.basic_get("validate", no_ack=True)
            if taken is None:
                self._stop.wait(0.005)
                continue
            if not isinstance(taken, Message):  # RabbitMQ: not kombu's own yet
                taken = channel.message_to_python(taken)
            taken.accept = {"application/x-msgpack"}
            args, kwargs, _ = taken.payload
            batch = message.decode_raw(bytes(args[0]))
            self.batches.append(batch)
            self.attempts.append(kwargs["attempt"])
            size = len(batch.frames)
            mark = DoneMark(batch.batch_id, "store", size, [Settled("written", list(range(size)))])
            self._done.put(batch.journal, mark)


class Stage:
    """Settings for one intake on a broker, with the workers it was given."""

    def __init__(self, stack: ExitStack, data_dir: Path, broker: Server, state: RedisServer, **journal: float) -> None:
        self._stack = stack
        self.broker = broker
        self.url: str = getattr(broker, "url")  # noqa: B009 -- the base class of all servers has none
        self.state_url = state.url
        self.finished: list[DoneBatch] = []
        self.settings = Settings(
            data_dir=data_dir,
            broker=BrokerSettings(url=self.url),
            state=StateSettings(url=state.url),
            batch=BatchSettings(max_frames=10, flush_after_s=0.005),
            journal=JournalSettings(**{"resend_after_s": 1.0, "resend_per_s": 200.0, **journal}),
            queue=QueueSettings(high_water=30, low_water=15),
        )
        self.listener = f"test-{data_dir.name}".lower().replace("_", "-")[:60]

    def intake(self, source: str = "websocket") -> Intake:
        opened = open_intake(self.settings, "home", self.listener, source, on_done=self.finished.append)
        return self._stack.enter_context(opened)

    def worker(self) -> Worker:
        worker = Worker(self.url, self.state_url).start()
        self._stack.callback(worker.stop)
        return worker


@pytest.fixture
def stage_on(tmp_path: Path, redis_server: RedisServer) -> Iterator[Callable[..., Stage]]:
    with ExitStack() as stack:
        yield lambda broker, **journal: Stage(stack, tmp_path, broker, redis_server, **journal)


def add(intake: Intake, *numbers: int) -> None:
    for number in numbers:
        intake.sink.add(Frame("websocket", time.time_ns(), b"%d" % number))


def pending(intake: Intake) -> int:
    status = intake.status()
    return int(status["pending_batches"]) + int(status["waiting_bytes"] > 0)


def settle(intake: Intake, timeout_s: float = PATIENCE_S) -> None:
    wait_until(lambda: pending(intake) == 0, timeout_s=timeout_s, what="every batch is done")


@pytest.mark.parametrize("kind", [RedisServer, ValkeyServer])
def test_every_frame_arrives_once_and_in_order_and_is_forgotten(
    start_server: Callable[..., Any], stage_on: Callable[..., Stage], kind: type[RedisServer]
) -> None:
    stage = stage_on(start_server(kind))
    worker, intake = stage.worker(), stage.intake()

    add(intake, *range(1000))
    settle(intake)

    assert worker.numbers() == list(range(1000))
    assert set(worker.attempts) == {1}
    assert sum(done.counts["written"] for done in stage.finished) == 1000
    assert intake.status()["done"] == {"written": 1000, "duplicate": 0, "rejected": 0, "filtered": 0}


def test_a_unix_socket_is_a_broker_too(start_server: Callable[..., Any], stage_on: Callable[..., Stage]) -> None:
    server = start_server(ValkeyServer)
    socket = server.folder / "broker.sock"
    server.stop()
    server._extra = ("--unixsocket", str(socket))
    server.start()
    stage = stage_on(server)
    stage.url = f"redis+socket://{socket}?virtual_host=0"
    stage.settings = stage.settings.model_copy(update={"broker": BrokerSettings(url=stage.url)})
    worker, intake = stage.worker(), stage.intake()

    add(intake, *range(50))
    settle(intake)

    assert worker.numbers() == list(range(50))


def test_what_came_while_the_broker_was_dead_is_sent_when_it_is_back(
    start_server: Callable[..., Any], stage_on: Callable[..., Stage]
) -> None:
    stage = stage_on(start_server(RedisServer))
    worker, intake = stage.worker(), stage.intake()
    add(intake, *range(100))
    settle(intake)

    stage.broker.kill()
    add(intake, *range(100, 500))
    wait_until(lambda: intake.status()["last_error"] is not None, timeout_s=60, what="the outage is noticed")
    wait_until(lambda: intake.status()["pending_batches"] >= 40, timeout_s=60, what="all waits in the journal")
    stage.broker.start()
    settle(intake)

    assert sorted(set(worker.numbers())) == list(range(500))
    first_seen = list(dict.fromkeys(worker.numbers()))
    assert first_seen == sorted(first_seen)
    assert intake.status()["last_error"] is None


def test_what_a_killed_broker_or_a_flush_took_along_is_sent_again(
    start_server: Callable[..., Any], stage_on: Callable[..., Stage]
) -> None:
    stage = stage_on(start_server(RedisServer))
    intake = stage.intake()
    add(intake, *range(100))
    wait_until(lambda: intake.status()["sent"] == 10, timeout_s=60, what="all is sent")

    redis.Redis.from_url(stage.url).flushall()
    worker = stage.worker()
    settle(intake)

    assert sorted(worker.numbers()) == list(range(100))
    assert set(worker.attempts) == {2}
    assert intake.status()["resent"] == 10


def test_batches_are_held_at_high_water_and_go_on_when_the_queue_is_low(
    start_server: Callable[..., Any], stage_on: Callable[..., Stage]
) -> None:
    stage = stage_on(start_server(RedisServer))
    intake = stage.intake()
    client = redis.Redis.from_url(stage.url)

    for start in range(0, 1000, 10):
        add(intake, *range(start, start + 10))
    wait_until(lambda: intake.status()["journaled_frames"] == 1000, timeout_s=60, what="all is journaled")
    wait_until(lambda: int(client.llen("validate")) >= 15, timeout_s=60, what="the queue has filled")
    time.sleep(0.5)  # long enough for several measurements: what may still be sent would be sent now
    deepest = int(client.llen("validate"))
    worker = stage.worker()
    settle(intake)

    assert 15 <= deepest <= 30
    assert sorted(set(worker.numbers())) == list(range(1000))
    assert intake.status()["resent"] == 0


def test_a_broker_near_its_memory_ceiling_is_sent_nothing_more(
    start_server: Callable[..., Any], stage_on: Callable[..., Stage]
) -> None:
    options = ("--maxmemory", "6mb", "--maxmemory-policy", "noeviction")
    stage = stage_on(start_server(RedisServer, extra=options))
    queue = QueueSettings(high_water=100_000, low_water=50_000)
    stage.settings = stage.settings.model_copy(update={"queue": queue})
    intake = stage.intake()
    client = redis.Redis.from_url(stage.url)

    for number in range(40):
        for _ in range(10):
            intake.sink.add(Frame("websocket", number, os.urandom(20_000)))
        time.sleep(0.02)  # the pace of a fast home: the gauge is read ten times a second
    wait_until(lambda: intake.status()["held"] is not None, timeout_s=60, what="held")
    used = client.info("memory")["used_memory"]
    client.delete("validate")  # somebody makes room
    wait_until(lambda: intake.status()["held"] is None, timeout_s=60, what="no longer held")

    assert used < 6_000_000
    assert intake.status()["last_error"] is None


def test_a_broker_at_its_ceiling_is_an_outage_not_a_crash(
    start_server: Callable[..., Any], stage_on: Callable[..., Stage]
) -> None:
    stage = stage_on(start_server(RedisServer))
    worker, intake = stage.worker(), stage.intake()
    client = redis.Redis.from_url(stage.url)
    client.config_set("maxmemory", 1)

    add(intake, *range(10))
    wait_until(lambda: intake.status()["held"] or intake.status()["last_error"], timeout_s=60, what="held or refused")
    with pytest.raises(errors.BrokerUnavailable, match=r"OOM|memory"):
        Producer(make_app(stage.url)).send("a.task", "validate", b"", task_id="1", shown="")
    client.config_set("maxmemory", 0)
    settle(intake)

    assert worker.numbers() == list(range(10))


def test_a_broker_that_is_not_there_is_said_so_quickly() -> None:
    for url in ("redis://127.0.0.1:1/0", "redis+socket:///nowhere.sock?virtual_host=0", "amqp://127.0.0.1:1//"):
        began = time.monotonic()

        with pytest.raises(errors.BrokerUnavailable):
            Producer(make_app(url)).send("a.task", "validate", b"", task_id="1", shown="")
        with pytest.raises(errors.BrokerUnavailable):
            BrokerGauge(make_app(url), ["validate"]).read()

        assert time.monotonic() - began < 6


def test_a_state_server_that_is_away_keeps_nothing_from_being_sent(
    start_server: Callable[..., Any], stage_on: Callable[..., Stage]
) -> None:
    stage = stage_on(start_server(RedisServer))
    state = start_server(RedisServer)
    stage.settings = stage.settings.model_copy(update={"state": StateSettings(url=state.url)})
    stage.state_url = state.url
    state.stop()
    intake = stage.intake()

    add(intake, *range(10))
    wait_until(lambda: intake.status()["sent"] == 1, timeout_s=60, what="it is sent all the same")
    error = intake.status()["last_error"]
    state.start()
    worker = stage.worker()
    settle(intake)

    assert error
    assert set(worker.numbers()) == set(range(10))


def test_rabbitmq_gets_the_same_and_may_be_restarted(
    start_server: Callable[..., Any], stage_on: Callable[..., Stage]
) -> None:
    stage = stage_on(start_server(RabbitMQ))
    worker, intake = stage.worker(), stage.intake()
    add(intake, *range(300))
    settle(intake)
    first = worker.numbers()

    stage.broker.stop()
    add(intake, *range(300, 600))
    wait_until(lambda: intake.status()["last_error"] is not None, timeout_s=60, what="the outage is noticed")
    stage.broker.start()
    settle(intake, timeout_s=60)

    assert first == list(range(300))
    assert sorted(set(worker.numbers())) == list(range(600))


def test_rabbitmq_holds_at_high_water(rabbitmq: RabbitMQ, stage_on: Callable[..., Stage]) -> None:
    stage = stage_on(rabbitmq)
    intake = stage.intake()
    gauge = BrokerGauge(make_app(stage.url), ["validate", "no-such-queue"])

    for start in range(0, 1000, 10):
        add(intake, *range(start, start + 10))
    wait_until(lambda: gauge.read().depths["validate"] >= 15, timeout_s=60, what="the queue has filled")
    time.sleep(0.5)  # long enough for several measurements
    load = gauge.read()
    worker = stage.worker()
    settle(intake)
    gauge.close()

    assert 15 <= load.depths["validate"] <= 30
    assert load.depths["no-such-queue"] == 0
    assert load.memory_share is None
    assert sorted(set(worker.numbers())) == list(range(1000))


LISTENER = """
import sys, time
from ingestor.events.frame import Frame
from ingestor.intake.assemble import open_intake
from ingestor.settings import Settings

settings = Settings.model_validate_json(sys.argv[1])
with open_intake(settings, "home", sys.argv[2], "mqtt") as intake:
    print("ready", flush=True)
    number = 0
    while True:
        for number in range(number + 1, number + 6):
            frame = Frame("topic", time.time_ns(), b"%d" % number, "a/b", False, ((number % 65535, number),))
            intake.sink.add(frame, lambda number=number: print(number, flush=True))
        time.sleep(0.002)
"""


def test_what_a_killed_listener_acknowledged_arrives_and_is_known_as_delivered(
    start_server: Callable[..., Any], stage_on: Callable[..., Stage]
) -> None:
    stage = stage_on(start_server(RedisServer))
    worker = stage.worker()
    acknowledged: list[int] = []

    for _ in range(3):
        acknowledged = _run_and_kill(stage, after=300)
        with open_intake(stage.settings, "home", stage.listener, "mqtt") as intake:
            known = {number for _, number in intake.known_deliveries()}
            settle(intake)
        assert set(acknowledged) <= set(worker.numbers())
        assert set(acknowledged[-100:]) <= known
        worker.batches.clear()


def _run_and_kill(stage: Stage, after: int) -> list[int]:
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENER, stage.settings.model_dump_json(), stage.listener],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(errors.Fatal, match=f"in use by process {process.pid}"):
            open_intake(stage.settings, "home", stage.listener, "mqtt").__enter__()
        told = [int(process.stdout.readline()) for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split("\n")[:-1]
    finally:
        process.kill()
        process.wait()
    return [*told, *(int(line) for line in rest)]
