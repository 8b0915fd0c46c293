"""Beat before real brokers: what is due is sent however often the line to the broker breaks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from celery.schedules import schedule

from ingestor import bootstrap
from ingestor.cli.exit_codes import ExitCode
from ingestor.queue.app import make_app
from ingestor.queue.depths import queue_depths
from tests.servers import free_port, wait_until
from tests.servers_brokers import RabbitMQ, RedisServer
from tests.system.line import Line
from workers.beat_inside import BeatInside
from workers.schedule import Scheduler

EVERY_S = 0.2


@pytest.fixture(params=["rabbitmq", "redis_server"])
def broker(request: pytest.FixtureRequest) -> RabbitMQ | RedisServer:
    """Each broker in turn."""
    server: RabbitMQ | RedisServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def line(broker: RabbitMQ | RedisServer) -> Iterator[Line]:
    """The line between beat and its broker."""
    with Line(broker.port) as found:
        yield found


@pytest.fixture
def queue(
    broker: RabbitMQ | RedisServer,
    line: Line,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[Scheduler, Callable[[], int]]]:
    """A scheduler with one task that is due all the time, and how many of it are in its queue."""
    monkeypatch.setenv("HA_INGESTOR_DATA_DIR", str(tmp_path))
    bootstrap.settings.cache_clear()
    name = f"beat-{uuid.uuid4().hex}"
    app = make_app(broker.url.replace(f":{broker.port}", f":{line.port}"))
    app.conf.broker_connection_timeout = 1
    app.conf.redbeat_redis_url = redis_server.url
    app.conf.redbeat_key_prefix = f"{name}:"
    app.conf.beat_schedule = {"due": {"task": "tests.due", "schedule": EVERY_S, "options": {"queue": name}}}
    scheduler = Scheduler(app)
    scheduler.lock_key = None  # one beat, nobody to compete with
    yield scheduler, lambda: queue_depths(broker.url, [name])[name]
    scheduler.close()
    app.close()
    bootstrap.settings.cache_clear()


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder and a data folder that hold nothing."""
    working = tmp_path / "working"
    working.mkdir()
    monkeypatch.chdir(working)
    monkeypatch.setenv("HA_INGESTOR_DATA_DIR", str(tmp_path / "data"))
    bootstrap.settings.cache_clear()
    yield working
    bootstrap.settings.cache_clear()


def tick_until(scheduler: Scheduler, met: Callable[[], bool]) -> None:
    """Let beat do what it does, at its pace."""
    deadline = time.monotonic() + 30
    while not met():
        assert time.monotonic() < deadline, "not within 30 s"
        time.sleep(min(scheduler.tick(), EVERY_S))


def test_what_is_due_is_sent_again_after_the_line_to_the_broker_was_cut(
    queue: tuple[Scheduler, Callable[[], int]], line: Line
) -> None:
    scheduler, sent = queue
    tick_until(scheduler, lambda: sent() > 1)

    line.cut()
    scheduler.tick()
    line.mend()

    before = sent()
    tick_until(scheduler, lambda: sent() > before)


def test_what_was_due_while_the_broker_was_away_is_due_until_it_was_sent(
    queue: tuple[Scheduler, Callable[[], int]], line: Line
) -> None:
    scheduler, sent = queue
    often = scheduler.schedule["due"]
    hourly = scheduler.Entry("hourly", "tests.due", schedule(3600), options=often.options, app=scheduler.app)
    often.delete()
    hourly.save().reschedule(datetime.now(UTC) - timedelta(hours=2))

    line.cut()
    scheduler.tick()
    assert sent() == 0
    line.mend()

    tick_until(scheduler, lambda: sent() > 0)
    for _ in range(3):
        scheduler.tick()
    assert sent() == 1


def test_beat_shows_a_sign_of_life_with_each_tick(queue: tuple[Scheduler, Callable[[], int]], tmp_path: Path) -> None:
    scheduler, _ = queue

    scheduler.tick()
    (sign,) = (tmp_path / "run").iterdir()
    first = sign.stat().st_mtime_ns
    tick_until(scheduler, lambda: sign.stat().st_mtime_ns > first)

    scheduler.close()
    assert not sign.exists()


def test_of_two_nodes_with_beat_inside_one_acts_and_neither_leaves_a_file_where_it_works(
    redis_server: RedisServer, settled: Path
) -> None:
    name = f"inside-{uuid.uuid4().hex}"

    def beat() -> BeatInside:
        app = make_app(redis_server.url)
        app.conf.redbeat_redis_url = redis_server.url
        app.conf.redbeat_key_prefix = f"{name}:"
        app.conf.redbeat_lock_key = f"{name}:lock"
        app.conf.beat_schedule = {"due": {"task": "tests.due", "schedule": EVERY_S, "options": {"queue": name}}}
        return BeatInside(app, failed.set)

    def sends_more() -> None:
        before = queue_depths(redis_server.url, [name])[name]
        more = lambda: queue_depths(redis_server.url, [name])[name] > before + 2  # noqa: E731 -- as short as this
        wait_until(more, timeout_s=60, what="more that is due")

    failed = threading.Event()
    first, second = beat(), beat()
    first.start()
    wait_until(lambda: first.acts, timeout_s=60, what="the lock")
    second.start()

    sends_more()
    acted = second.acts
    first.stop()
    wait_until(lambda: second.acts, timeout_s=60, what="the lock given back")
    sends_more()
    second.stop()

    assert not acted
    assert list(settled.iterdir()) == []
    assert not failed.is_set()


def test_beat_without_its_state_server_ends_with_a_sentence_that_says_where_to_look(tmp_path: Path) -> None:
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    environ = {**os.environ, "HA_INGESTOR_DATA_DIR": str(tmp_path), "HA_INGESTOR_BROKER__URL": nobody}

    done = subprocess.run(
        [sys.executable, "-m", "ingestor", "beat"], env=environ, capture_output=True, text=True, timeout=60, check=False
    )

    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert done.returncode == ExitCode.UNAVAILABLE
    assert len(said) == 1
    assert "doctor" in said[0]
    assert "Traceback" not in done.stderr + done.stdout
