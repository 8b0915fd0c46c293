"""The figures of our own sensors in Home Assistant, from the overview that health and metrics are told from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ingestor.api.lag import Lag
from ingestor.api.overview import Overview
from ingestor.mqtt_out.sensors import Figures

_SHARE: Final = 0.95


class FigureReader:
    """Reads figures of homes; the lag is that of the time since it was read last. For one thread."""

    def __init__(self, overview: Callable[[], Overview], homes: Sequence[str]) -> None:
        self._overview = overview
        self._homes = homes
        self._before: Lag | None = None

    def __call__(self) -> Mapping[str, Figures]:
        """Return the figures of all homes; what is not known just now is None."""
        seen = self._overview()
        before, self._before = self._before, seen.lag
        lag_ms = seen.lag.since(before).percentile_ms(_SHARE) if before is not None else None
        waiting = None if seen.queues is None else sum(seen.queues.values())
        scores = {head.home: head.score for head in seen.quality or ()}
        lag_s = None if lag_ms is None else round(lag_ms / 1000, 4)
        return {home: self._of(home, seen.listeners, scores.get(home), lag_s, waiting) for home in self._homes}

    @staticmethod
    def _of(
        home: str,
        listeners: Sequence[dict[str, Any]] | None,
        score: float | None,
        lag_s: float | None,
        waiting: int | None,
    ) -> Figures:
        mine = [one for one in listeners or () if one.get("home") == home]
        rate = math.fsum(float((one.get("intake") or {}).get("written_per_s", 0.0)) for one in mine)
        return Figures(
            ingest_rate=None if listeners is None else round(rate, 1),
            lag_s=lag_s,
            quality_score=None if score is None else round(score, 1),
            queue_depth=waiting,
            listening=None if listeners is None else any(bool(one.get("connected")) for one in mine),
        )
