"""History on its way: what became of its rows is told to the ledger, each batch once."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ingestor.events.counts import Counts, Page, hour_of
from ingestor.events.event import Settled
from ingestor.pipeline.history_batches import Shipment, frames_of
from ingestor.pipeline.history_sent import MemorySentBatches
from ingestor.queue import message
from ingestor.queue.done import DoneMark, MemoryDoneMarks, StoredIn
from ingestor.queue.ledger_post import MemoryLedgerPost
from ingestor.queue.producer import MemoryTaskSender
from ingestor.storage.ledger_memory import MemoryLedger

HOUR_S = 1_800_000_000 // 3600 * 3600


class Shipped:
    """A shipment of one batch, and what it hands in."""

    def __init__(self, rows: int = 4) -> None:
        tasks, self.done, self.post = MemoryTaskSender(), MemoryDoneMarks(), MemoryLedgerPost()
        self.sent = MemorySentBatches()
        self.shipment = Shipment("home", "history-home", tasks, self.done, hand_in=self.post.put, sent=self.sent)
        found = [{"s": str(number), "lu": float(number)} for number in range(rows)]
        for name in ("sensor.one", "sensor.two"):
            self.shipment.send(frames_of({name: found}))
        self.batches = [message.decode_raw(sent.body).batch_id for sent in tasks.sent]

    def is_killed(self) -> None:
        """All that is left is what was kept, and a new step begins."""
        self.shipment = Shipment(
            "home", "history-home", MemoryTaskSender(), self.done, hand_in=self.post.put, sent=self.sent
        )

    def hears(self, mark: DoneMark) -> None:
        self.done.put("history-home", mark)
        self.shipment.take_marks()

    def pages(self) -> list[Page]:
        return [page for pages in self.post.waiting() for page in pages]


def mark(batch_id: str, slots: Sequence[int], stored: Sequence[int]) -> DoneMark:
    return DoneMark(batch_id, "store", 4, [Settled("written", list(slots))], 0, [StoredIn(HOUR_S, list(stored))])


def test_a_batch_that_came_in_parts_and_twice_is_counted_once() -> None:
    it = Shipped()
    batch_id = it.batches[0]

    it.hears(mark(batch_id, [0, 1], [0]))
    it.hears(mark(batch_id, [0, 1], [0]))
    half = it.pages()
    it.hears(mark(batch_id, [2, 3], [2, 3]))
    it.hears(mark(batch_id, [2, 3], [2, 3]))

    (page,) = it.pages()
    assert half == []
    assert (page.home, page.source, page.stored) == ("home", "history", {HOUR_S: 3})
    assert set(page.hours) <= {hour_of(time.time_ns()), hour_of(time.time_ns()) - 3600}
    assert list(page.hours.values()) == [Counts(frames=4, settled=4, received=4, written=4)]


def test_a_batch_that_nobody_could_read_is_rejected_whole() -> None:
    it = Shipped()

    it.hears(DoneMark(it.batches[0], "store", 0, [], unread=True))

    (page,) = it.pages()
    assert list(page.hours.values()) == [Counts(frames=4, settled=4, received=4, rejected=4)]


def test_what_is_done_is_handed_in_at_once_so_that_a_killed_step_is_counted_and_the_ledger_adds_it_once() -> None:
    it, ledger = Shipped(), MemoryLedger()

    it.hears(mark(it.batches[0], range(4), []))
    first = it.pages()
    ledger.add(first)  # killed here, this is in the post; it goes on, and the post was not told that it is kept
    it.hears(mark(it.batches[1], range(4), []))
    ledger.add(it.pages())

    assert [page.number for page in first] == [1]
    assert [page.number for page in it.pages()] == [1, 2]
    assert [row.counts.written for row in ledger.rows()] == [8]


def test_what_a_killed_step_had_under_way_is_counted_by_the_next_one() -> None:
    it = Shipped()
    first, second = it.batches
    it.hears(mark(first, [0, 1], [0]))

    it.is_killed()
    it.hears(mark(first, [2, 3], [2]))
    it.is_killed()
    it.hears(mark(second, [0, 1, 2, 3], [3]))

    ledger = MemoryLedger()
    for pages in it.post.waiting():
        ledger.add(pages)
    assert sum(row.counts.written for row in ledger.rows()) == 8
    assert ledger.stored("home") == {("history", HOUR_S): 3}
    assert it.sent.load() == {}


def test_what_a_killed_step_had_under_way_is_not_waited_for_and_counted_once() -> None:
    it = Shipped()
    it.is_killed()
    assert len(it.shipment) == 0

    for _ in range(2):
        it.hears(mark(it.batches[0], [0, 1, 2, 3], []))
        it.is_killed()

    assert [counts for page in it.pages() for counts in page.hours.values()] == [
        Counts(frames=4, settled=4, received=4, written=4)
    ]
