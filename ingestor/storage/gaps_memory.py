"""Gaps within one process, for tests and for trying things out."""

from __future__ import annotations

from dataclasses import replace

from ingestor.storage.gaps import GapRecord, observed

_Records = list[GapRecord]  # within the class `list` is a method


class MemoryGaps:
    """Keeps gaps in a dict."""

    def __init__(self) -> None:
        self._gaps: dict[str, GapRecord] = {}

    def observe(self, gap: GapRecord) -> None:
        """Take in what a listener tells."""
        self._gaps[gap.gap_id] = observed(self._gaps.get(gap.gap_id), gap)

    def save(self, gap: GapRecord) -> None:
        """Keep what became of a gap's filling, unless it has grown meanwhile."""
        known = self._gaps.get(gap.gap_id)
        if known is not None and known.end_us == gap.end_us:
            self._gaps[gap.gap_id] = replace(gap, event_types=known.event_types)

    def find(self, gap_id: str) -> GapRecord | None:
        """Return a gap."""
        return self._gaps.get(gap_id)

    def list(
        self, *, home: str | None = None, since_us: int = 0, unended_only: bool = False, limit: int = 1000
    ) -> _Records:
        """Return gaps, newest start first."""
        found = [
            gap
            for gap in self._gaps.values()
            if home in (None, gap.home)
            and (not gap.end_us or gap.end_us >= since_us)
            and not (unended_only and gap.ended)
        ]
        return sorted(found, key=lambda gap: (gap.start_us, gap.gap_id), reverse=True)[:limit]
