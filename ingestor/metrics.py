"""Every metric, declared once; an undeclared one raises. Counts over all processes by files in one folder.

`start(folder)` comes first in each process. Gauges describe the whole installation (queue depths, journal): the
API reads them when it is asked.
"""

from __future__ import annotations

import fcntl
import functools
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from prometheus_client import Counter, Histogram, values

PREFIX: Final = "ingestor_"
_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)
_LAG: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 600.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric: how it is called, what it counts, and by what it is divided (few values each)."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = _FAST


#: Counted by the journal when a batch is done, once a batch however often it was sent (rule 14, 26).
EVENT_COUNTERS: Final = {
    "received": "ingestor_events_received_total",
    "written": "ingestor_events_written_total",
    "duplicate": "ingestor_events_duplicate_total",
    "rejected": "ingestor_events_rejected_total",
    "filtered": "ingestor_events_filtered_total",
    "lost": "ingestor_events_lost_total",
}
_BY_SOURCE: Final = ("home", "source")
DECLARED: Final = (
    Declared(
        EVENT_COUNTERS["received"],
        "counter",
        "Events of batches that are done: the sum of written, duplicate, rejected and filtered.",
        _BY_SOURCE,
    ),
    Declared(EVENT_COUNTERS["written"], "counter", "Events that the store has taken.", _BY_SOURCE),
    Declared(EVENT_COUNTERS["duplicate"], "counter", "Events that were stored before.", _BY_SOURCE),
    Declared(EVENT_COUNTERS["rejected"], "counter", "Events that went to quarantine.", _BY_SOURCE),
    Declared(EVENT_COUNTERS["filtered"], "counter", "Events that the settings or a rule left out.", _BY_SOURCE),
    Declared(EVENT_COUNTERS["lost"], "counter", "Events known to be lost; must stay 0.", _BY_SOURCE),
    Declared("ingestor_frames_total", "counter", "WebSocket frames and MQTT messages taken.", _BY_SOURCE),
    Declared("ingestor_batches_total", "counter", "Batches closed by a listener.", _BY_SOURCE),
    Declared("ingestor_batches_sent_total", "counter", "Batches handed to the broker.", _BY_SOURCE),
    Declared("ingestor_batches_resent_total", "counter", "Batches handed to the broker again.", _BY_SOURCE),
    Declared("ingestor_connects_total", "counter", "Connections that a listener made.", _BY_SOURCE),
    Declared("ingestor_disconnects_total", "counter", "Connections that a listener lost.", _BY_SOURCE),
    Declared("ingestor_step_seconds", "histogram", "Time that a step takes for a batch.", ("step",)),
    Declared(
        "ingestor_lag_seconds", "histogram", "Receipt of a batch's oldest event to the store's yes.", buckets=_LAG
    ),
    Declared(
        "ingestor_receive_delay_seconds",
        "histogram",
        "From when an event was fired, by its source's clock, to its receipt, by ours: the slowest of a batch.",
        buckets=_LAG,
    ),
    Declared(
        "ingestor_write_delay_seconds",
        "histogram",
        "From when an event was fired to the store's yes: the slowest of a batch.",
        buckets=_LAG,
    ),
    Declared("ingestor_task_waits_total", "counter", "Tasks put off because a peer was away.", ("peer",)),
    Declared("ingestor_task_failures_total", "counter", "Tasks that failed for a reason nobody foresaw.", ("step",)),
    Declared("ingestor_messages_refused_total", "counter", "Messages in a queue that nobody of us can have sent."),
    Declared("ingestor_rejections_total", "counter", "Pieces put in quarantine, each time it is done.", ("reason",)),
    Declared(
        "ingestor_points_repaired_total",
        "counter",
        "Points written with a value in a field beside its own, which has another type (storage.on_type_conflict).",
    ),
    Declared(
        "ingestor_quarantine_evicted_total", "counter", "Pieces that the quarantine's limits have cost.", ("reason",)
    ),
    Declared(
        "ingestor_weather_calls_total",
        "counter",
        "Questions to a weather provider: answered, failed, or not asked because the day's calls are spent.",
        ("provider", "outcome"),
    ),
    Declared("ingestor_tie_breaks_total", "counter", "Points moved to the next free digit below the microsecond."),
)
#: Not counted by processes: `/metrics` reads them when it is asked.
GAUGES: Final = (
    Declared("ingestor_queue_batches", "gauge", "Batches that wait in a queue.", ("queue",)),
    Declared("ingestor_journal_batches", "gauge", "Batches in a listener's journal.", ("home", "listener")),
    Declared("ingestor_journal_bytes", "gauge", "Bytes on disk of a listener's journal.", ("home", "listener")),
    Declared("ingestor_listener_connected", "gauge", "1 while a listener is connected.", ("home", "listener")),
    Declared("ingestor_worker_nodes", "gauge", "Worker nodes that tell how they are.", ("type",)),
    Declared("ingestor_worker_processes", "gauge", "Processes of these nodes.", ("type",)),
    Declared(
        "ingestor_ledger_events",
        "gauge",
        "Events of the last 24 hours in the ledger: received, and what became of them (also in_flight and lost).",
        ("home", "source", "outcome"),
    ),
    Declared("ingestor_ledger_unbalanced", "gauge", "Rows of these hours in the ledger that do not balance."),
    Declared(
        "ingestor_ledger_waiting_seconds", "gauge", "For how long a listener's counts wait.", ("home", "listener")
    ),
    Declared("ingestor_quarantine_pieces", "gauge", "Pieces in quarantine."),
    Declared(
        "ingestor_store_breaker",
        "gauge",
        "1 for how the breaker before the store is: closed (the store takes points), open (nothing is sent for a"
        " while), half_open (one write is tried), refused (open, and settings must change).",
        ("state",),
    ),
    Declared(
        "ingestor_reconciled_until_seconds", "gauge", "Up to when all hours are compared (Unix seconds).", ("home",)
    ),
    Declared(
        "ingestor_reconciled_missing_points", "gauge", "Points that are missing for good in compared hours.", ("home",)
    ),
    Declared("ingestor_reconciled_repaired_points", "gauge", "Points that were missing and were read back.", ("home",)),
    Declared("ingestor_quarantine_pieces_by_reason", "gauge", "The same by reason, the 20 commonest.", ("reason",)),
    Declared(
        "ingestor_quarantine_pieces_by_cause",
        "gauge",
        "The same by cause, as `quarantine list` names it, the 20 commonest.",
        ("cause", "reason"),
    ),
    Declared("ingestor_gaps", "gauge", "Gaps that have not ended: not over yet, or being filled.", ("state",)),
)
_BY_NAME: Final = {metric.name: metric for metric in DECLARED}


class UndeclaredMetric(LookupError):
    """A metric is used that `ingestor.metrics` does not declare."""


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
        raise UndeclaredMetric(f"{kind} {name}{sorted(labels)} is not declared in ingestor.metrics")
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
