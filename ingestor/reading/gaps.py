"""Gaps as plain values; fills none."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ingestor.reading.times import rfc3339_of_us
from ingestor.storage.gaps import GapRecord


def gap_object(gap: GapRecord) -> dict[str, Any]:
    """Return a gap as the JSON object that is told."""
    return {
        **asdict(gap),
        "state": gap.state.value,
        "event_types": list(gap.event_types),
        "entities": list(gap.entities),
        "ended": gap.ended,
        "start": rfc3339_of_us(gap.start_us),
        "end": rfc3339_of_us(gap.end_us) if gap.end_us else None,
    }
