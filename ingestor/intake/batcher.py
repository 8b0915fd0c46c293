"""From frames to batches in the journal: the caller only appends, a thread of its own encodes, writes and syncs.

What waits between the two is bounded. Nothing is said to be journaled before its group is on the disk.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec
import structlog

from ingestor import errors
from ingestor.events.frame import Frame, FrameKind, RawBatch, new_batch_id
from ingestor.intake.book import Book
from ingestor.intake.journal.journal import Journal
from ingestor.intake.journal.record import Sealed
from ingestor.queue import message
from ingestor.settings import BatchSettings

_log: Final = structlog.get_logger(__name__)
#: What a frame costs in memory besides its payload and topic.
_FRAME_BYTES: Final = 150
#: Closed batches that may wait for the disk: a disk that stalls for a second costs no frame.
_MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
#: Batches encoded and synced as one group: more would cost memory for no fewer syncs.
_MAX_GROUP: Final = 16
_RETRY_DISK_S: Final = 0.5
_TIDY_EVERY_S: Final = 1.0
#: Frames that were joined from many messages are up to half a second old: the longest window changes little for them,
#: and they are few for what their listener has to do, so that a short one would hold next to nothing.
_LATE_ANYWAY: Final = frozenset[FrameKind]({"statestream"})

Journaled = Callable[[], None]


@dataclass(slots=True)
class _Open:
    """A batch that is being filled, or waits for the disk."""

    deadline_s: float
    #: It holds nothing but what is late anyway.
    late: bool = False
    frames: list[Frame] = field(default_factory=list)
    size: int = 0
    journaled: list[Journaled] = field(default_factory=list)
    sealed: Sealed | None = None


@dataclass(slots=True)
class BatcherStatus:
    """Counts of frames since the start. `refused` were not taken in: the caller was told. `lost` should stay 0."""

    frames: int = 0
    batches: int = 0
    journaled: int = 0
    groups: int = 0
    refused: int = 0
    lost: int = 0
    waiting_bytes: int = 0
    last_error: str | None = None


class Batcher:
    """Collects the frames of one source into batches and puts them into the journal.

    `on_group` is called after each group that is on the disk; `backlog` tells how much waits to be written, from 0
    (no more than has to) to 1 (only large batches help); `clock` is monotonic seconds.
    """

    def __init__(
        self,
        home: str,
        source: str,
        journal: Journal,
        settings: BatchSettings,
        *,
        on_group: Callable[[], None] | None = None,
        backlog: Callable[[], float] | None = None,
        book: Book | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = home
        self._source = source
        self._journal = journal
        self._settings = settings
        self._on_group = on_group or (lambda: None)
        self._backlog = backlog or (lambda: 0.0)
        self._book = book
        self._clock = clock
        self._work = threading.Condition(threading.Lock())
        self._open: _Open | None = None
        self._closed: deque[_Open] = deque()
        self._waiting_bytes = 0
        self._stopping = threading.Event()
        self._counts = BatcherStatus()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def add(self, frame: Frame, on_journaled: Journaled | None = None) -> None:
        """Take in a frame; never waits. `on_journaled` is called, in another thread, once it is on the disk.

        Raises JournalFull where neither the journal nor memory has room: what then is the caller's policy.
        """
        cost = _FRAME_BYTES + len(frame.payload) + len(frame.topic)
        with self._work:
            self._require_room(cost)
            batch = self._batch_for(cost, frame.kind)
            batch.frames.append(frame)
            batch.size += cost
            self._waiting_bytes += cost
            self._counts.frames += 1
            if on_journaled is not None:
                batch.journaled.append(on_journaled)
            if len(batch.frames) >= self._settings.max_frames or batch.size >= self._settings.max_bytes:
                self._close_open()

    def note_lost(self, events: int) -> None:
        """Count events that the caller could not hand in and has to drop."""
        if events and self._book is not None:
            self._book.dropped(events, time.time_ns())

    def close(self, timeout_s: float = 5.0) -> None:
        """Put what is there into the journal and stop; what the disk does not take now is counted as lost."""
        with self._work:
            self._stopping.set()
            self._close_open()
            self._work.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def status(self) -> BatcherStatus:
        """Return the counts so far."""
        with self._work:
            return dataclasses.replace(self._counts, waiting_bytes=self._waiting_bytes)

    # -- the caller's thread, under the lock -----------------------------------------------------------

    def _require_room(self, cost: int) -> None:
        waiting = self._waiting_bytes
        if self._stopping.is_set() or (waiting and waiting + cost > _MAX_WAITING_BYTES):
            self._counts.refused += 1
            raise errors.JournalFull("the disk does not keep up: too many frames wait to be journaled")
        if not self._journal.has_room(waiting + cost):
            self._counts.refused += 1
            raise errors.JournalFull("the journal has reached its size limit")

    def _batch_for(self, cost: int, kind: FrameKind) -> _Open:
        if self._open is not None and self._open.size + cost > self._settings.max_bytes:
            self._close_open()
        late = kind in _LATE_ANYWAY
        if self._open is None or (self._open.late and not late):
            deadline_s = self._clock() + self._flush_after_s(late=late)
            self._open = self._open or _Open(deadline_s)
            self._open.deadline_s, self._open.late = min(self._open.deadline_s, deadline_s), late
            self._work.notify()  # the thread has a deadline to keep now
        return self._open

    def _flush_after_s(self, *, late: bool) -> float:
        # A task costs its step 2 to 4 ms whatever is in it: who is behind catches up with fewer, larger batches.
        shortest_s = self._settings.flush_after_s
        longer_s = max(0.0, self._settings.busy_flush_after_s - shortest_s)
        return shortest_s + longer_s * (1.0 if late else self._backlog())

    def _close_open(self) -> None:
        if self._open is not None:
            self._closed.append(self._open)
            self._open = None
            self._work.notify()

    # -- the journal's thread --------------------------------------------------------------------------

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            self._put(group)
            self._guarded(self._journal.tidy)

    def _next_group(self) -> list[_Open] | None:
        """Wait for closed batches; an empty list says that it is time to tidy, None that all is done."""
        with self._work:
            if not self._closed and not self._stopping.is_set():
                self._work.wait(self._pause_s())
            if self._open is not None and self._clock() >= self._open.deadline_s:
                self._close_open()
            if not self._closed:
                return None if self._stopping.is_set() else []
            return [self._closed.popleft() for _ in range(min(_MAX_GROUP, len(self._closed)))]

    def _pause_s(self) -> float:
        if self._open is None:
            return _TIDY_EVERY_S
        return max(0.0, self._open.deadline_s - self._clock())

    def _put(self, group: list[_Open]) -> None:
        """Bring a group into the journal, however long its disk is full; at the end of all it is lost, and counted."""
        try:
            while group:
                group = group[self._put_some(group) :]
        except Exception:  # noqa: BLE001 -- no listener can go on without this thread: it outlives what nobody thought of
            _log.exception("journal_group_failed", journal=self._journal.name)
            self._lose(group)

    def _put_some(self, group: list[_Open]) -> int:
        """Journal the first batches of a group; return how many. Where there is no space for all, try one."""
        sealed = [self._seal(batch) for batch in group]
        for number in (len(group), 1):
            if self._append(sealed[:number]):
                self._announce(group[:number])
                return number
        if self._stopping.wait(_RETRY_DISK_S):
            self._lose(group)
            return len(group)
        self._journal.tidy()
        return 0

    def _append(self, sealed: list[Sealed]) -> bool:
        try:
            self._journal.append(sealed)
        except errors.JournalFull as error:
            if self._counts.last_error is None:
                _log.error("journal_disk_full", journal=self._journal.name, error=str(error))
            self._counts.last_error = str(error)
            return False
        self._counts.last_error = None
        if self._book is not None:
            self._book.took(sealed)
        return True

    def _seal(self, batch: _Open) -> Sealed:
        """Encode a batch, once. Its bytes are what `validate` gets, today or after a restart."""
        if batch.sealed is None:
            batch.sealed = self._encode(batch)
        return batch.sealed

    def _encode(self, batch: _Open) -> Sealed:
        raw = RawBatch(
            new_batch_id(), self._home, self._source, self._journal.name, batch.frames[0].received_ns, batch.frames
        )
        try:
            encoded = message.encode_raw(raw)
        except UnicodeEncodeError:
            # A topic with half a surrogate pair: no UTF-8. Its neighbours must not suffer for it.
            frames = [msgspec.structs.replace(frame, topic=_printable(frame.topic)) for frame in batch.frames]
            encoded = message.encode_raw(msgspec.structs.replace(raw, frames=frames))
        return Sealed(raw.batch_id, len(raw.frames), raw.opened_ns, encoded)

    def _announce(self, group: list[_Open]) -> None:
        with self._work:
            self._counts.groups += 1
            self._counts.batches += len(group)
            self._counts.journaled += sum(len(batch.frames) for batch in group)
            self._waiting_bytes -= sum(batch.size for batch in group)
        for batch in group:
            for journaled in batch.journaled:
                self._guarded(journaled)
        self._guarded(self._on_group)

    def _lose(self, group: list[_Open]) -> None:
        frames = sum(len(batch.frames) for batch in group)
        with self._work:
            self._counts.lost += frames
            self._waiting_bytes -= sum(batch.size for batch in group)
        # Who waits to hear that a frame is on the disk is not told so, and keeps it (an MQTT broker).
        self.note_lost(sum(max(0, len(batch.frames) - len(batch.journaled)) for batch in group))
        _log.error("frames_lost", journal=self._journal.name, frames=frames, error=self._counts.last_error)

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:  # noqa: BLE001 -- a listener's callback must not stop the journal
            _log.exception("journal_call_failed", journal=self._journal.name)


def _printable(topic: str) -> str:
    return topic.encode("utf-8", "backslashreplace").decode("utf-8")
