"""What a run costs: CPU seconds and memory of each process, latencies from the write worker's own lines."""

from __future__ import annotations

import hashlib
import json
import platform
import statistics
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

#: Of a batch so many events stand for all, evenly between its oldest and its newest.
_STEPS = 11
_WORK_TURNS = 15
#: The place of what the host has taken among the times of `/proc/stat`; what guests took is in others already.
_STEAL = 7
#: Words of a command line → the stage that the process works for; the first match counts.
STAGES = (
    ("listen websocket", "listener"),
    ("listen mqtt", "listener"),
    ("validate@", "validate"),
    ("enrich@", "enrich"),
    ("write@", "write"),
    ("rare@", "rare"),
    ("all@", "worker"),
    ("valkey-server", "broker"),
    ("influxd", "store"),
    ("mosquitto", "mosquitto"),
    ("ingestor.demo", "load"),
    ("ingestor demo", "load"),
    ("workers.supervisor", "supervisor"),
    ("workers.beat", "beat"),
    ("flower", "flower"),
    ("ingestor api", "api"),
    ("tests.bench.subscribers", "subscribers"),
)


def peak_mb(pid: int) -> int:
    """Return the most memory that a process had since its program began.

    `ru_maxrss` is no less than what its parent had when it was started, which may be a bench that had grown.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) // 1000 for line in lines if line.startswith("VmHWM")), 0)  # none: it has ended


def processes(roots: list[int]) -> list[tuple[str, psutil.Process]]:
    """Return (stage, process) of the roots and all their descendants."""
    found = []
    for root in roots:
        try:
            top = psutil.Process(root)
            family = [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
        for process in family:
            try:
                words = " ".join(process.cmdline())
            except psutil.Error:
                continue
            found.append((next((stage for needle, stage in STAGES if needle in words), "other"), process))
    return found


def cpu_by_stage(roots: list[int]) -> dict[str, float]:
    """Return the CPU seconds that each stage's living processes have used so far."""
    sums: dict[str, float] = {}
    for stage, process in processes(roots):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        sums[stage] = sums.get(stage, 0.0) + times.user + times.system
    return sums


def memory_by_stage(roots: list[int]) -> dict[str, list[float]]:
    """Return the resident memory (MB) of each process by stage."""
    found: dict[str, list[float]] = {}
    for stage, process in processes(roots):
        try:
            found.setdefault(stage, []).append(round(process.memory_info().rss / 1e6, 1))
        except psutil.Error:
            continue
    return found


@dataclass(frozen=True)
class Latency:
    """Receipt of an event to the store's yes (ms)."""

    p50: float
    p95: float
    p99: float
    events: int


@dataclass(frozen=True)
class WrittenLine:
    """One `batch_written` line of the write worker: when, how many events, how old the oldest was.

    `span_ms` is for how long after the oldest the newest was received.
    """

    at: float
    events: int
    lag_ms: float
    span_ms: float = 0.0


def written_lines(log_dir: Path) -> list[WrittenLine]:
    """Read the lines of who writes, oldest first."""
    found = []
    for path in log_dir.glob("worker-*.log*"):
        for line in path.read_text(errors="replace").splitlines():
            if '"batch_written"' in line:
                entry: dict[str, Any] = json.loads(line)
                at = datetime.fromisoformat(entry["time"]).timestamp()
                lag_ms, span_ms = float(entry["lag_ms"]), float(entry["span_ms"])
                found.append(WrittenLine(at, int(entry["points"]), lag_ms, span_ms))
    return sorted(found, key=lambda line: line.at)


def latency_of(lines: list[WrittenLine]) -> Latency:
    """Return percentiles over events, which came evenly between the oldest and the newest of their batch."""
    parts = [step / (_STEPS - 1) for step in range(_STEPS)]
    pairs = [(line.lag_ms - line.span_ms * part, line.events / _STEPS) for line in lines for part in parts]
    shares = [round(quantile(pairs, share), 1) for share in (0.5, 0.95, 0.99)]
    return Latency(shares[0], shares[1], shares[2], sum(line.events for line in lines))


def quantile(pairs: list[tuple[float, float]], share: float) -> float:
    """Return the weighted quantile of (value, weight) pairs; 0 of nothing."""
    total = sum(weight for _, weight in pairs)
    reached = 0.0
    for value, weight in sorted(pairs):
        reached += weight
        if reached >= share * total:
            return value
    return 0.0


def work_ms() -> float:
    """Return how long a fixed piece of work takes (ms, the median of some): what the machine gives at this hour."""
    times = []
    for _ in range(_WORK_TURNS):
        began = time.perf_counter()
        sum(number * number % 7 for number in range(300_000))
        hashlib.sha256(bytes(4_000_000)).digest()
        times.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(times), 1)


def stolen() -> tuple[int, int]:
    """Return how much of the processors' time the host has taken, and all of their time, since the start of Linux."""
    times = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return times[_STEAL], sum(times[: _STEAL + 1])


def machine() -> dict[str, Any]:
    """Return what this machine is."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "python": platform.python_version(),
        "system": platform.platform(),
    }
