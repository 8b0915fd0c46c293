"""Reading a journal that a process left behind: what is there, what of it is done; deletes nothing but a torn tail."""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass, field
from pathlib import Path

from ingestor.intake.journal.record import Kind, scan, unpack_forget
from ingestor.intake.journal.segment import Segment, list_segments, reading


@dataclass(slots=True)
class Recovered:
    """What a journal's folder held.

    `done`, `moved` and `twins` say which batch records are to be passed over: those that were forgotten, those of
    which a later copy stands at (segment, offset), and those that a failed write left a second time at (segment,
    offset). `damaged_bytes` lay between whole records or after the last.
    """

    segments: list[Segment] = field(default_factory=list)
    done: set[int] = field(default_factory=set)
    moved: dict[int, tuple[int, int]] = field(default_factory=dict)
    twins: set[tuple[int, int]] = field(default_factory=set)
    last_seq: int = 0
    last_number: int = 0
    damaged_bytes: int = 0

    def wants(self, kind: int, seq: int, number: int, offset: int) -> bool:
        """Tell whether the record at that place is the one copy of a batch that is not done."""
        if seq in self.done:
            return False
        if kind == Kind.BATCH:
            return seq not in self.moved and (number, offset) not in self.twins
        return kind == Kind.MOVED and self.moved.get(seq) == (number, offset)

    def settle(self) -> None:
        """Forget what was only needed until the cursor has passed everything that was recovered."""
        self.done = set()
        self.moved = {}
        self.twins = set()


def recover(folder: Path) -> Recovered:
    """Read every segment of a folder: whole records are kept, a torn tail is cut off."""
    found = Recovered(list_segments(folder))
    seqs = [_read_segment(segment, found) for segment in found.segments]
    if found.segments:
        found.last_number = found.segments[-1].number
    found.last_seq = max([found.last_seq, *found.done, *found.moved], default=0)
    for segment, own in zip(found.segments, seqs, strict=True):
        segment.unread = sum(1 for seq in own if seq not in found.done and seq not in found.moved)
    by_number = {segment.number: segment for segment in found.segments}
    for seq, (number, _) in found.moved.items():
        by_number[number].unread += seq not in found.done
    return found


def _read_segment(segment: Segment, found: Recovered) -> array[int]:
    """Note what a segment says; return the sequence numbers of its batches."""
    seqs = array("Q")
    with reading(segment) as fd:
        whole = end = 0
        for record in scan(fd, 0, segment.size, segment.seed):
            whole += record.end - record.offset
            end = record.end
            if record.kind == Kind.FORGET:
                found.done.update(unpack_forget(record.body))
            elif record.kind == Kind.MOVED:
                found.moved[record.seq] = (segment.number, record.offset)
            elif record.kind == Kind.BATCH and record.seq <= found.last_seq:
                # Batches stand in order. One that does not was written again after a failed write.
                found.twins.add((segment.number, record.offset))
            elif record.kind == Kind.BATCH:
                found.last_seq = record.seq
                segment.first_seq = segment.first_seq or record.seq
                seqs.append(record.seq)
    found.damaged_bytes += segment.size - whole
    if end < segment.size:
        os.truncate(segment.path, end)
        segment.size = end
    return seqs
