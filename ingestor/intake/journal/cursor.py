"""Where reading stands: gives each live batch once, from either end of a segment; deletes nothing."""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass, field

from ingestor.intake.journal.record import Kind, Record, read_record, scan
from ingestor.intake.journal.recovery import Recovered
from ingestor.intake.journal.segment import Segment


@dataclass(slots=True)
class _Ahead:
    """Where the batches of a segment stand that were not given out: 8 bytes each. `scanned`: looked at up to there."""

    places: array[int] = field(default_factory=lambda: array("Q"))
    first: int = 0
    scanned: int = 0

    def take(self, *, newest: bool) -> int | None:
        """Return a place and step over it."""
        if self.first >= len(self.places):
            self.places, self.first = array("Q"), 0
            return None
        if newest:
            return self.places.pop()
        self.first += 1
        return self.places[self.first - 1]


class Cursor:
    """What is still to be read of each segment; a segment is looked through once, when its turn has come."""

    def __init__(self, recovered: Recovered) -> None:
        self._recovered = recovered
        self._last_recovered = recovered.last_number
        self._ahead: dict[int, _Ahead] = {}
        self._number = 0
        self._fd = -1

    def is_recovered(self, segment: Segment) -> bool:
        """Tell whether an earlier run left this segment."""
        return segment.number <= self._last_recovered

    def next_record(self, segment: Segment, end: int, *, newest: bool) -> Record | None:
        """Return a live batch record before `end`, the first or the last; None where there is none any more."""
        ahead = self._ahead.setdefault(segment.number, _Ahead())
        try:
            fd = self._open(segment)
        except FileNotFoundError:
            return None
        if newest and (record := self._look_through(fd, segment, ahead, end)) is not None:
            return record
        while (place := ahead.take(newest=newest)) is not None:
            record = read_record(fd, place, end, segment.seed)
            if record is not None:  # else it was damaged since
                return record
        return self._look_on(fd, segment, ahead, end)

    def forget(self, segment: Segment) -> None:
        """Let go of a segment that is deleted."""
        self._ahead.pop(segment.number, None)

    def settle(self) -> None:
        """Let go of what was only needed until all that was recovered has been given out."""
        self._recovered.settle()

    def is_wanted(self, segment: Segment, record: Record) -> bool:
        """Tell whether a record that was recovered is the one copy of a batch that is not done."""
        return self._recovered.wants(record.kind, record.seq, segment.number, record.offset)

    def close(self) -> None:
        """Close the file that is read from."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._number = -1, 0

    def _open(self, segment: Segment) -> int:
        """Return the segment's descriptor: the one of the last segment that was read from stays open."""
        if segment.number != self._number:
            self.close()
            self._fd, self._number = os.open(segment.path, os.O_RDONLY), segment.number
        return self._fd

    def _look_on(self, fd: int, segment: Segment, ahead: _Ahead, end: int) -> Record | None:
        """Return the next due record behind what was looked at."""
        for record in scan(fd, ahead.scanned, end, segment.seed):
            ahead.scanned = record.end
            if self._is_due(segment, record):
                return record
        ahead.scanned = max(ahead.scanned, end)
        return None

    def _look_through(self, fd: int, segment: Segment, ahead: _Ahead, end: int) -> Record | None:
        """Note the places of all due records behind what was looked at; return the last of them, which is at hand."""
        last = None
        while (record := self._look_on(fd, segment, ahead, end)) is not None:
            if last is not None:
                ahead.places.append(last.offset)
            last = record
        return last

    def _is_due(self, segment: Segment, record: Record) -> bool:
        if not self.is_recovered(segment):
            return record.kind == Kind.BATCH
        return self.is_wanted(segment, record)
