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
from ingestor.pipeline.history_sent import MemorySentBatches, SentBatch, SentBatches
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
    `sent` keeps what is not counted yet; what an earlier step has left in it is counted when its marks come, and not
    waited for.
    """

    def __init__(
        self,
        home: str,
        mailbox: str,
        tasks: TaskSender,
        done: DoneMarks,
        *,
        hand_in: Callable[[list[Page]], None] = lambda _pages: None,
        sent: SentBatches | None = None,
    ) -> None:
        self._home = home
        self._mailbox = mailbox
        self._tasks = tasks
        self._done = done
        self._sent = sent or MemorySentBatches()
        self._under_way: dict[str, SentBatch] = {}
        self._of_others: dict[str, SentBatch] | None = None
        self._done_now: list[str] = []
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
        self._under_way[raw.batch_id] = batch = SentBatch(rows)
        self._sent.keep(raw.batch_id, batch)
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
        if self._of_others is None:
            others = self._sent.load()
            self._of_others = {batch_id: one for batch_id, one in others.items() if batch_id not in self._under_way}
        for mark in self._done.take(self._mailbox):
            self._note(mark, self._of_others)
        if pages := self._ledger.pages(self._home, self._mailbox):
            self._hand_in(pages)
        self._sent.drop(self._done_now)
        self._done_now = []
        return before - len(self._under_way)

    def _note(self, mark: DoneMark, of_others: dict[str, SentBatch]) -> None:
        mine = mark.batch_id in self._under_way
        known = self._under_way if mine else of_others
        batch = known.get(mark.batch_id)
        if batch is None:
            return
        _note_slots(batch, mark)
        if batch.ended == (1 << batch.rows) - 1 or not mark.size:
            del known[mark.batch_id]
            self._done_now.append(mark.batch_id)
            self._count(batch.counts, batch.stored)
        else:
            self._sent.keep(mark.batch_id, batch)

    def _count(self, counts: Mapping[str, int], stored: Mapping[int, int]) -> None:
        """Count a batch once it is done, so that each is counted once (rule 26)."""
        self._ledger.add(counts, stored)
        of = {"home": self._home, "source": SOURCE}
        metrics.counter(_COUNTER.format("received"), **of).inc(sum(counts.values()))
        for outcome, count in counts.items():
            metrics.counter(_COUNTER.format(outcome), **of).inc(count)
            self.ended[outcome] = self.ended.get(outcome, 0) + count


def _note_slots(batch: SentBatch, mark: DoneMark) -> None:
    """Note what became of slots that had not ended before: a mark may come twice."""
    bits = batch.ended
    for hour in mark.stored:
        new = sum(1 for slot in hour.slots if not bits >> slot & 1)
        batch.stored[hour.hour_s] = batch.stored.get(hour.hour_s, 0) + new
    for settled in mark.settled:
        for slot in settled.slots:
            if 0 <= slot < batch.rows and not bits >> slot & 1:
                bits |= 1 << slot
                batch.counts[settled.outcome] = batch.counts.get(settled.outcome, 0) + 1
    if mark.unread:
        batch.counts["rejected"] = batch.rows
    batch.bits = f"{bits:x}"
