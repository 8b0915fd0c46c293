"""Two real beats over one state server: one acts, the other follows when it is killed, nothing is sent twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.conftest import StartServer
from tests.servers import wait_until
from tests.servers_brokers import RedisServer

ROOT = Path(__file__).resolve().parents[2]
#: As `ha-ingestor beat` runs it, but for times: its lock lives 25 s there, and it looks every 5 s.
LOCK_S, EVERY_S, SLOW_EVERY_S = 3, 1.0, 5.0
_BEAT = f"""
from workers.app import build
app = build()
options = {{"queue": "ticks"}}
app.conf.update(
    redbeat_lock_timeout={LOCK_S},
    beat_max_loop_interval=0.5,
    beat_schedule={{
        "tick": {{"task": "tests.tick", "schedule": {EVERY_S}, "options": options}},
        "slow": {{"task": "tests.slow", "schedule": {SLOW_EVERY_S}, "options": options}},
    }},
)
app.Beat(loglevel="info", pidfile=None).run()
"""


@pytest.fixture
def beat(start_server: StartServer, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    broker = start_server(RedisServer)
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HA_INGESTOR_DATA_DIR": str(tmp_path / name),
            "HA_INGESTOR_BROKER__URL": broker.url,
        }
        with (tmp_path / f"{name}.log").open("wb") as log:
            words = [sys.executable, "-c", _BEAT]
            started.append(subprocess.Popen(words, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT))
        return started[-1]

    start.broker = broker  # type: ignore[attr-defined] # a test asks it what was sent
    yield start
    for process in started:
        process.kill()
        process.wait(10)


def test_one_of_two_beats_acts_and_when_it_is_killed_the_other_sends_what_is_due_once(
    beat: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    client = redis.Redis.from_url(beat.broker.url)  # type: ignore[attr-defined] # see the fixture

    def sent(task: str) -> list[str]:
        return [task for message in client.lrange("ticks", 0, -1) if json.loads(message)["headers"]["task"] == task]

    def acts(name: str) -> bool:
        return "Acquired lock" in (tmp_path / f"{name}.log").read_text(errors="replace")

    first = beat("one")
    wait_until(lambda: bool(sent("tests.tick")), timeout_s=60, what="a first tick")
    began = time.monotonic()
    beat("two")
    wait_until(
        lambda: "Acquiring lock" in (tmp_path / "two.log").read_text() or len(sent("tests.tick")) > 5,
        timeout_s=60,
        what="both run",
    )
    wait_until(lambda: len(sent("tests.tick")) > 3, timeout_s=60, what="some ticks")
    assert acts("one")
    assert not acts("two")

    first.kill()
    killed_at, before = time.monotonic(), len(sent("tests.tick"))
    wait_until(lambda: len(sent("tests.tick")) > before, timeout_s=60, what="the other one acts")
    followed_s = time.monotonic() - killed_at
    assert acts("two")
    assert followed_s < LOCK_S + 5

    wait_until(lambda: len(sent("tests.slow")) >= 3, timeout_s=60, what="the slow one, three times")
    elapsed_s = time.monotonic() - began
    assert len(sent("tests.tick")) <= elapsed_s / EVERY_S + 2
    assert elapsed_s >= SLOW_EVERY_S
    assert len(sent("tests.slow")) <= elapsed_s / SLOW_EVERY_S + 2
    client.close()
