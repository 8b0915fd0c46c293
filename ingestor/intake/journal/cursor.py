"""The reading cursor: goes through the segments once, in order, and yields each live batch; deletes nothing."""

from __future__ import annotations

import os

from ingestor.intake.journal.record import Kind, Record, scan
from ingestor.intake.journal.recovery import Recovered
from ingestor.intake.journal.segment import Segment


class Cursor:
    """A place in the journal. `number` is the segment that it stands in: those before it have been read."""

    def __init__(self, recovered: Recovered) -> None:
        self._recovered = recovered
        self._recovered_number = recovered.last_number
        # Segments of which all is done need no reading.
        self.number = next((one.number for one in recovered.segments if one.unread), recovered.last_number + 1)
        self._offset = 0
        self._last_seq = 0
        self._fd: int | None = None

    @property
    def recovering(self) -> bool:
        """Tell whether it stands in what an earlier run left."""
        return self.number <= self._recovered_number

    def next_record(self, segment: Segment, end: int) -> Record | None:
        """Return the next live batch record before `end` and step over it; None where there is none."""
        if self._fd is None and not self._open(segment):
            return None
        assert self._fd is not None  # noqa: S101 -- `_open` said so; for the type checker
        for record in scan(self._fd, self._offset, end, segment.seed):
            self._offset = record.end
            if self._is_due(segment, record):
                return record
        self._offset = max(self._offset, end)
        return None

    def enter(self, segment: Segment) -> None:
        """Go on at the beginning of a segment."""
        self.close()
        self.number, self._offset = segment.number, 0
        if not self.recovering:
            self._recovered.settle()

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self, segment: Segment) -> bool:
        try:
            self._fd = os.open(segment.path, os.O_RDONLY)
        except FileNotFoundError:
            return False  # somebody deleted it: its batches are counted as damaged when the cursor leaves it
        return True

    def _is_due(self, segment: Segment, record: Record) -> bool:
        if record.kind == Kind.BATCH:
            if record.seq <= self._last_seq:
                return False  # a twin, from a write that failed and was not undone
            self._last_seq = record.seq
        if segment.number > self._recovered_number:
            return record.kind == Kind.BATCH
        return self._recovered.wants(record.kind, record.seq, segment.number, record.offset)
