"""What a run costs: CPU seconds and memory of each process, latencies from the write worker's own lines."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

#: Words of a command line → the stage that the process works for; the first match counts.
STAGES = (
    ("listen websocket", "listener"),
    ("listen mqtt", "listener"),
    ("validate@", "validate"),
    ("enrich@", "enrich"),
    ("write@", "write"),
    ("rare@", "rare"),
    ("valkey-server", "broker"),
    ("influxd", "store"),
    ("mosquitto", "mosquitto"),
    ("ingestor.demo", "load"),
    ("workers.supervisor", "supervisor"),
    ("celery -A workers beat", "beat"),
    ("flower", "flower"),
    ("ingestor api", "api"),
)


@dataclass
class Usage:
    """CPU seconds and peak memory (MB, unique to the process) by stage."""

    cpu_s: dict[str, float] = field(default_factory=dict)
    memory_mb: dict[str, float] = field(default_factory=dict)


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
    """Receipt of a batch's oldest event to the store's yes (ms), weighted by events."""

    p50: float
    p95: float
    p99: float
    events: int


def latencies(log_dir: Path) -> Latency:
    """Read the write worker's lines `batch_written`: each event counts with the lag of its batch's oldest."""
    pairs: list[tuple[float, int]] = []
    for path in sorted(log_dir.glob("worker-write.log*")):
        for line in path.read_text(errors="replace").splitlines():
            if '"batch_written"' not in line:
                continue
            entry: dict[str, Any] = json.loads(line)
            pairs.append((float(entry["lag_ms"]), int(entry["events"])))
    return Latency(*(round(quantile(pairs, share), 1) for share in (0.5, 0.95, 0.99)), sum(n for _, n in pairs))


def quantile(pairs: list[tuple[float, int]], share: float) -> float:
    """Return the weighted quantile of (value, weight) pairs; 0 of nothing."""
    total = sum(weight for _, weight in pairs)
    reached = 0
    for value, weight in sorted(pairs):
        reached += weight
        if reached >= share * total:
            return value
    return 0.0


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
