"""The gauges of `/metrics`: an overview in Prometheus' terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from ingestor.api.overview import Overview
from ingestor.metrics import GAUGES
from ingestor.storage.reconciled import Reconciliation

_MOST_REASONS: Final = 20
#: Of a gauge: far more than homes, sources and outcomes make.
MOST_SAMPLES: Final = 1000
_MAX_LABEL: Final = 200
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


def _reconciled(value: Callable[[Reconciliation], float]) -> Callable[[Overview], Iterator[_Sample]]:
    return lambda overview: (((home.home,), value(home)) for home in overview.reconciled or ())


def _ledger(seen: Overview) -> Iterator[_Sample]:
    for (home, source), counts in (seen.ledger.by_source if seen.ledger else {}).items():
        yield (home, source, "received"), counts.total
        for outcome in ("written", "duplicate", "rejected", "filtered", "in_flight", "lost"):
            yield (home, source, outcome), getattr(counts, outcome)


def _commonest(reasons: dict[str, int]) -> Iterator[_Sample]:
    """Yield the commonest, and the sum of all others: what a label may hold is limited."""
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    for reason, pieces in ordered[:_MOST_REASONS]:
        yield (reason,), pieces
    if rest := sum(pieces for _, pieces in ordered[_MOST_REASONS:]):
        yield ("other",), rest


_SAMPLES: Final[dict[str, Callable[[Overview], Iterable[_Sample]]]] = {
    "ingestor_queue_batches": lambda seen: (((name,), depth) for name, depth in (seen.queues or {}).items()),
    "ingestor_journal_batches": _listeners(_of_intake("pending_batches")),
    "ingestor_journal_bytes": _listeners(_of_intake("bytes_on_disk", "bytes")),
    "ingestor_listener_connected": _listeners(lambda entry: float(bool(entry.get("connected")))),
    "ingestor_worker_nodes": _workers("nodes"),
    "ingestor_worker_processes": _workers("processes"),
    "ingestor_store_breaker": _breaker,
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
    "ingestor_quarantine_pieces": lambda seen: [] if seen.quarantine is None else [((), seen.quarantine)],
}
