"""History on its way: what became of its rows is told to the ledger, each batch once."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ingestor.events.counts import Counts, hour_of
from ingestor.events.event import Settled
from ingestor.pipeline.history_batches import Shipment, frames_of
from ingestor.queue import message
from ingestor.queue.done import DoneMark, MemoryDoneMarks, StoredIn
from ingestor.queue.producer import MemoryTaskSender

HOUR_S = 1_800_000_000 // 3600 * 3600


def shipped(rows: int) -> tuple[Shipment, MemoryDoneMarks, str]:
    tasks, done = MemoryTaskSender(), MemoryDoneMarks()
    shipment = Shipment("home", "history-home", tasks, done)
    shipment.send(frames_of({"sensor.one": [{"s": str(number), "lu": float(number)} for number in range(rows)]}))
    return shipment, done, message.decode_raw(tasks.sent[0].body).batch_id


def mark(batch_id: str, slots: Sequence[int], stored: Sequence[int]) -> DoneMark:
    return DoneMark(batch_id, "store", 4, [Settled("written", list(slots))], 0, [StoredIn(HOUR_S, list(stored))])


def test_a_batch_that_came_in_parts_and_twice_is_counted_once() -> None:
    shipment, done, batch_id = shipped(4)

    done.put("history-home", mark(batch_id, [0, 1], [0]))
    done.put("history-home", mark(batch_id, [0, 1], [0]))
    shipment.take_marks()
    half = shipment.take_page()
    done.put("history-home", mark(batch_id, [2, 3], [2, 3]))
    shipment.take_marks()
    page = shipment.take_page()

    assert half is None
    assert page is not None
    assert (page.home, page.source, page.stored) == ("home", "history", {HOUR_S: 3})
    assert set(page.hours) <= {hour_of(time.time_ns()), hour_of(time.time_ns()) - 3600}
    assert list(page.hours.values()) == [Counts(frames=4, settled=4, received=4, written=4)]
    assert shipment.take_page() is None


def test_a_batch_that_nobody_could_read_is_rejected_whole() -> None:
    shipment, done, batch_id = shipped(4)

    done.put("history-home", DoneMark(batch_id, "store", 0, [], unread=True))
    shipment.take_marks()
    page = shipment.take_page()

    assert page is not None
    assert list(page.hours.values()) == [Counts(frames=4, settled=4, received=4, rejected=4)]
