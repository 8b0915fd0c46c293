"""The topics of MQTT as plain values: those that listeners have seen, and those that we publish."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ingestor.queue.topics_board import OUT
from ingestor.reading.times import rfc3339_of_us


def topics_object(board: Mapping[str, Mapping[str, Any]], home: str | None, limit: int) -> dict[str, Any]:
    """Return what is told of topics, those with most messages first."""
    told = {name: entry for name, entry in board.items() if name != OUT and home in (None, entry.get("home"))}
    seen = sorted(
        (one for entry in told.values() for one in _seen(entry)), key=lambda one: (-one["count"], one["topic"])
    )
    out = board.get(OUT, {})
    return {
        "seen": seen[:limit],
        "seen_in_all": len(seen),
        "other_messages": sum(int(entry.get("other_messages", 0)) for entry in told.values()),
        "published": list(out.get("topics", ())),
        "published_by_event": dict(out.get("by_event", {})),
        "connected": bool(out.get("connected", False)),
        "last_error": str(out.get("last_error", "")),
        "refused": int(out.get("refused", 0)),
        "last_refused": str(out.get("last_refused", "")),
    }


def _seen(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for topic, kind, count, last_us in entry.get("topics", ()):
        yield {
            "topic": topic,
            "kind": kind,
            "count": count,
            "last": rfc3339_of_us(last_us),
            "home": entry.get("home", ""),
            "listener": entry.get("listener", ""),
        }
