"""What is read when Prometheus asks, not counted by processes: each gauge declared here, once; reads nothing.

`ingestor.api.gauges` has for each what reads it.
"""

from __future__ import annotations

from typing import Final

from ingestor.metrics_declared import BY_LISTENER, Declared

GAUGES: Final = (
    Declared("ingestor_queue_batches", "gauge", "batches", "Batches that wait in a queue.", ("queue",)),
    Declared("ingestor_journal_batches", "gauge", "batches", "Batches in a listener's journal.", BY_LISTENER),
    Declared("ingestor_journal_bytes", "gauge", "bytes", "Bytes on disk of a listener's journal.", BY_LISTENER),
    Declared(
        "ingestor_queue_oldest_seconds",
        "gauge",
        "seconds",
        "For how long the oldest message of a queue has waited; not told by RabbitMQ.",
        ("queue",),
    ),
    Declared("ingestor_queue_paused", "gauge", "yes or no", "1: somebody has paused it.", ("queue",)),
    Declared(
        "ingestor_broker_memory_ratio",
        "gauge",
        "ratio",
        "Share of the broker's memory ceiling that is used; absent where it has none. Listeners hold at 0.6.",
    ),
    Declared(
        "ingestor_journal_oldest_seconds",
        "gauge",
        "seconds",
        "Age of the oldest batch in a listener's journal that was given out and is not done.",
        BY_LISTENER,
    ),
    Declared(
        "ingestor_journal_held",
        "gauge",
        "yes or no",
        "1 while a listener sends nothing, because queues or broker are full: what comes stays in its journal.",
        BY_LISTENER,
    ),
    Declared(
        "ingestor_disk_free_ratio",
        "gauge",
        "ratio",
        "Share of the file system with the data folder that is free, as the API's process sees it.",
    ),
    Declared(
        "ingestor_process_info",
        "gauge",
        "yes or no",
        "1 for each process that tells how it is: listeners, worker nodes, beat, supervisor, API.",
        ("kind", "process", "host", "version"),
    ),
    Declared(
        "ingestor_process_ready",
        "gauge",
        "yes or no",
        "1 while a process can do its work: a listener is connected, no process of a supervisor stays down.",
        ("kind", "process"),
    ),
    Declared(
        "ingestor_process_memory_bytes",
        "gauge",
        "bytes",
        "Resident memory of a process; of a worker node with its children, pages that they share counted for each.",
        ("kind", "process"),
    ),
    Declared(
        "ingestor_process_started_seconds",
        "gauge",
        "seconds",
        "When a process was started (Unix seconds).",
        ("kind", "process"),
    ),
    Declared(
        "ingestor_process_restarts",
        "gauge",
        "restarts",
        "How often the supervisor started a process again since its own start.",
        ("process",),
    ),
    Declared(
        "ingestor_unread_part",
        "gauge",
        "yes or no",
        "1 for each part of this page that could not be read just now; its figures are absent then.",
        ("part",),
    ),
    Declared(
        "ingestor_weather_breaker_open",
        "gauge",
        "yes or no",
        "1 while a weather provider is not asked for a while, since it failed.",
        ("home", "provider"),
    ),
    Declared("ingestor_listener_connected", "gauge", "yes or no", "1 while a listener is connected.", BY_LISTENER),
    Declared("ingestor_worker_nodes", "gauge", "nodes", "Worker nodes that tell how they are.", ("type",)),
    Declared("ingestor_worker_processes", "gauge", "processes", "Processes of these nodes.", ("type",)),
    Declared(
        "ingestor_ledger_events",
        "gauge",
        "events",
        "Events of the last 24 hours in the ledger: received, and what became of them (also in_flight and lost).",
        ("home", "source", "outcome"),
    ),
    Declared("ingestor_ledger_unbalanced", "gauge", "rows", "Rows of these hours in the ledger that do not balance."),
    Declared(
        "ingestor_ledger_waiting_seconds",
        "gauge",
        "seconds",
        "For how long a listener's counts wait.",
        ("home", "listener"),
    ),
    Declared("ingestor_quarantine_pieces", "gauge", "pieces", "Pieces in quarantine."),
    Declared("ingestor_webhook_waiting", "gauge", "deliveries", "Deliveries that wait for a receiver.", ("webhook",)),
    Declared(
        "ingestor_webhook_dead",
        "gauge",
        "deliveries",
        "Deliveries that were given up and can be replayed (`ha-ingestor webhooks replay`).",
        ("webhook",),
    ),
    Declared(
        "ingestor_webhook_failures",
        "gauge",
        "tries",
        "Tries that a receiver has failed since the last one that it did not.",
        ("webhook",),
    ),
    Declared(
        "ingestor_mqtt_out_connected",
        "gauge",
        "yes or no",
        "1 while MQTT out is connected to its broker; absent where none is set.",
    ),
    Declared(
        "ingestor_mqtt_out_refused",
        "gauge",
        "messages",
        "Messages that the broker of MQTT out does not take, passed over since it started; absent where none is set.",
    ),
    Declared(
        "ingestor_store_breaker",
        "gauge",
        "yes or no",
        "1 for how the breaker before the store is: closed (the store takes points), open (nothing is sent for a"
        " while), half_open (one write is tried), refused (open, and settings must change).",
        ("state",),
    ),
    Declared(
        "ingestor_reconciled_until_seconds",
        "gauge",
        "seconds",
        "Up to when all hours are compared (Unix seconds).",
        ("home",),
    ),
    Declared(
        "ingestor_reconciled_missing_points",
        "gauge",
        "points",
        "Points that are missing for good in compared hours.",
        ("home",),
    ),
    Declared(
        "ingestor_reconciled_repaired_points",
        "gauge",
        "points",
        "Points that were missing and were read back.",
        ("home",),
    ),
    Declared(
        "ingestor_quarantine_pieces_by_reason", "gauge", "pieces", "The same by reason, the 20 commonest.", ("reason",)
    ),
    Declared(
        "ingestor_quarantine_pieces_by_cause",
        "gauge",
        "pieces",
        "The same by cause, as `quarantine list` names it, the 20 commonest.",
        ("cause", "reason"),
    ),
    Declared(
        "ingestor_clock_ahead_seconds",
        "gauge",
        "seconds",
        "How far Home Assistant's clock is ahead of ours, by the quickest event of the last minutes; below 0: behind.",
        ("home",),
    ),
    Declared(
        "ingestor_quality_score",
        "gauge",
        "points of 100",
        "Score of a home on the day of its newest judged hour.",
        ("home",),
    ),
    Declared(
        "ingestor_quality_problems", "gauge", "problems", "Problems of a home that are open, by kind.", ("home", "kind")
    ),
    Declared(
        "ingestor_quality_until_seconds",
        "gauge",
        "seconds",
        "Up to when all hours are judged (Unix seconds).",
        ("home",),
    ),
    Declared(
        "ingestor_report_score",
        "gauge",
        "points of 100",
        "Score of the home in its newest report, 0 to 100.",
        ("home", "period"),
    ),
    Declared(
        "ingestor_report_share",
        "gauge",
        "ratio",
        "Shares in the newest report, 0 to 1: context, valid, up (of each its target is in the report).",
        ("home", "period", "share"),
    ),
    Declared(
        "ingestor_report_problems",
        "gauge",
        "problems",
        "Problems in the newest report: all, and new ones.",
        ("home", "period", "which"),
    ),
    Declared(
        "ingestor_report_end_seconds",
        "gauge",
        "seconds",
        "Up to when the newest report tells (Unix seconds).",
        ("home", "period"),
    ),
    Declared(
        "ingestor_report_deliveries", "gauge", "deliveries", "Deliveries of reports and alerts by state.", ("state",)
    ),
    Declared("ingestor_quality_alerts", "gauge", "alerts", "Alerts of a home that are not over.", ("home",)),
    Declared("ingestor_gaps", "gauge", "gaps", "Gaps that have not ended: not over yet, or being filled.", ("state",)),
)
