"""The journal of one listener: append, read in order, forget; bounded by size. Knows no queue and no event.

Three threads use it, each its own part: the batcher's appends and tidies (`append`, `tidy`), the sender's reads
(`next_unsent`, `read`), the one that takes done marks forgets (`forget`). Batches wait on disk, never in memory:
only those that were given out and are not done yet have an entry here.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import structlog

from ingestor import errors
from ingestor.intake.journal.active import ActiveFile
from ingestor.intake.journal.ages import Ages
from ingestor.intake.journal.cursor import Cursor
from ingestor.intake.journal.entry import Entry, JournalStatus
from ingestor.intake.journal.record import (
    HEAD_BYTES,
    Kind,
    Record,
    Sealed,
    pack,
    pack_batch,
    pack_forget,
    read_record,
    scan,
    unpack_batch,
)
from ingestor.intake.journal.recovery import recover
from ingestor.intake.journal.segment import Disk, Segment, lock, make_folder, reading
from ingestor.settings import JournalSettings

_log: Final = structlog.get_logger(__name__)
#: A full journal takes batches again below this share of its limit.
_ROOM_AGAIN_AT: Final = 0.9
#: With more segments than this, the oldest is emptied by copying, if no more than this share of it is alive.
_COMPACT_ABOVE_SEGMENTS: Final = 4
_COMPACT_BELOW_LIVE: Final = 0.25
#: The least number of segments that the limit is cut into: done batches are freed a segment at a time.
_LEAST_SEGMENTS: Final = 8


class Journal:
    """A folder of segment files that belongs to this process. Raises Fatal where another process has it."""

    def __init__(
        self,
        folder: Path,
        settings: JournalSettings,
        *,
        disk: Disk | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        make_folder(folder)
        self._folder = folder
        self._lock_fd = lock(folder)
        self._max_bytes = settings.max_bytes
        recovered = recover(folder)
        segment_bytes = min(settings.segment_bytes, settings.max_bytes // _LEAST_SEGMENTS)
        self._active = ActiveFile(folder, segment_bytes, recovered.last_number, disk or Disk())
        self._cursor = Cursor(recovered)
        self._mutex = threading.Lock()
        self._segments = recovered.segments
        self._bytes = sum(segment.size for segment in self._segments)
        self._unread = sum(segment.unread for segment in self._segments)
        self._unread_earlier = self._unread
        self._seq = recovered.last_seq
        self._out: dict[int, Entry] = {}
        self._forgotten: list[int] = []
        self._full = False
        self._untidy = False
        self._max_age_s = settings.max_age_s
        self._ages = Ages(recovered.last_seq, clock)
        self._last_given = 0
        self._newest_first = settings.backlog_order == "newest"
        self._damaged_bytes = recovered.damaged_bytes
        self._damaged_batches = 0

    @property
    def name(self) -> str:
        """The journal's name in batches and done marks."""
        return self._folder.name

    @property
    def recovering(self) -> bool:
        """Tell whether batches of an earlier run are still ahead of the cursor."""
        return self._unread_earlier > 0

    @property
    def unsent(self) -> int:
        """Batches that were not given out yet."""
        return self._unread

    def has_room(self, extra_bytes: int) -> bool:
        """Tell whether that many more bytes may be taken in; once full, only when a tenth is free again."""
        limit = self._max_bytes * (_ROOM_AGAIN_AT if self._full else 1)
        # An empty journal takes a batch of any size: else one larger than the limit would wait for ever.
        self._full = self._bytes + extra_bytes > limit and bool(self._unread or self._out)
        return not self._full

    # -- the batcher's thread ------------------------------------------------------------------------

    def append(self, batches: Sequence[Sealed]) -> None:
        """Put batches on the disk, together: they are durable when this returns.

        Raises JournalFull where the disk takes no more; then none of them is in the journal.
        """
        try:
            self._write(Kind.BATCH, [(self._seq + 1 + n, pack_batch(batch)) for n, batch in enumerate(batches)])
        except OSError as error:
            raise errors.JournalFull(f"the journal's disk takes no more: {error}") from error
        self._seq += len(batches)
        with self._mutex:
            self._ages.note(self._seq)

    def tidy(self) -> None:
        """Delete segments that hold nothing alive, write down what was forgotten, empty a segment that holds little."""
        done = [self._try(step) for step in (self._delete_done, self._write_forgotten, self._compact)]
        self._untidy = not all(done)

    def _try(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except OSError as error:
            # Nothing is lost by it; the space is freed at a later try. Said once.
            if not self._untidy:
                _log.warning("journal_not_tidied", journal=self.name, error=str(error))
            return False
        return True

    def _write(self, kind: Kind, bodies: Sequence[tuple[int, bytes]]) -> Segment:
        """Append records; those of batches are on the disk when this returns. Raises OSError."""
        segment = self._active.segment()
        if not self._segments or self._segments[-1] is not segment:
            with self._mutex:
                self._segments.append(segment)
        data = b"".join(pack(kind, seq, body, segment.seed) for seq, body in bodies)
        self._active.write(data, sync=kind != Kind.FORGET)
        unread = len(bodies) if kind == Kind.BATCH else 0
        with self._mutex:
            segment.size += len(data)
            segment.unread += unread
            segment.first_seq = segment.first_seq or bodies[0][0]
            self._bytes += len(data)
            self._unread += unread
        return segment

    def _write_forgotten(self) -> None:
        with self._mutex:
            seqs, self._forgotten = self._forgotten, []
        if not seqs:
            return
        try:
            self._write(Kind.FORGET, [(0, pack_forget(seqs))])
        except OSError:
            with self._mutex:
                self._forgotten[:0] = seqs
            raise

    def _delete_done(self) -> None:
        """Delete segments of which nothing is alive, from the oldest on: they say what before them is done.

        Where the newest go first, the oldest stay for long: then any may go. What is lost by it is sent again.
        """
        for segment in list(self._segments):
            if segment.live or segment is self._active.current:
                if self._newest_first:
                    continue
                return
            segment.path.unlink(missing_ok=True)
            with self._mutex:
                self._segments.remove(segment)
                self._bytes -= segment.size
            self._cursor.forget(segment)

    def _compact(self) -> None:
        """Copy the few live batches of the oldest segment to the end, so that one stuck batch does not hold all."""
        segment = self._segments[0] if len(self._segments) > _COMPACT_ABOVE_SEGMENTS else None
        if segment is None or segment.unread:
            return
        with self._mutex:
            entries = [entry for entry in self._out.values() if entry.segment == segment.number]
        if sum(entry.length for entry in entries) <= segment.size * _COMPACT_BELOW_LIVE:
            self._move(entries)
            self._delete_done()

    def _move(self, entries: list[Entry]) -> None:
        bodies = []
        for entry in entries:
            message = self.read(entry)
            if message is None:
                self.give_up(entry)
            else:
                sealed = Sealed(entry.batch_id, entry.frames, entry.opened_ns, message)
                bodies.append((entry.seq, pack_batch(sealed)))
        offset = self._active.segment().size
        target = self._write(Kind.MOVED, bodies)
        with self._mutex:
            for seq, body in bodies:
                length = HEAD_BYTES + len(body)
                if (moved := self._out.get(seq)) is not None:
                    self._segment(moved.segment).out -= 1
                    target.out += 1
                    moved.segment, moved.offset, moved.length = target.number, offset, length
                offset += length

    # -- the sender's thread -------------------------------------------------------------------------

    def next_unsent(self, *, newest: bool = False) -> tuple[Entry, bytes] | None:
        """Give out the oldest batch that was not given out, or the newest; None while there is none."""
        while self._unread > 0:
            with self._mutex:
                segments = reversed(self._segments) if newest else iter(self._segments)
                segment = next(segment for segment in segments if segment.unread)
                end, unread = segment.size, segment.unread
            record = self._cursor.next_record(segment, end, newest=newest)
            if record is None:
                self._miss(segment, unread)
            elif (given := self._give_out(segment, record)) is not None:
                return given
        return None

    def _give_out(self, segment: Segment, record: Record) -> tuple[Entry, bytes] | None:
        batch = unpack_batch(record.body)
        if batch is None:
            return None
        length = record.end - record.offset
        entry = Entry(record.seq, batch.batch_id, batch.frames, batch.opened_ns, segment.number, record.offset, length)
        with self._mutex:
            self._out[entry.seq] = entry
            self._last_given = entry.seq
            segment.out += 1
            self._read_on(segment, 1)
        return entry, batch.message

    def _read_on(self, segment: Segment, batches: int) -> None:
        """Count batches as read; the mutex is held."""
        segment.unread -= batches
        self._unread -= batches
        if self._unread_earlier and self._cursor.is_recovered(segment):
            self._unread_earlier -= batches
            if not self._unread_earlier:
                self._cursor.settle()

    def _miss(self, segment: Segment, batches: int) -> None:
        """Count batches that should have been in a segment and are damaged."""
        with self._mutex:
            self._read_on(segment, batches)
            self._damaged_batches += batches
        _log.error("journal_batches_damaged", journal=self.name, batches=batches, file=segment.path.name)

    def read(self, entry: Entry) -> bytes | None:
        """Return a batch's message from the disk once more; None where it is damaged or forgotten by now."""
        for _ in range(2):  # it may be moved while we look
            with self._mutex:
                if entry.seq not in self._out:
                    return None
                segment, offset = self._segment(entry.segment), entry.offset
            with contextlib.suppress(FileNotFoundError), reading(segment) as fd:
                record = read_record(fd, offset, segment.size, segment.seed)
                batch = unpack_batch(record.body) if record else None
                if batch is not None and batch.batch_id == entry.batch_id:
                    return batch.message
        return None

    # -- the thread that takes done marks, and others ------------------------------------------------

    def forget(self, entries: Sequence[Entry]) -> None:
        """Let go of batches that are done. Written down by `tidy`: losing that only sends them again."""
        with self._mutex:
            for entry in entries:
                if self._out.pop(entry.seq, None) is not None:
                    self._segment(entry.segment).out -= 1
                    self._forgotten.append(entry.seq)

    def give_up(self, entry: Entry) -> bool:
        """Let go of a batch that cannot be read any more, and count it; False where it was forgotten before."""
        if entry.seq not in self._out:
            return False
        _log.error("journal_batches_damaged", journal=self.name, batches=1, batch=entry.batch_id)
        self._damaged_batches += 1
        self.forget([entry])
        return True

    def newest_messages(self) -> Iterator[bytes]:
        """Yield the messages in the journal, newest first, done or not; only before anything else is asked of it."""
        for segment in reversed(self._segments):
            with reading(segment) as fd:
                records = scan(fd, 0, segment.size, segment.seed)
                places = [record.offset for record in records if record.kind != Kind.FORGET]
                for offset in reversed(places):
                    record = read_record(fd, offset, segment.size, segment.seed)
                    batch = unpack_batch(record.body) if record else None
                    if batch is not None:
                        yield batch.message

    def held(self) -> Iterator[Sealed]:
        """Yield the batches of an earlier run that are not done; only before anything else is asked of it."""
        for segment in self._segments:
            with reading(segment) as fd:
                for record in scan(fd, 0, segment.size, segment.seed) if segment.unread else ():
                    batch = unpack_batch(record.body) if self._cursor.is_wanted(segment, record) else None
                    if batch is not None:
                        yield batch

    def status(self) -> JournalStatus:
        """Return figures for people."""
        with self._mutex:
            oldest = next(iter(self._out.values()), None)
            return JournalStatus(
                pending_batches=self._unread + len(self._out),
                unsent_batches=self._unread,
                bytes_on_disk=self._bytes,
                segments=len(self._segments),
                oldest_ns=oldest.opened_ns if oldest else 0,
                full=self._full,
                damaged_bytes=self._damaged_bytes,
                damaged_batches=self._damaged_batches,
                waiting_s=round(waiting_s := self._waiting_s(), 1),
                overdue=waiting_s > self._max_age_s,
            )

    def _waiting_s(self) -> float:
        """Return for how long the oldest batch has been known."""
        oldest = [min(self._out)] if self._out else []
        if (unread := next((one for one in self._segments if one.unread), None)) is not None:
            # Where the oldest go first, what was given out is before all that was not.
            oldest.append(unread.first_seq if self._newest_first else max(unread.first_seq, self._last_given + 1))
        return self._ages.age_s(min(oldest)) if oldest else 0.0

    def close(self) -> None:
        """Write down what was forgotten and give the journal back; no other thread may use it any more."""
        self.tidy()
        self._active.retire(sync=True)
        self._cursor.close()
        os.close(self._lock_fd)

    def _segment(self, number: int) -> Segment:
        return next(one for one in self._segments if one.number == number)
