"""The gauges of `/metrics`: an overview in Prometheus' terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from ingestor.api.overview import Overview
from ingestor.api.processes import ProcessSeen
from ingestor.metrics_gauges import GAUGES
from ingestor.queue.names import TaskType
from ingestor.storage.reconciled import Reconciliation

_MOST_REASONS: Final = 20
#: Of a gauge: far more than homes, sources and outcomes make.
MOST_SAMPLES: Final = 1000
_MAX_LABEL: Final = 200
_LATELY_S: Final = 30.0
_log: Final = structlog.get_logger(__name__)
_Sample = tuple[tuple[str, ...], float]


class OverviewCollector:
    """Gives Prometheus the gauges of the overview that `read` returns."""

    def __init__(self, read: Callable[[], Overview]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Yield each declared gauge; one whose part could not be read has no samples."""
        overview = self._read()
        for declared in GAUGES:
            family = GaugeMetricFamily(declared.name, declared.help, labels=declared.labels)
            for labels, value in _bounded(declared.name, _SAMPLES[declared.name](overview)):
                family.add_metric(labels, value)
            yield family

    def describe(self) -> Iterable[Metric]:
        """Return nothing: what there is depends on what runs."""
        return []


def _bounded(name: str, samples: Iterable[_Sample]) -> Iterator[_Sample]:
    """Yield samples up to a limit: names that somebody has forged must fill neither us nor who reads this."""
    seen: set[tuple[str, ...]] = set()
    for labels, value in samples:
        shown = tuple(label[:_MAX_LABEL] for label in labels)
        if shown in seen:
            continue  # they differ where it was cut; two of a name make the whole answer unreadable
        if len(seen) >= MOST_SAMPLES:
            _log.warning("samples_left_out", metric=name, most=MOST_SAMPLES)
            return
        seen.add(shown)
        yield shown, value


def _listeners(value: Callable[[dict[str, Any]], float]) -> Callable[[Overview], Iterator[_Sample]]:
    def samples(overview: Overview) -> Iterator[_Sample]:
        for entry in overview.listeners or ():
            home, _, listener = str(entry["name"]).partition(":")
            yield (home, listener), value(entry)

    return samples


def _is_up(told: Mapping[str, Any], overview: Overview) -> float:
    """Return 1.0 for a connection that was told of lately: whoever has it tells every few seconds."""
    lately = overview.time_s - float(told.get("told_us", 0)) / 1_000_000 < _LATELY_S
    return float(lately and bool(told.get("connected")))


def _workers(field: str) -> Callable[[Overview], Iterator[_Sample]]:
    return lambda overview: (((kind,), counts[field]) for kind, counts in (overview.workers or {}).items())


def _breaker(overview: Overview) -> Iterator[_Sample]:
    if (store := overview.store) is not None:
        now = "refused" if store.refused else store.phase
        for state in ("closed", "open", "half_open", "refused"):
            yield (state,), float(state == now)


def _of_intake(*names: str) -> Callable[[dict[str, Any]], float]:
    def value(entry: dict[str, Any]) -> float:
        intake = entry.get("intake") or {}
        return float(next((intake[name] for name in names if name in intake), 0))

    return value


def _processes(value: Callable[[ProcessSeen], float], *labels: str) -> Callable[[Overview], Iterator[_Sample]]:
    def samples(overview: Overview) -> Iterator[_Sample]:
        for one in overview.processes or ():
            yield (one.kind, one.name, *(getattr(one, label) for label in labels)), value(one)

    return samples


def _restarts(overview: Overview) -> Iterator[_Sample]:
    for one in overview.processes or ():
        yield from (((name,), float(times)) for name, times in one.restarts.items())


def _weather(overview: Overview) -> Iterator[_Sample]:
    for home, status in (overview.weather or {}).items():
        until_s = status.trouble.open_until_s if status.trouble else 0.0
        yield (home, status.provider), float(until_s > overview.time_s)


def _reconciled(value: Callable[[Reconciliation], float]) -> Callable[[Overview], Iterator[_Sample]]:
    return lambda overview: (((home.home,), value(home)) for home in overview.reconciled or ())


def _ledger(seen: Overview) -> Iterator[_Sample]:
    for (home, source), counts in (seen.ledger.by_source if seen.ledger else {}).items():
        yield (home, source, "received"), counts.total
        for outcome in ("written", "duplicate", "rejected", "filtered", "in_flight", "lost", "recovered"):
            yield (home, source, outcome), getattr(counts, outcome)


def _commonest(reasons: dict[str, int]) -> Iterator[_Sample]:
    """Yield the commonest, and the sum of all others: what a label may hold is limited."""
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    for reason, pieces in ordered[:_MOST_REASONS]:
        yield (reason,), pieces
    if rest := sum(pieces for _, pieces in ordered[_MOST_REASONS:]):
        yield ("other",), rest


def _newest(*figures: str, labels: dict[str, str] | None = None) -> Callable[[Overview], Iterator[_Sample]]:
    """Return what yields figures of each home's newest reports; `labels` gives each figure one of its own."""

    def samples(seen: Overview) -> Iterator[_Sample]:
        for one in seen.reports.newest if seen.reports else ():
            for name in figures:
                if (value := one.figures.get(name)) is not None:
                    own = (labels[name],) if labels else ()
                    yield (one.home, one.period, *own), value

    return samples


