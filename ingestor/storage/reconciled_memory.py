"""Reconciled hours within one process: the twin of the ones in a database, for tests."""

from __future__ import annotations

from ingestor.storage.port import HOUR_US
from ingestor.storage.reconciled import HourState, ReconciledHour, Reconciliation

_Hours = list[ReconciledHour]  # within the class `list` is a method
_Summaries = list[Reconciliation]


class MemoryReconciledHours:
    """Hours by home and beginning."""

    def __init__(self) -> None:
        self.hours: dict[tuple[str, int], ReconciledHour] = {}

    def save(self, hour: ReconciledHour) -> None:
        """Keep an hour."""
        self.hours[hour.home, hour.hour_us] = hour

    def list(
        self, *, home: str | None = None, since_us: int = 0, unended_only: bool = False, limit: int = 1000
    ) -> _Hours:
        """Return hours, newest first."""
        found = [
            hour
            for hour in self.hours.values()
            if home in (None, hour.home) and hour.hour_us >= since_us and not (unended_only and hour.ended)
        ]
        return sorted(found, key=lambda hour: (-hour.hour_us, hour.home))[:limit]

    def summaries(self) -> _Summaries:
        """Return every home that has hours."""
        return [_summary(name, self.list(home=name, limit=10**9)) for name in sorted({home for home, _ in self.hours})]


def _summary(home: str, hours: _Hours) -> Reconciliation:
    waiting = [hour.hour_us for hour in hours if not hour.ended]
    return Reconciliation(
        home,
        first_us=hours[-1].hour_us,
        until_us=min(waiting) if waiting else hours[0].hour_us + HOUR_US,
        hours=len(hours),
        waiting=len(waiting),
        missing=sum(hour.missing for hour in hours if hour.state is HourState.MISSING),
        repaired=sum(hour.repaired for hour in hours),
    )
