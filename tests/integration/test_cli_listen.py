"""`ha-ingestor listen websocket` as a process: from the socket to the queue, its heartbeat, its memory, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
import redis

from ingestor.cli.exit_codes import ExitCode
from ingestor.queue.status_board import StatusBoard
from tests.conftest import StartServer
from tests.integration.websocket_listener_home import ScriptedHome
from tests.servers import wait_until
from tests.servers_brokers import RedisServer

ROOT = Path(__file__).resolve().parents[2]
Listen = Callable[[ScriptedHome], subprocess.Popen[str]]


@pytest.fixture
def broker(start_server: StartServer) -> RedisServer:
    return start_server(RedisServer)


@pytest.fixture
def listen(tmp_path: Path, broker: RedisServer) -> Iterator[Listen]:
    started: list[subprocess.Popen[str]] = []

    def start(home: ScriptedHome) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "HA_INGESTOR_DATA_DIR": str(tmp_path / "data"),
            "HA_INGESTOR_BROKER__URL": broker.url,
            "HA_INGESTOR_HOMEASSISTANT__URL": home.url,
            "HA_INGESTOR_HOMEASSISTANT__TOKEN": "token",
        }
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "ingestor", "listen", "websocket"],
                env=environment,
                cwd=ROOT,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def state_changed(number: int) -> dict[str, Any]:
    at = f"2024-03-01T12:00:00.{number:06d}+00:00"
    state = {"entity_id": "sensor.a", "state": str(number), "attributes": {}, "last_changed": at, "last_updated": at}
    event = {
        "event_type": "state_changed",
        "data": {"entity_id": "sensor.a", "old_state": None, "new_state": state},
        "origin": "LOCAL",
        "time_fired": at,
        "context": {"id": f"{number:026d}", "parent_id": None, "user_id": None},
    }
    return {"id": 1, "type": "event", "event": event}


def waiting(broker: RedisServer) -> int:
    return len(redis.Redis.from_url(broker.url).lrange("validate", 0, -1))


def entry_of(board: StatusBoard) -> dict[str, Any]:
    return board.all().get("listener:home:websocket", {})


def pending(board: StatusBoard) -> int:
    return int(entry_of(board).get("intake", {}).get("pending_batches", 0))


def test_frames_reach_the_queue_and_the_board_tells_how_the_listener_is(
    listen: Listen, broker: RedisServer, tmp_path: Path
) -> None:
    state = redis.Redis.from_url(broker.url)
    board = StatusBoard(state)
    with ScriptedHome() as home:
        process = listen(home)
        line = home.line(0)
        line.send([state_changed(number) for number in range(100)])

        wait_until(lambda: waiting(broker) == 1, timeout_s=60, what="the batch in its queue")
        wait_until(lambda: pending(board) == 1, timeout_s=60, what="a heartbeat that knows the batch")
        entry = entry_of(board)
        assert entry["connected"]
        assert entry["kind"] == "websocket"
        assert entry["pid"] == process.pid
        assert entry["frames"] == 1
        assert entry["intake"]["counts"]["written"] == 0
        assert state.exists("ha_ingestor:ws_up:home")
        assert 0 < state.ttl("ha_ingestor:ws_up:home") <= 5

        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == ExitCode.OK

    assert entry_of(board) == {}
    assert list((tmp_path / "data" / "journal").rglob("*"))


def test_the_broker_away_hurts_neither_the_listener_nor_its_stop(listen: Listen, broker: RedisServer) -> None:
    with ScriptedHome() as home:
        process = listen(home)
        line = home.line(0)
        broker.close()

        line.send([state_changed(number) for number in range(100)])
        time.sleep(1.5)  # longer than a heartbeat: what is asserted is that nothing happens

        assert process.poll() is None
        assert not line.ended.is_set()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == ExitCode.OK


def test_a_refused_token_ends_the_listener_with_code_4_after_one_attempt(listen: Listen, broker: RedisServer) -> None:
    with ScriptedHome(refuse_token=True) as home:
        process = listen(home)
        _, told = process.communicate(timeout=20)

        assert process.returncode == ExitCode.REFUSED
        assert len(home.lines) == 1
        assert "refused the access token" in told.splitlines()[-1]

    left = entry_of(StatusBoard(redis.Redis.from_url(broker.url)))
    assert not left["connected"]
    assert "refused the access token" in left["last_error"]


def test_a_listener_under_load_stays_below_80_mb(listen: Listen, broker: RedisServer) -> None:
    with ScriptedHome() as home:
        process = listen(home)
        line = home.line(0)
        frame = orjson.dumps([state_changed(number) for number in range(50)])
        for _ in range(400):
            line.send(frame)
        wait_until(lambda: waiting(broker) >= 5, timeout_s=60, what="batches in the queue")
        wait_until(
            lambda: entry_of(StatusBoard(redis.Redis.from_url(broker.url))).get("frames", 0) >= 400,
            timeout_s=60,
            what="all frames taken",
        )

        used_mb = psutil.Process(process.pid).memory_info().rss / 1e6

        assert used_mb < 80
