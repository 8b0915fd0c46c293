"""What the journal tells about itself: a batch that it gave out, and its figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Entry:
    """A batch that the journal gave out and still keeps; where it stands may change (the journal's business)."""

    seq: int
    batch_id: str
    frames: int
    opened_ns: int
    segment: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """Figures of a journal; `oldest_ns` is when the oldest batch that was given out was opened (Unix), 0 for none.

    `waiting_s` is for how long this run has known the oldest batch, `overdue` whether that is longer than it should be.
    """

    pending_batches: int
    unsent_batches: int
    bytes_on_disk: int
    segments: int
    oldest_ns: int
    full: bool
    damaged_bytes: int
    damaged_batches: int
    waiting_s: float = 0.0
    overdue: bool = False
