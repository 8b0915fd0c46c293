"""Counts what `metrics_declared` declares; an undeclared metric raises. Over all processes, by files in one folder.

`start(folder)` comes first in each process. Gauges describe the whole installation (queue depths, journal): the
API reads them when it is asked.
"""

from __future__ import annotations

import fcntl
import functools
import os
import socket
import time
from pathlib import Path
from typing import Any, Final

from prometheus_client import Counter, Histogram, values

from ingestor.metrics_declared import DECLARED

PREFIX: Final = "ingestor_"
_BY_NAME: Final = {metric.name: metric for metric in DECLARED}


class UndeclaredMetric(LookupError):
    """A metric is used that `ingestor.metrics_declared` does not declare."""


def start(folder: Path) -> None:
    """Let this process (and what it forks) count into files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    _life.cache_clear()
    # Set here, not by an environment variable before the import: who imports first must not matter.
    values.ValueClass = values.MultiProcessValue(process_name)  # type: ignore[no-untyped-call]  # it has no types
    _metric.cache_clear()


def counter(name: str, **labels: str) -> Counter:
    """Return a declared counter. Raises UndeclaredMetric."""
    found: Counter = _labelled(name, "counter", labels)
    return found


def histogram(name: str, **labels: str) -> Histogram:
    """Return a declared histogram. Raises UndeclaredMetric."""
    found: Histogram = _labelled(name, "histogram", labels)
    return found


def _labelled(name: str, kind: str, labels: dict[str, str]) -> Any:
    declared = _BY_NAME.get(name)
    if declared is None or declared.kind != kind or set(labels) != set(declared.labels):
        raise UndeclaredMetric(f"{kind} {name}{sorted(labels)} is not declared in ingestor.metrics_declared")
    metric = _metric(name)
    return metric.labels(**labels) if labels else metric


@functools.cache
def _metric(name: str) -> Counter | Histogram:
    declared = _BY_NAME[name]
    if declared.kind == "counter":
        return Counter(name, declared.help, declared.labels, registry=None)
    return Histogram(name, declared.help, declared.labels, registry=None, buckets=declared.buckets)


def process_name() -> str:
    """Return a name that no other living process has, also not one in another container on the same folder."""
    return _life(os.getpid())[0]


def mark_dead(pid: int) -> None:
    """Say that this process counts no more (it is about to end): its files may be folded."""
    if pid == os.getpid() and _life.cache_info().currsize:
        os.close(_life(pid)[1])
        _life.cache_clear()


@functools.cache
def _life(pid: int) -> tuple[str, int]:
    """Name a process and hold a lock for as long as it lives: how `metrics_files` knows that it does."""
    # With its start time: a later process of the same number is another one.
    name = f"{socket.gethostname().replace('_', '-')}-{pid}-{time.time_ns() // 1_000_000:x}"
    path = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], f"{name}.alive")
    while True:
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        fcntl.flock(handle, fcntl.LOCK_SH)
        # Between the two calls a folding process may have taken the file for a dead one's, and removed it.
        if path.exists() and path.stat().st_ino == os.fstat(handle).st_ino:
            return name, handle
        os.close(handle)
