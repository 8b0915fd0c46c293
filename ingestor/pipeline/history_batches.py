"""Batches of history on their way through the pipeline: made, sent, and waited for by their done marks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ingestor import metrics
from ingestor.events.counts import Page
from ingestor.events.frame import Frame, RawBatch, new_batch_id
from ingestor.events.history import history_frame, statistics_frame
from ingestor.pipeline.history_counts import SOURCE, HistoryCounts
from ingestor.queue import message, names
from ingestor.queue.done import DoneMark, DoneMarks
from ingestor.queue.producer import TaskSender

_ROWS_IN_FRAME: Final = 100
_ROWS_IN_BATCH: Final = 500
_BYTES_IN_BATCH: Final = 1_000_000
_COUNTER: Final = "ingestor_events_{}_total"


def frames_of(rows: Mapping[str, list[Any]]) -> Iterator[tuple[Frame, int]]:
    """Yield frames of history with the number of their rows, small enough to go together in batches."""
    for entity_id, found in rows.items():
        for first in range(0, len(found), _ROWS_IN_FRAME):
            part = found[first : first + _ROWS_IN_FRAME]
            yield history_frame(entity_id, part, time.time_ns()), len(part)


def statistics_frames_of(
    rows: Mapping[str, Sequence[Any]], units: Mapping[str, str | None]
) -> Iterator[tuple[Frame, int]]:
    """Yield frames of hourly statistics with the number of their rows."""
    for entity_id, found in rows.items():
        for first in range(0, len(found), _ROWS_IN_FRAME):
            part = found[first : first + _ROWS_IN_FRAME]
            yield statistics_frame(entity_id, units.get(entity_id), part, time.time_ns()), len(part)


class Shipment:
    """What was sent for one gap and is not written yet. `mailbox` is where the done marks come to.

    What became of it is handed in as pages of the ledger as soon as marks are taken: who is killed later is counted.
    """

    def __init__(
        self,
        home: str,
        mailbox: str,
        tasks: TaskSender,
        done: DoneMarks,
        hand_in: Callable[[list[Page]], None] = lambda _pages: None,
    ) -> None:
        self._home = home
        self._mailbox = mailbox
        self._tasks = tasks
        self._done = done
        #: For each batch the number of its slots, and a bit for each that has ended.
        self._under_way: dict[str, tuple[int, int]] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._stored: dict[str, dict[int, int]] = {}
        self._ledger = HistoryCounts()
        self._hand_in = hand_in
        self.ended: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def send(self, frames: Iterable[tuple[Frame, int]]) -> int:
        """Send frames as batches; return the number of rows. Raises BrokerUnavailable; some may be sent then."""
        sent = size = rows = 0
        batch: list[Frame] = []
        for frame, count in frames:
            if batch and (rows + count > _ROWS_IN_BATCH or size + len(frame.payload) > _BYTES_IN_BATCH):
                self._send(batch, rows)
                batch, size, rows = [], 0, 0
            batch.append(frame)
            size, rows, sent = size + len(frame.payload), rows + count, sent + count
        if batch:
            self._send(batch, rows)
        return sent

    def _send(self, frames: list[Frame], rows: int) -> None:
        raw = RawBatch(new_batch_id(), self._home, SOURCE, self._mailbox, frames[0].received_ns, frames)
        self._under_way[raw.batch_id] = (rows, 0)
        self._tasks.send(
            names.VALIDATE_BATCH,
            names.TaskType.VALIDATE,
            message.encode_raw(raw),
            task_id=f"{raw.batch_id}-1",
            shown=f"batch {raw.batch_id}, {rows} rows, history of {self._home}",
            kwargs={"attempt": 1, "journal": self._mailbox},
        )

    def take_marks(self) -> int:
        """Note which slots have ended; return how many batches are done now. Raises StateUnavailable."""
        before = len(self._under_way)
        for mark in self._done.take(self._mailbox):
            self._note(mark)
        if pages := self._ledger.pages(self._home, self._mailbox):
            self._hand_in(pages)
        return before - len(self._under_way)

    def forget(self) -> None:
        """Wait for nothing any more: what was sent is read and compared once more."""
        self._under_way.clear()
        self._counts.clear()
        self._stored.clear()

    def _note(self, mark: DoneMark) -> None:
        known = self._under_way.get(mark.batch_id)
        if known is None:
            return
        size, bits = known
        counts = self._counts.setdefault(mark.batch_id, {})
        self._note_stored(mark, bits)
        for settled in mark.settled:
            for slot in settled.slots:
                if 0 <= slot < size and not bits >> slot & 1:
                    bits |= 1 << slot
                    counts[settled.outcome] = counts.get(settled.outcome, 0) + 1
        if mark.unread:
            counts["rejected"] = size
        if bits == (1 << size) - 1 or not mark.size:
            del self._under_way[mark.batch_id]
            self._count(self._counts.pop(mark.batch_id), self._stored.pop(mark.batch_id))
        else:
            self._under_way[mark.batch_id] = (size, bits)

    def _note_stored(self, mark: DoneMark, ended: int) -> None:
        stored = self._stored.setdefault(mark.batch_id, {})
        for hour in mark.stored:
            new = sum(1 for slot in hour.slots if not ended >> slot & 1)
            stored[hour.hour_s] = stored.get(hour.hour_s, 0) + new

    def _count(self, counts: Mapping[str, int], stored: Mapping[int, int]) -> None:
        """Count a batch once it is done, so that each is counted once (rule 26)."""
        self._ledger.add(counts, stored)
        of = {"home": self._home, "source": SOURCE}
        metrics.counter(_COUNTER.format("received"), **of).inc(sum(counts.values()))
        for outcome, count in counts.items():
            metrics.counter(_COUNTER.format(outcome), **of).inc(count)
            self.ended[outcome] = self.ended.get(outcome, 0) + count
