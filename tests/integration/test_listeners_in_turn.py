"""Two listeners of one home, of which one listens: the other one takes over, and what nobody heard is a gap."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from ingestor import errors
from ingestor.cli.standing_by import require_own_name
from ingestor.intake.leadership import Leadership
from ingestor.queue.names import TaskType
from ingestor.queue.state import connect_state
from ingestor.queue.status_board import StatusBoard
from tests.conftest import StartServer
from tests.integration.websocket_listener_home import ScriptedHome
from tests.servers import wait_until
from tests.servers_brokers import RedisServer

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[[ScriptedHome, str], "subprocess.Popen[bytes]"]


@pytest.fixture
def broker(start_server: StartServer) -> RedisServer:
    return start_server(RedisServer)


@pytest.fixture
def state(broker: RedisServer) -> Iterator[redis.Redis[bytes]]:
    client = connect_state(broker.url)
    yield client
    client.close()


@pytest.fixture
def start(tmp_path: Path, broker: RedisServer) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def listen(home: ScriptedHome, name: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "HA_INGESTOR_DATA_DIR": str(tmp_path / name),
            "HA_INGESTOR_BROKER__URL": broker.url,
            "HA_INGESTOR_HOMEASSISTANT__URL": home.url,
            "HA_INGESTOR_HOMEASSISTANT__TOKEN": "token",
            "HA_INGESTOR_HOMEASSISTANT__STANDBY": "true",
            "HA_INGESTOR_HOMEASSISTANT__LISTENER": name,
        }
        words = [sys.executable, "-m", "ingestor", "listen", "websocket"]
        started.append(subprocess.Popen(words, env=environment, cwd=ROOT))
        return started[-1]

    yield listen
    for process in started:
        process.kill()
        process.wait(10)


def told(state: redis.Redis[bytes], name: str) -> dict[str, Any]:
    return StatusBoard(state).all().get(f"listener:home:{name}", {})


def event(number: int) -> dict[str, Any]:
    at = f"2026-01-01T00:00:{number:02d}+00:00"
    data = {"entity_id": "sensor.a", "old_state": None, "new_state": {"entity_id": "sensor.a", "state": str(number)}}
    fired = {"event_type": "state_changed", "data": data, "origin": "LOCAL", "time_fired": at}
    return {"id": 1, "type": "event", "event": fired}


def gaps_told(state: redis.Redis[bytes]) -> list[dict[str, Any]]:
    """Return what was sent to the task that notes gaps."""
    found = []
    for packed in state.lrange(TaskType.HISTORY.value, 0, -1):
        body = msgspec.msgpack.decode(base64.b64decode(msgspec.json.decode(packed)["body"]))
        found.append(msgspec.json.decode(body[0][0]))
    return found


def test_when_the_one_that_listens_is_killed_the_other_takes_over_within_five_seconds_and_notes_the_gap(
    start: Start, state: redis.Redis[bytes]
) -> None:
    with ScriptedHome() as home:
        first = start(home, "one")
        line = home.line(0)
        start(home, "two")
        wait_until(lambda: told(state, "two").get("standing_by") is True, timeout_s=60, what="the other stands by")
        assert state.exists("ha_ingestor:ws_up:home")
        line.send(event(5))
        wait_until(
            lambda: bool(state.exists("ha_ingestor:heard:home:websocket-leader")), timeout_s=60, what="it is told"
        )

        first.send_signal(signal.SIGKILL)
        killed_at = time.monotonic()
        again = home.line(1)
        took_s = time.monotonic() - killed_at

        assert took_s < 5
        again.send(event(9))
        wait_until(lambda: any(gap["end_us"] for gap in gaps_told(state)), timeout_s=60, what="the gap is told")
        (gap,) = [gap for gap in gaps_told(state) if gap["end_us"]][:1]
        assert gap["listener"] == "two"
        assert gap["start_us"] == 1767225605_000_000


def test_one_leads_and_who_was_held_up_learns_that_another_one_does(state: redis.Redis[bytes]) -> None:
    one, two = (Leadership(state, "x", lease_s=0.3) for _ in range(2))
    one.step()
    two.step()
    assert (one.leading.is_set(), two.leading.is_set()) == (True, False)

    wait_until(lambda: not two.step() or two.leading.is_set(), timeout_s=60, what="the lease runs out")
    one.step()
    assert (one.leading.is_set(), one.over.is_set()) == (False, True)

    two.stop()
    one.step()
    assert one.leading.is_set()


def test_who_leads_goes_on_while_the_state_server_is_away(broker: RedisServer, state: redis.Redis[bytes]) -> None:
    one, two = Leadership(state, "x"), Leadership(state, "x")
    one.step()
    broker.stop()

    one.step()
    two.step()

    assert one.leading.is_set()
    assert not two.leading.is_set()


def test_two_hosts_cannot_have_a_listener_of_one_name(
    state: redis.Redis[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestor.cli.standing_by.EXPIRES_AFTER_S", -2)
    board = StatusBoard(state)
    board.put("listener", "home:websocket", {"host": "attic", "connected": True})

    require_own_name(board, "home", "websocket", "attic", threading.Event())
    require_own_name(board, "home", "websocket-2", "cellar", threading.Event())
    with pytest.raises(errors.InvalidSettings, match="'attic' has a listener 'websocket'"):
        require_own_name(board, "home", "websocket", "cellar", threading.Event())
