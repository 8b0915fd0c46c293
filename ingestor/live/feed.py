"""Feeds the live channel with what was written; it never raises and never waits for long: no batch may fail for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from ingestor import errors, metrics
from ingestor.events.event import EventBatch
from ingestor.live.channel import LiveChannel
from ingestor.live.entry import LiveEntry, Notice, Told, encode_entry, entry_of

#: After a failure nothing is tried for so long: each try may cost a time-out, and batches wait behind it.
_PAUSE_S: Final = 2.0
_log: Final = structlog.get_logger(__name__)


class LiveFeed:
    """Tells of written events, home by home. What the channel does not take is counted and left to the store."""

    def __init__(self, channel: LiveChannel, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._channel = channel
        self._clock = clock
        self._next_s = -_PAUSE_S

    def tell(self, batch: EventBatch, told: Sequence[Told]) -> bool:
        """Publish what was written of a batch as one entry; return whether the channel has it."""
        entry = entry_of(batch, told)
        if entry is None:
            return False
        taken = self._take(entry)
        name = "ingestor_live_events_total" if taken else "ingestor_live_lost_total"
        metrics.counter(name, home=batch.home).inc(len(told))
        return taken

    def notify(self, home: str, notices: Sequence[Notice]) -> bool:
        """Publish what is no event as one entry; return whether the channel has it."""
        return bool(notices) and self._take(LiveEntry(home, notices=list(notices)))

    def _take(self, entry: LiveEntry) -> bool:
        return self._clock() >= self._next_s and self._publish(entry)

    def _publish(self, entry: LiveEntry) -> bool:
        try:
            self._channel.publish(entry.home, encode_entry(entry))
        except errors.IngestorError as error:
            self._next_s = self._clock() + _PAUSE_S
            _log.warning("live_entry_not_taken", home=entry.home, error=str(error), kind=type(error).__name__)
            return False
        except (ValueError, TypeError, OverflowError) as error:  # of a value that cannot be packed
            _log.warning("live_entry_not_packed", home=entry.home, error=str(error), kind=type(error).__name__)
            return False
        return True
