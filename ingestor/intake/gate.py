"""When to hold batches in the journal: high and low water of the queues, and the broker's memory; pure logic."""

from __future__ import annotations

from typing import Final

from ingestor.queue.gauge import Load
from ingestor.settings import QueueSettings

#: A broker that was too full is sent to again below this share of the level at which we hold.
_MEMORY_AGAIN_AT: Final = 0.85
#: Most bytes between two measurements: batches may be large, and the broker's memory is measured, not foreseen.
_MAX_UNMEASURED_BYTES: Final = 8 * 1024 * 1024


class Gate:
    """Says how many batches may be sent before the queues are measured again; `held` says why none may."""

    def __init__(self, settings: QueueSettings, hold_at: float) -> None:
        self._high = settings.high_water
        self._low = settings.low_water
        self._hold_at = hold_at
        self._deepest = 0
        self._sent = 0
        self._sent_bytes = 0
        self._deep = False
        self._full = False
        self.queue_empty = False

    @property
    def deepest(self) -> int:
        """How many batches waited in the deepest queue when it was measured."""
        return self._deepest

    @property
    def held(self) -> str | None:
        """Why batches are held in the journal; None while they are not."""
        if self._full:
            return "the broker's memory is nearly full"
        if self._deep:
            return f"{self._deepest} batches wait in a queue"
        return None

    def measured(self, load: Load) -> None:
        """Take in a measurement."""
        self._deepest = max(load.depths.values(), default=0)
        self._sent = self._sent_bytes = 0
        self.queue_empty = not any(load.depths.values())
        self._deep = self._deepest > self._low if self._deep else self._deepest >= self._high
        if load.memory_share is None:
            self._full = False
        else:
            level = self._hold_at * (_MEMORY_AGAIN_AT if self._full else 1)
            self._full = load.memory_share >= level

    def room(self, *, backlog: bool) -> int:
        """Return how many batches may be sent now.

        A backlog fills the queues only to low water: what happens now then waits behind few of it.
        """
        if self.held or self._sent_bytes >= _MAX_UNMEASURED_BYTES:
            return 0
        return max(0, (self._low if backlog else self._high) - self._deepest - self._sent)

    def sent(self, size: int) -> None:
        """Note a batch of that many bytes that was sent since the last measurement."""
        self._sent += 1
        self._sent_bytes += size
