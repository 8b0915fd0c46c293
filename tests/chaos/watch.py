"""Looks at a running stage every second: memory of each process and of the broker, lag, what waits."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self

import psutil
import redis

from ingestor import bootstrap, errors
from tests.chaos.stage import Stage

_EVERY_S = 1.0


@dataclass(slots=True)
class Peaks:
    """The most that was seen."""

    memory_mb: dict[str, float] = field(default_factory=dict)
    broker_mb: float = 0.0
    waiting_batches: int = 0
    oldest_waiting_s: float = 0.0
    processes: int = 0


@dataclass(slots=True)
class Moment:
    """What a listener says of itself, summed over all listeners."""

    ended: int = 0
    pending: int = 0
    resent: int = 0
    listeners: int = 0
    open_gaps: int = 0
    told: dict[str, Any] = field(default_factory=dict)


class Watcher:
    """A thread that notes peaks; `now` is what it saw last."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.peaks = Peaks()
        self.now = Moment()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            with contextlib.suppress(psutil.Error, redis.RedisError, errors.IngestorError, OSError):
                self._look_at_processes()
                self._look_at_board()
                self._look_at_broker()

    def _look_at_processes(self) -> None:
        found = self._stage.processes()
        self.peaks.processes = max(self.peaks.processes, len(found))
        for kind, process in found:
            with contextlib.suppress(psutil.Error):
                size = process.memory_info().rss / 1e6
                self.peaks.memory_mb[kind] = max(self.peaks.memory_mb.get(kind, 0.0), size)

    def _look_at_board(self) -> None:
        self.now = read_moment(self._stage)
        self.peaks.waiting_batches = max(self.peaks.waiting_batches, self.now.pending)
        for entry in self.now.told.values():
            oldest_s = float((entry.get("intake") or {}).get("oldest_pending_s", 0.0))
            # A stepped clock makes it older than the run.
            if oldest_s < 3600:
                self.peaks.oldest_waiting_s = max(self.peaks.oldest_waiting_s, oldest_s)

    def _look_at_broker(self) -> None:
        state = bootstrap.open_state(self._stage.settings)
        try:
            self.peaks.broker_mb = max(self.peaks.broker_mb, int(state.info("memory")["used_memory"]) / 1e6)
        finally:
            state.close()


def read_moment(stage: Stage) -> Moment:
    """Read the status board."""
    entries = {key: entry for key, entry in stage.board().items() if key.startswith("listener")}
    found = Moment(listeners=len(entries), told=entries)
    for entry in entries.values():
        intake = entry.get("intake") or {}
        found.ended += sum((intake.get("counts") or {}).values())
        found.pending += int(intake.get("pending_batches", 0)) + int(intake.get("waiting_bytes", 0) > 0)
        found.resent += int(intake.get("resent", 0))
    return found


def worst_lag_s(stage: Stage) -> float:
    """Return the longest time from receipt to the store's yes, from the write workers' own lines (s)."""
    worst = 0.0
    for path in (stage.data_dir / "logs").glob("worker-write.log*"):
        for line in path.read_text(errors="replace").splitlines():
            if '"batch_written"' in line:
                with contextlib.suppress(ValueError, KeyError):
                    worst = max(worst, float(json.loads(line)["lag_ms"]) / 1000)
    return worst


def wait_until_empty(stage: Stage, within_s: float, patience_s: float) -> str:
    """Wait until no journal has a batch, no queue a task and every gap has ended; return "", or what does not move."""
    deadline = time.monotonic() + within_s
    moved_at, before, calm = time.monotonic(), (-1, -1, ""), 0
    while True:
        moment = read_moment(stage)
        queued = _queued(stage)
        is_empty = moment.listeners >= 2 and moment.pending == 0 and queued == 0
        calm = calm + 1 if is_empty else 0
        gaps = read_gaps(stage) if calm >= 5 else {}
        if gaps.get("all_ended"):
            return ""
        state = (moment.pending, moment.ended, json.dumps(gaps))
        now = time.monotonic()
        if state != before:
            moved_at, before = now, state
        if now > deadline or now - moved_at > patience_s:
            open_gaps = [gap["state"] for gap in gaps.get("gaps", ()) if gap["state"] in ("open", "filling")]
            left = f"{moment.pending} batches in {moment.listeners} journals, {queued} in queues, gaps {open_gaps}"
            return f"{left}; nothing moves"
        time.sleep(1)


def read_gaps(stage: Stage) -> dict[str, Any]:
    """Return what `ha-ingestor gaps --json` tells; nothing where it cannot."""
    words = [sys.executable, "-m", "ingestor", "gaps", "--json", "--limit", "1000"]
    done = subprocess.run(words, env=stage.environment(), capture_output=True, text=True, timeout=60, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {}
    return found


def _queued(stage: Stage) -> int:
    if stage.rabbitmq is not None:
        return 0  # what its queues hold is in the journals, too
    try:
        state = bootstrap.open_state(stage.settings)
        try:
            return sum(int(state.llen(name)) for name in ("validate", "enrich", "write", "history"))
        finally:
            state.close()
    except (redis.RedisError, errors.IngestorError):
        return -1
