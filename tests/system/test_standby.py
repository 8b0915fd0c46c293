"""A hot standby in the whole stack: the listener that leads is killed, and what nobody heard is read back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.demo_home import Demo, answers, compared, ended
from tests.system.stack import ROOT, Stack, wait_until
from tests.system.witness import Witness

#: The listener on the other host, that no supervisor of this one starts.
OTHER = "home:websocket-2"
FIRST = "home:websocket"


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    home = Demo(tmp_path, "--entities", "60", "--rate", "40")
    yield home
    home.close()


@pytest.fixture
def witness(demo: Demo) -> Iterator[Witness]:
    wait_until(lambda: answers(demo), 60, "the demo home")
    witness = Witness(demo)
    yield witness
    witness.close()


@pytest.fixture
def stack(tmp_path: Path, demo: Demo, witness: Witness) -> Iterator[Stack]:
    stack = Stack(
        tmp_path / "data",
        HA_INGESTOR_HOMEASSISTANT__URL=f"http://127.0.0.1:{demo.port}",
        HA_INGESTOR_HOMEASSISTANT__TOKEN="demo-home-token",
        HA_INGESTOR_HOMEASSISTANT__STANDBY="true",
        HA_INGESTOR_FLOWER__ENABLED="false",
    )
    try:
        stack.start()
        wait_until(lambda: stack.events("--limit", "1"), 90, "a first event")
        yield stack
    finally:
        if not stack.ended():
            stack.stop()


@pytest.fixture
def other(stack: Stack, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A second listener of the home, with a data folder of its own, as another host has one."""
    environ = {
        **stack.environ,
        "HA_INGESTOR_DATA_DIR": str(tmp_path / "other"),
        "HA_INGESTOR_WORKERS__HOST": "other",
        "HA_INGESTOR_BROKER__URL": f"redis+socket://{stack.folder / 'broker' / 'valkey.sock'}?virtual_host=0",
        "PYTHONPATH": str(ROOT),
    }
    words = [sys.executable, "-m", "ingestor", "listen", "websocket", "--name", OTHER.partition(":")[2]]
    with (tmp_path / "other.out").open("wb") as out:
        process = subprocess.Popen(words, cwd=tmp_path, env=environ, stdout=out, stderr=subprocess.STDOUT)
    yield process
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(15)
    process.kill()


def listener(stack: Stack, name: str) -> dict[str, Any]:
    """Return what the status says of a listener."""
    told = json.loads(stack.run("status", "--json"))["listeners"] or []
    return next((one for one in told if one["name"] == name), {})


def test_the_standby_listens_when_the_leader_is_killed_and_the_gap_is_filled_with_what_happened(
    stack: Stack, other: subprocess.Popen[bytes], witness: Witness
) -> None:
    wait_until(lambda: listener(stack, OTHER).get("standing_by"), 60, "the other one stands by")
    start_us = time.time_ns() // 1000
    (leader,) = stack.pids("listen websocket")
    assert stack.process is not None
    supervisor = psutil.Process(stack.process.pid)

    supervisor.suspend()  # else it starts the leader again, and that one may be the first
    try:
        os.kill(leader, signal.SIGKILL)
        killed_us = time.time_ns() // 1000
        wait_until(lambda: listener(stack, OTHER).get("connected"), 60, "the other one listens")
    finally:
        supervisor.resume()

    (gap,) = ended(stack, start_us)
    assert (gap["listener"], gap["state"], gap["why"]) == ("websocket-2", "filled", "")
    assert gap["start_us"] <= killed_us <= gap["end_us"]
    assert gap["counts"]["written"] > 0
    compared(stack, witness, start_us)
    wait_until(lambda: listener(stack, FIRST).get("standing_by"), 60, "the first one stands by now")
    assert listener(stack, OTHER)["connected"]
    assert other.poll() is None
