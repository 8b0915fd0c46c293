"""Repair of what reconciliation misses: a gap over it, which the ordinary filler reads back; reads nothing itself."""

from __future__ import annotations

from collections.abc import Collection

from ingestor.storage.gaps import Gaps, reconcile_gap, refilled


class GapRepair:
    """Opens gaps, and tells how they ended."""

    def __init__(self, gaps: Gaps) -> None:
        self._gaps = gaps

    def begin(self, home: str, start_us: int, end_us: int, entities: Collection[str]) -> str:
        """Open a gap over a span, or have it filled once more; return its id. Raises StoreUnavailable."""
        gap = reconcile_gap(home, start_us, end_us, entities)
        self._gaps.observe(gap)
        known = self._gaps.find(gap.gap_id)
        if known is not None and known.ended:
            self._gaps.save(refilled(known))
        return gap.gap_id

    def ended(self, gap_id: str) -> str | None:
        """Return how a gap ended, in words; None while it has not. Raises StoreUnavailable."""
        gap = self._gaps.find(gap_id)
        if gap is None:
            return "its gap is not known any more"
        if not gap.ended:
            return None
        return f"{gap.state.value}: {gap.why}" if gap.why else gap.state.value
