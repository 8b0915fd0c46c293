"""Writes batches, and takes one apart that the store fails over while it takes all others; decides nothing else."""

from __future__ import annotations

from ingestor import errors
from ingestor.events.event import EventBatch
from ingestor.pipeline.write import Writer, Written
from ingestor.storage.suspects import Suspects


class SuspectingWriter:
    """A writer, and one that refuses only what the store fails over, for batches that are at fault themselves."""

    def __init__(self, writer: Writer, isolating: Writer, suspects: Suspects) -> None:
        self._writer = writer
        self._isolating = isolating
        self._suspects = suspects

    def write(self, batch: EventBatch) -> Written:
        """Write a batch. Raises Transient errors (nothing of it may be assumed written) and StoreRefused."""
        try:
            return self._writer.write(batch)
        except errors.StoreUnavailable as error:
            if not error.broken or not self._suspects.note(batch.batch_id):
                raise
        return self._isolating.write(batch)
