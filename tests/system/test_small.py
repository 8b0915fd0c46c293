"""`ha-ingestor up --profile small`, seen from outside: which processes there are, and that each tells how it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.system.stack import ROOT, Stack, wait_until


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests here."""
    stack = Stack(tmp_path_factory.mktemp("small") / "data", HA_INGESTOR_PROFILE="small")
    try:
        yield stack.start()
    finally:
        if not stack.ended():
            stack.stop()


def processes(stack: Stack, process: str = "all") -> dict[str, dict[str, Any]]:
    """Return what `health` tells, by the kind of process."""
    return {one["kind"]: one for one in json.loads(stack.run("health", process, "--json", code=None))}


def are_ready(stack: Stack, kinds: set[str]) -> dict[str, dict[str, Any]]:
    told = processes(stack)
    return told if kinds <= told.keys() and all(one["alive"] and one["ready"] for one in told.values()) else {}


def test_each_process_is_alive_and_ready_and_tells_its_version(stack: Stack) -> None:
    kinds = {"supervisor", "worker", "listener", "api"}

    told = wait_until(lambda: are_ready(stack, kinds), 60, "all ready")

    version = stack.run("--version").split()[-1]
    assert told.keys() == kinds
    assert {one["version"] for one in told.values()} == {version}
    assert {told[kind]["pid"] for kind in ("worker", "listener", "api")} <= set(stack.pids())
    assert stack.run("health", "--ready")
    assert requests.get(f"{stack.api}/livez", timeout=5).status_code == 200
    wait_until(lambda: requests.get(f"{stack.api}/readyz", timeout=5).status_code == 200, 60, "the API says ready")


@pytest.mark.parametrize("asked", ["worker", "validate", "enrich", "write", "registry", "upkeep", "beat"])
def test_the_one_node_answers_for_every_queue_and_for_beat(stack: Stack, asked: str) -> None:
    wait_until(lambda: are_ready(stack, {"worker"}), 60, "the node is ready")

    assert processes(stack, asked).keys() == {"worker"}
    probe = [sys.executable, "-m", "ingestor.cli.probe", asked, "--ready"]
    assert subprocess.run(probe, cwd=ROOT, env=stack.environ, check=False).returncode == 0


def test_what_is_not_there_fails(stack: Stack) -> None:
    assert stack.run("health", "flower", code=1) == ""


def test_a_node_that_is_killed_is_missed_and_comes_back(stack: Stack) -> None:
    before = wait_until(lambda: are_ready(stack, {"worker"}), 60, "the node is ready")["worker"]["pid"]

    os.kill(before, signal.SIGKILL)

    wait_until(lambda: before not in {one["pid"] for one in processes(stack).values()}, 60, "it is missed")
    after = wait_until(lambda: are_ready(stack, {"worker"}), 60, "the node is ready again")["worker"]["pid"]
    assert after != before
