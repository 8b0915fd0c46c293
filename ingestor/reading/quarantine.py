"""Causes and pieces of the quarantine as plain values; secrets stay redacted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from ingestor.events.diagnosis import diagnosis
from ingestor.events.redact import redact
from ingestor.storage.quarantine import Cause, Quarantined

_NS: Final = 1_000_000_000


def cause_object(cause: Cause) -> dict[str, Any]:
    """Return a cause as a JSON object."""
    return {
        "cause": cause.cause,
        "home": cause.home,
        "reason": cause.reason,
        "subject": cause.subject,
        "pieces": cause.pieces,
        "seen": cause.seen,
        "bytes": cause.bytes,
        "first_seen": _iso(cause.first_seen_ns),
        "last_seen": _iso(cause.last_seen_ns),
        "example_id": cause.example_id,
        "example": cause.example,
    }


def piece_object(piece: Quarantined) -> dict[str, Any]:
    """Return a piece as a JSON object."""
    return {
        "id": piece.id,
        "cause": piece.cause,
        "received": _iso(piece.received_ns),
        "last_seen": _iso(piece.last_seen_ns),
        "seen": piece.count,
        "attempts": piece.attempts,
        "batch_id": piece.batch_id,
        "slot": piece.slot,
        "home": piece.home,
        "source": piece.source,
        "kind": piece.kind,
        "topic": piece.topic,
        "form": piece.form,
        "subject": piece.subject,
        "reason": piece.reason,
        "detail": piece.detail,
        "diagnosis": diagnosis(piece.reason, piece.detail),
        "whole": piece.whole,
        "raw": redact(piece.raw).decode("utf-8", "backslashreplace"),
    }


def time_of(time_ns: int) -> datetime:
    """Return a time (Unix, nanoseconds)."""
    return datetime.fromtimestamp(time_ns / _NS, UTC)


def _iso(time_ns: int) -> str:
    return time_of(time_ns).isoformat()
