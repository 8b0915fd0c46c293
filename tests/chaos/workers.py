"""The workers of a second host: started there, and started again when they end, as a service manager would do."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

KINDS = ("validate", "enrich", "write", "rare")
_LOOK_EVERY_S = 1.0
_STOP_WITHIN_S = 10.0


class WorkersElsewhere:
    """One node of each kind. `start` runs words on the host and writes what they print to a file."""

    def __init__(self, start: Callable[[list[str], Path], subprocess.Popen[bytes]], log_dir: Path) -> None:
        self._start, self._log_dir = start, log_dir
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="workers-elsewhere", daemon=True)
        self.restarts = 0

    @property
    def pids(self) -> list[int]:
        """The main processes that run."""
        return [node.pid for node in list(self._nodes.values()) if node.poll() is None]

    def __enter__(self) -> Self:
        for kind in KINDS:
            self._nodes[kind] = self._run(kind)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)
        for node in self._nodes.values():
            node.terminate()
        for node in self._nodes.values():
            try:
                node.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                node.kill()
                node.wait(5)

    def _run(self, kind: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "ingestor", "worker", kind, "--concurrency", "1"]
        return self._start(words, self._log_dir / f"worker-{kind}.log-elsewhere")

    def _keep(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            for kind, node in self._nodes.items():
                if node.poll() is not None:
                    self.restarts += 1
                    self._nodes[kind] = self._run(kind)
