"""How much comes in, in the few figures that a dashboard shows; kept for some seconds however many ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from datetime import time as time_of_day
from typing import Any, Final

from ingestor import bootstrap
from ingestor.api.means import Means
from ingestor.api.side_by_side import SideBySide
from ingestor.events.counts import Counts, hour_of
from ingestor.reading.ledger import read_ledger
from ingestor.reading.times import rfc3339_of_ns
from ingestor.storage.port import EventQuery

_KEPT_FOR_S: Final = 5.0
_TIMEOUT_S: Final = 3.0
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_S_NS: Final = 10**9


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures; None: not known just now.

    `events_per_hour`: received in the last 60 minutes, of the hour before this one in proportion. `total_events_today`:
    since midnight where this runs, of an hour that midnight is within in proportion. `error_rate`: percent of the last
    24 hours that was rejected or lost.
    """

    events_per_hour: float | None = None
    total_events_today: int | None = None
    last_event_time: str | None = None
    error_rate: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


class StatsWatch:
    """Reads the figures, at most once in five seconds; waits for nobody longer than three."""

    def __init__(self, means: Means, *, clock: Callable[[], float] = time.time) -> None:
        self._means = means
        self._clock = clock
        self._parts = SideBySide({"ledger": self._ledger, "newest": self._newest}, timeout_s=_TIMEOUT_S)
        self._lock = threading.Lock()
        self._kept = Stats()
        self._kept_at: float | None = None

    def read(self) -> Stats:
        """Return the figures, as of at most five seconds ago; blocks."""
        with self._lock:
            if self._kept_at is None or time.monotonic() - self._kept_at > _KEPT_FOR_S:
                answers = self._parts.ask()
                per_hour, today, errors_share = answers["ledger"].value or (None, None, None)
                newest = answers["newest"].value
                self._kept = Stats(per_hour, today, rfc3339_of_ns(newest) if newest else None, errors_share)
                self._kept_at = time.monotonic()
            return self._kept

    def close(self) -> None:
        """End the threads."""
        self._parts.close()

    def _ledger(self) -> tuple[float, int, float]:
        now_s = self._clock()
        midnight_s = midnight_before(now_s)
        since_s = min(hour_of(int(now_s * _S_NS)) - _DAY_S, hour_of(midnight_s * _S_NS))
        rows, _ = read_ledger(self._means.settings, self._means.metadata(), None, since_s)
        by_hour: dict[int, int] = {}
        day = Counts()
        for row in rows:
            by_hour[row.hour_s] = by_hour.get(row.hour_s, 0) + row.counts.total
            if row.hour_s >= now_s - _DAY_S:
                day.add(row.counts)
        this_s = hour_of(int(now_s * _S_NS))
        past = (now_s - this_s) / _HOUR_S
        per_hour = by_hour.get(this_s, 0) + by_hour.get(this_s - _HOUR_S, 0) * (1 - past)
        today = round(sum(count * share_since(hour_s, midnight_s, now_s) for hour_s, count in by_hour.items()))
        failed = 100 * (day.rejected + day.lost) / day.total if day.total else 0.0
        return round(per_hour, 1), today, round(failed, 3)

    def _newest(self) -> int | None:
        store = bootstrap.open_store(self._means.settings, _TIMEOUT_S)
        try:
            return next((event.time_ns for event in store.read(EventQuery(limit=1))), None)
        finally:
            store.close()


def share_since(hour_s: int, begin_s: int, now_s: float) -> float:
    """Return how much of what came in an hour came since then: some zones have their midnight within an hour of UTC."""
    end_s = min(hour_s + _HOUR_S, now_s)
    if end_s <= hour_s:
        return 1.0 if hour_s >= begin_s else 0.0
    return min(1.0, max(0.0, (end_s - begin_s) / (end_s - hour_s)))


def midnight_before(now_s: float) -> int:
    """Return when the day began where this runs (Unix, s).

    By the date, whose midnight has the offset of that time: that of now is another one where the clocks have changed
    since.
    """
    today = datetime.fromtimestamp(now_s, UTC).astimezone().date()
    return int(datetime.combine(today, time_of_day()).timestamp())
