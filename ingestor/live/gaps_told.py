"""What is told of messages that could not be kept for one who listens: between which times. Keeps nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from ingestor.live.cursor import parse_cursor
from ingestor.live.listener import Gap

_GONE: Final = "messages of this home were not kept; what was written between these times is in /api/v1/events"


def gap_data(gap: Gap, before: str, now_us: int) -> dict[str, str]:
    """Return `from` and `to`: where the listener was (`before`, a cursor), and where it goes on."""
    to_us = _time_us(gap.cursor, gap.home) or now_us
    from_us = _time_us(before, gap.home) or to_us
    return {"from": time_text(min(from_us, to_us)), "to": time_text(to_us), "detail": _GONE}


def time_text(time_us: int) -> str:
    """Return Unix microseconds as RFC 3339 in milliseconds: an entry's place tells no more."""
    return datetime.fromtimestamp(time_us / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time_us(cursor: str, home: str) -> int:
    """Return when an entry was made that a cursor names, 0 where it names none of that home."""
    place = parse_cursor(cursor).get(home) if cursor else None
    return place.entry_id.ms * 1000 if place else 0
