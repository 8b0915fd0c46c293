"""Percentiles of the time from receipt to acknowledged write, from the histogram that workers keep."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from ingestor.metrics_files import FolderCollector

_BUCKET: Final = "ingestor_lag_seconds_bucket"


@dataclass(frozen=True, slots=True)
class Lag:
    """A cumulative histogram: batches by upper limit in seconds."""

    buckets: dict[float, float] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many batches were written."""
        return int(max(self.buckets.values(), default=0))

    def since(self, before: Lag) -> Lag:
        """Return what came after an earlier reading."""
        return Lag({limit: total - before.buckets.get(limit, 0) for limit, total in self.buckets.items()})

    def percentile_ms(self, share: float) -> float | None:
        """Return an estimate: within a bucket, batches are taken to lie evenly. None where there are none."""
        if not self.count:
            return None
        wanted = share * self.count
        steps = [(0.0, 0.0), *sorted(self.buckets.items())]
        for (low, below), (high, total) in pairwise(steps):
            if total >= wanted:
                if math.isinf(high) or total == below:
                    return low * 1000
                return (low + (high - low) * (wanted - below) / (total - below)) * 1000
        return None


def read_lag(folder: Path) -> Lag:
    """Return the histogram over all processes, living and dead."""
    return Lag(
        {
            float(sample.labels["le"]): sample.value
            for metric in FolderCollector(folder).collect()
            for sample in metric.samples
            if sample.name == _BUCKET
        }
    )
