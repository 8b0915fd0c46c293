"""What this installation counts and measures: each counter and histogram declared here, once; counts nothing.

`ingestor.metrics` counts by these; `/metrics` and the reference tell of them and of `metrics_gauges`. Dashboards and
alert rules may ask for nothing else: a test sees to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)
_LAG: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 600.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric: how it is called, what it counts in which unit, and by what it is divided (few values each)."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    unit: str
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
BY_LISTENER: Final = ("home", "listener")
DECLARED: Final = (
    Declared(
        EVENT_COUNTERS["received"],
        "counter",
        "events",
        "Events of batches that are done: the sum of written, duplicate, rejected and filtered.",
        _BY_SOURCE,
    ),
    Declared(EVENT_COUNTERS["written"], "counter", "events", "Events that the store has taken.", _BY_SOURCE),
    Declared(EVENT_COUNTERS["duplicate"], "counter", "events", "Events that were stored before.", _BY_SOURCE),
    Declared(EVENT_COUNTERS["rejected"], "counter", "events", "Events that went to quarantine.", _BY_SOURCE),
    Declared(
        EVENT_COUNTERS["filtered"], "counter", "events", "Events that the settings or a rule left out.", _BY_SOURCE
    ),
    Declared(EVENT_COUNTERS["lost"], "counter", "events", "Events known to be lost; must stay 0.", _BY_SOURCE),
    Declared("ingestor_frames_total", "counter", "frames", "WebSocket frames and MQTT messages taken.", _BY_SOURCE),
    Declared("ingestor_batches_total", "counter", "batches", "Batches closed by a listener.", BY_LISTENER),
    Declared("ingestor_batches_sent_total", "counter", "batches", "Batches handed to the broker.", BY_LISTENER),
    Declared(
        "ingestor_batches_resent_total",
        "counter",
        "batches",
        "Batches handed to the broker again, since nobody told that they are done.",
        BY_LISTENER,
    ),
    Declared("ingestor_connects_total", "counter", "connections", "Connections that a listener made.", _BY_SOURCE),
    Declared("ingestor_disconnects_total", "counter", "connections", "Connections that a listener lost.", _BY_SOURCE),
    Declared("ingestor_step_seconds", "histogram", "seconds", "Time that a step takes for a batch.", ("step",)),
    Declared(
        "ingestor_lag_seconds",
        "histogram",
        "seconds",
        "Receipt of a batch's oldest event to the store's yes.",
        buckets=_LAG,
    ),
    Declared(
        "ingestor_receive_delay_seconds",
        "histogram",
        "seconds",
        "From when an event was fired, by its source's clock, to its receipt, by ours: the slowest of a batch.",
        buckets=_LAG,
    ),
    Declared(
        "ingestor_write_delay_seconds",
        "histogram",
        "seconds",
        "From when an event was fired to the store's yes: the slowest of a batch.",
        buckets=_LAG,
    ),
    Declared("ingestor_task_waits_total", "counter", "waits", "Tasks put off because a peer was away.", ("peer",)),
    Declared(
        "ingestor_queue_wait_seconds",
        "histogram",
        "seconds",
        "From when a batch was put into a step's queue to when a worker took it up; between machines, by their clocks.",
        ("step",),
        _LAG,
    ),
    Declared(
        "ingestor_batches_put_back_total",
        "counter",
        "batches",
        "Batches put back to the end of their queue, because a peer stayed away for longer than a task waits.",
        ("step", "cause"),
    ),
    Declared(
        "ingestor_task_failures_total",
        "counter",
        "tasks",
        "Tasks that failed for a reason nobody foresaw, by the kind of error; the journal sends their batches again.",
        ("step", "cause"),
    ),
    Declared(
        "ingestor_messages_refused_total", "counter", "messages", "Messages in a queue that nobody of us can have sent."
    ),
    Declared(
        "ingestor_rejections_total", "counter", "pieces", "Pieces put in quarantine, each time it is done.", ("reason",)
    ),
    Declared(
        "ingestor_quality_findings_total",
        "counter",
        "findings",
        "What the rules of quality found, each time a batch is looked at (`ha-ingestor quality rules` lists them).",
        ("rule", "severity"),
    ),
    Declared(
        "ingestor_points_repaired_total",
        "counter",
        "points",
        "Points written with a value in a field beside its own, which has another type (storage.on_type_conflict).",
    ),
    Declared(
        "ingestor_quarantine_evicted_total",
        "counter",
        "pieces",
        "Pieces that the quarantine's limits have cost.",
        ("reason",),
    ),
    Declared(
        "ingestor_weather_calls_total",
        "counter",
        "calls",
        "Questions to a weather provider: answered, failed, or not asked because the day's calls are spent.",
        ("provider", "outcome"),
    ),
    Declared(
        "ingestor_late_causes_total",
        "counter",
        "points",
        "Points written before their cause was known: settled (rewritten with it), given_up (not heard of within 60 s),"
        " let_go (more waited than may).",
        ("outcome",),
    ),
    Declared(
        "ingestor_live_events_total",
        "counter",
        "events",
        "Written events that were told on the live channel; told again where a batch came again.",
        ("home",),
    ),
    Declared(
        "ingestor_live_lost_total",
        "counter",
        "events",
        "Written events that the live channel did not take: away or full. They are in the store.",
        ("home",),
    ),
    Declared(
        "ingestor_tie_breaks_total", "counter", "points", "Points moved to the next free digit below the microsecond."
    ),
)
