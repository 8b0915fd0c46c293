"""Gaps in the whole stack, on the demo home: whatever is cut or killed, afterwards the store holds what happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.homeassistant.talk import Conversation
from tests.servers import free_port
from tests.system.line import Line
from tests.system.stack import ROOT, Stack, wait_until
from tests.system.witness import Witness

Change = tuple[str, int, str | None]


class Demo:
    """The demo home in a process of its own; the stack hears it by a line that can be cut, the test by another."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._log = (folder / "demo.out").open("w")
        command = [sys.executable, "-m", "ingestor.demo", "--port", str(self.port), *options]
        self.process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=self._log, stderr=self._log
        )

    def connect(self) -> Conversation:
        return Conversation(f"http://127.0.0.1:{self.port}", "demo-home-token")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self._log.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    home = Demo(tmp_path_factory.mktemp("demo"), "--entities", "60", "--rate", "40")
    yield home
    home.close()


@pytest.fixture(scope="module")
def line(demo: Demo) -> Iterator[Line]:
    with Line(demo.port) as line:
        yield line


@pytest.fixture(scope="module")
def witness(demo: Demo) -> Iterator[Witness]:
    wait_until(lambda: _answers(demo), 60, "the demo home")
    witness = Witness(demo)
    yield witness
    witness.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, line: Line, witness: Witness) -> Iterator[Stack]:
    """One stack for all tests here; each has its own stretch of time."""
    stack = Stack(
        tmp_path_factory.mktemp("gaps") / "data",
        HA_INGESTOR_HOMEASSISTANT__URL=f"http://127.0.0.1:{line.port}",
        HA_INGESTOR_HOMEASSISTANT__TOKEN="demo-home-token",
    )
    try:
        stack.start()
        wait_until(lambda: stack.events("--limit", "1"), 90, "a first event")
        yield stack
    finally:
        if not stack.ended():
            stack.stop()


def _answers(demo: Demo) -> bool:
    try:
        demo.connect().cut()
    except OSError:
        return False
    return True


def gaps(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stack.run("gaps", "--json"))
    return found


def ended(stack: Stack, since_us: int) -> list[dict[str, Any]]:
    """Return the gaps that ended after a time, once there is one and all have been filled or given up."""

    def found() -> list[dict[str, Any]]:
        now = gaps(stack)
        return [gap for gap in now["gaps"] if gap["end_us"] > since_us] if now["all_ended"] else []

    told = wait_until(found, 60, "gaps that ended")
    assert isinstance(told, list)
    return told


def truth(witness: Witness, start_us: int, end_us: int) -> Counter[Change]:
    said = witness.of_type("state_changed")
    return Counter(one.change for one in said if start_us <= one.time_us < end_us)


def stored(stack: Stack, start_us: int, end_us: int) -> Counter[Change]:
    events = stack.events("--kind", "state", "--limit", "100000")
    changes = [(one["fields"]["entity_id"], one["time_ns"] // 1000, one["fields"].get("state")) for one in events]
    return Counter(change for change in changes if start_us <= change[1] < end_us)


def compared(stack: Stack, witness: Witness, start_us: int) -> None:
    """See that from the start until now what is stored is what happened, once each."""
    end_us = time.time_ns() // 1000
    wait_until(lambda: witness.said[-1].time_us > end_us, 60, "more happens")
    expected = truth(witness, start_us, end_us)
    wait_until(lambda: not expected - stored(stack, start_us, end_us), 60, "everything stored")
    assert stored(stack, start_us, end_us) == expected
    assert len(expected) > 100


def test_a_line_that_was_cut_leaves_a_gap_that_is_filled_with_what_happened(
    stack: Stack, line: Line, witness: Witness
) -> None:
    start_us = time.time_ns() // 1000

    line.cut()
    cut_us = time.time_ns() // 1000
    wait_until(lambda: len(truth(witness, cut_us, 2**62)) > 150, 60, "enough happens")
    line.mend()

    (gap,) = ended(stack, start_us)
    assert (gap["state"], gap["why"]) == ("filled", "")
    assert gap["reason"] in {"cut", "unreachable"}
    assert gap["start_us"] <= cut_us + 1_000_000
    assert gap["counts"]["written"] >= 150
    compared(stack, witness, start_us)
    filled = [one for one in stack.events("--limit", "100000") if one["fields"].get("origin") == "history"]
    assert len(filled) >= gap["counts"]["written"]


def test_neither_a_killed_listener_nor_a_worker_killed_while_it_fills_costs_anything(
    stack: Stack, line: Line, witness: Witness
) -> None:
    start_us = time.time_ns() // 1000
    (listener,) = stack.pids("listen websocket")
    writers = [psutil.Process(pid) for pid in stack.pids("-Q write")]

    for writer in writers:
        writer.suspend()  # what is read back cannot be written: the gap stays half filled until the worker is killed
    os.kill(listener, signal.SIGKILL)
    wait_until(lambda: _is_being_read(stack), 60, "a gap of which something was read")
    for pid in stack.pids("-Q registry,history"):
        os.kill(pid, signal.SIGKILL)
    for writer in writers:
        with suppress(psutil.NoSuchProcess):  # on a slow machine it was taken for hung and replaced
            writer.resume()

    (gap,) = ended(stack, start_us)
    assert (gap["reason"], gap["state"]) == ("not_running", "filled")
    compared(stack, witness, start_us)


def _is_being_read(stack: Stack) -> bool:
    return any(gap["state"] == "filling" and gap["progress"].get("stage") == "reading" for gap in gaps(stack)["gaps"])