def _paused(seen: Overview) -> Iterator[_Sample]:
    pauses = seen.pauses
    if pauses is not None:
        yield from (((kind.value,), float(kind in pauses)) for kind in TaskType)


_SHARES: Final = {f"{name}_share": name for name in ("context", "valid", "up")}
_PROBLEMS: Final = {"problems": "all", "new_problems": "new"}
_SAMPLES: Final[dict[str, Callable[[Overview], Iterable[_Sample]]]] = {
    "ingestor_queue_batches": lambda seen: (((name,), depth) for name, depth in (seen.queues or {}).items()),
    "ingestor_journal_batches": _listeners(_of_intake("pending_batches")),
    "ingestor_journal_bytes": _listeners(_of_intake("bytes_on_disk", "bytes")),
    "ingestor_listener_connected": _listeners(lambda entry: float(bool(entry.get("connected")))),
    "ingestor_queue_oldest_seconds": lambda seen: (((name,), age) for name, age in (seen.oldest_s or {}).items()),
    "ingestor_queue_paused": _paused,
    "ingestor_broker_memory_ratio": lambda seen: [] if seen.broker_memory is None else [((), seen.broker_memory)],
    "ingestor_journal_oldest_seconds": _listeners(_of_intake("oldest_pending_s")),
    "ingestor_journal_held": _listeners(lambda entry: float(bool((entry.get("intake") or {}).get("held")))),
    "ingestor_disk_free_ratio": lambda seen: [] if seen.disk_free is None else [((), seen.disk_free)],
    "ingestor_process_info": _processes(lambda _: 1.0, "host", "version"),
    "ingestor_process_ready": _processes(lambda one: float(one.ready)),
    "ingestor_process_memory_bytes": _processes(lambda one: one.memory_bytes),
    "ingestor_process_started_seconds": _processes(lambda one: one.started_s),
    "ingestor_process_restarts": _restarts,
    "ingestor_unread_part": lambda seen: (((part,), float(unread)) for part, unread in seen.unread.items()),
    "ingestor_weather_breaker_open": _weather,
    "ingestor_worker_nodes": _workers("nodes"),
    "ingestor_worker_processes": _workers("processes"),
    "ingestor_store_breaker": _breaker,
    "ingestor_clock_ahead_seconds": lambda seen: (((home,), ahead_s) for home, ahead_s in (seen.clocks or {}).items()),
    "ingestor_quality_score": lambda seen: (
        ((one.home,), one.score) for one in seen.quality or () if one.score is not None
    ),
    "ingestor_quality_problems": lambda seen: (
        ((one.home, kind), count) for one in seen.quality or () for kind, count in one.problems.items()
    ),
    "ingestor_quality_until_seconds": lambda seen: (((one.home,), one.until_us / 1e6) for one in seen.quality or ()),
    "ingestor_report_score": _newest("score"),
    "ingestor_report_share": _newest(*_SHARES, labels=_SHARES),
    "ingestor_report_problems": _newest(*_PROBLEMS, labels=_PROBLEMS),
    "ingestor_report_end_seconds": lambda seen: (
        ((one.home, one.period), one.end_us / 1e6) for one in (seen.reports.newest if seen.reports else ())
    ),
    "ingestor_report_deliveries": lambda seen: (
        ((state,), count) for state, count in (seen.reports.deliveries if seen.reports else {}).items()
    ),
    "ingestor_quality_alerts": lambda seen: (
        ((home,), count) for home, count in (seen.reports.alerts if seen.reports else {}).items()
    ),
    "ingestor_gaps": lambda seen: (((state,), count) for state, count in (seen.gaps or {}).items()),
    "ingestor_reconciled_until_seconds": _reconciled(lambda home: home.until_us / 1e6),
    "ingestor_reconciled_missing_points": _reconciled(lambda home: home.missing),
    "ingestor_reconciled_repaired_points": _reconciled(lambda home: home.repaired),
    "ingestor_ledger_events": _ledger,
    "ingestor_ledger_unbalanced": lambda seen: [] if seen.ledger is None else [((), seen.ledger.unbalanced)],
    "ingestor_ledger_waiting_seconds": _listeners(_of_intake("ledger_waiting_s")),
    "ingestor_quarantine_pieces_by_reason": lambda seen: _commonest(seen.quarantine_reasons or {}),
    "ingestor_quarantine_pieces_by_cause": lambda seen: (
        ((cause.cause, cause.reason), cause.pieces) for cause in seen.quarantine_causes or ()
    ),
    "ingestor_webhook_waiting": lambda seen: (
        ((hook.hook_id,), counted.waiting) for hook, counted in seen.webhooks or ()
    ),
    "ingestor_webhook_dead": lambda seen: (((hook.hook_id,), counted.dead) for hook, counted in seen.webhooks or ()),
    "ingestor_webhook_failures": lambda seen: (((hook.hook_id,), hook.failures) for hook, _ in seen.webhooks or ()),
    "ingestor_mqtt_out_connected": lambda seen: [] if seen.mqtt_out is None else [((), _is_up(seen.mqtt_out, seen))],
    "ingestor_mqtt_out_refused": lambda seen: (
        [] if seen.mqtt_out is None else [((), int(seen.mqtt_out.get("refused", 0)))]
    ),
    "ingestor_quarantine_pieces": lambda seen: [] if seen.quarantine is None else [((), seen.quarantine)],
}
