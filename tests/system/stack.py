"""The whole stack, seen from outside: these tests import nothing of the product (tests/system/README.md)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 60


def wait_until(met: Callable[[], Any], within_s: float, what: str) -> Any:
    """Return the first true answer; fail with `what` when there is none in time."""
    deadline = time.monotonic() + within_s
    while True:
        if answer := met():
            return answer
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within_s:g} s: {what}")
        time.sleep(0.1)  # the pace of asking; what is waited for is the condition


class Stack:
    """`ha-ingestor up` in a data folder of its own, on free ports."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.api = f"http://127.0.0.1:{(api := free_port())}"
        self.flower = f"http://127.0.0.1:{(flower := free_port())}"
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("HA_INGESTOR_")},
            "HA_INGESTOR_DATA_DIR": str(folder),
            "HA_INGESTOR_API__PORT": str(api),
            "HA_INGESTOR_FLOWER__PORT": str(flower),
            **settings,
        }
        self._out = (folder.parent / f"{folder.name}.out").open("w+")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Stack:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ingestor", "up"],
            cwd=self.folder.parent,
            env={**self.environ, "PYTHONPATH": str(ROOT)},
            stdout=self._out,
            stderr=subprocess.STDOUT,
        )
        wait_until(lambda: "HA-Ingestor is running" in self.printed() or self.ended(), START_LIMIT_S, "the banner")
        assert not self.ended(), self.printed()
        return self

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> tuple[int, float]:
        """Send SIGTERM; return the exit code and the seconds it took."""
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        finally:
            self.process.kill()
        return code, time.monotonic() - started

    def printed(self) -> str:
        return Path(self._out.name).read_text()

    def log(self, name: str) -> str:
        path = self.folder / "logs" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def run(self, *words: str, code: int | None = 0) -> str:
        """Run a command of the command line; return what it wrote to stdout."""
        done = subprocess.run(
            [sys.executable, "-m", "ingestor", *words],
            cwd=self.folder.parent,
            env={**self.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def events(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("events", "--json", *words).splitlines() if line.strip()]

    def health(self) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = requests.get(f"{self.api}/api/health", timeout=5).json()
        except requests.RequestException:
            return {}
        return answer

    def pids(self, words: str = "") -> list[int]:
        """Return the processes under this stack's supervisor whose command line has these words."""
        assert self.process is not None
        family = psutil.Process(self.process.pid).children(recursive=True)
        return [child.pid for child in family if words in _words_of(child)]


def _words_of(process: psutil.Process) -> str:
    """Return a command line; one that has just ended has none, and matches nothing."""
    try:
        return " ".join(process.cmdline()) or "-"
    except psutil.NoSuchProcess:
        return "-"


@contextmanager
def numbered_events(port: int, count: int, rate: int, token: str) -> Iterator[None]:
    """Run a home whose states are the numbers from 0 on; it begins when it is listened to."""
    pace = ("--load", "--entities", "200", "--rate", str(rate), "--count", str(count))
    home = subprocess.Popen(
        [sys.executable, "-m", "ingestor.demo", "--port", str(port), "--token", token, *pace],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        home.terminate()
        try:
            home.wait(15)
        finally:
            home.kill()


@pytest.fixture
def stack_factory(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Start stacks; stop them at the end of the test."""
    started: list[Stack] = []

    def start(**settings: str) -> Stack:
        stack = Stack(tmp_path / f"data{len(started)}", **settings)
        started.append(stack)
        return stack.start()

    yield start
    for stack in started:
        if not stack.ended():
            stack.stop()
