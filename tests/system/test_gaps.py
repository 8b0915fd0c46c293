"""Gaps in the whole stack, on the demo home: whatever is cut or killed, afterwards the store holds what happened."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from tests.system.demo_home import Demo, answers, compared, ended, gaps, truth
from tests.system.line import Line
from tests.system.stack import Stack, wait_until
from tests.system.witness import Witness


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
    wait_until(lambda: answers(demo), 60, "the demo home")
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
