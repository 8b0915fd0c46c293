"""Counts what became of a listener's batches, once a batch, for metrics and for the status board."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from ingestor import metrics
from ingestor.intake.flights import DoneBatch
from ingestor.metrics_declared import EVENT_COUNTERS

_RECENT: Final = 1000
#: The rate is told over so many readings, one a second: a batch now and then is no 0 in between.
_READINGS: Final = 11


class Tally:
    """Is told of each batch that is done (`add`, from the journal's thread), and asked from the heartbeat's."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._readings: deque[tuple[float, int]] = deque([(clock(), 0)], maxlen=_READINGS)
        self._counts: dict[str, int] = dict.fromkeys(("written", "duplicate", "rejected", "filtered", "lost"), 0)
        self._lags_ms: deque[float] = deque(maxlen=_RECENT)

    def add(self, batch: DoneBatch) -> None:
        """Count a batch that is done."""
        labels = {"home": batch.home, "source": batch.source}
        metrics.counter(EVENT_COUNTERS["received"], **labels).inc(sum(batch.counts.values()))
        for outcome, number in batch.counts.items():
            metrics.counter(EVENT_COUNTERS[outcome], **labels).inc(number)
        with self._lock:
            for outcome, number in batch.counts.items():
                self._counts[outcome] += number
            if batch.lag_ns:
                self._lags_ms.append(batch.lag_ns / 1e6)

    def read(self) -> dict[str, Any]:
        """Return the counts, events written a second since the tenth reading back, and the lag of recent batches."""
        with self._lock:
            lags = sorted(self._lags_ms)
            return {
                "counts": dict(self._counts),
                "written_per_s": self._rate(),
                "lag_ms": _share(lags, 0.5),
                "lag_p95_ms": _share(lags, 0.95),
            }

    def _rate(self) -> float:
        now, written = self._clock(), self._counts["written"]
        self._readings.append((now, written))
        then, before = self._readings[0]
        return round((written - before) / (now - then), 1) if now > then else 0.0


class BatchTally:
    """Counts a listener's batches for metrics, from the figures that it tells with each heartbeat."""

    def __init__(self, home: str, listener: str) -> None:
        of = {"home": home, "listener": listener}
        self._counters = {
            "batches": metrics.counter("ingestor_batches_total", **of),
            "sent": metrics.counter("ingestor_batches_sent_total", **of),
            "resent": metrics.counter("ingestor_batches_resent_total", **of),
        }
        self._counted = dict.fromkeys(self._counters, 0)

    def count(self, status: dict[str, Any]) -> dict[str, Any]:
        """Count what is new in the figures since the last call; return them as they are."""
        for name, counter in self._counters.items():
            counter.inc(max(0, status[name] - self._counted[name]))
            self._counted[name] = status[name]
        return status


def _share(ordered: list[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1) if ordered else 0.0
