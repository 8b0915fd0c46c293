"""The sender, step by step, on memory twins and a clock of its own: order, holding, sending again, forgetting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ingestor import errors
from ingestor.events.event import Outcome, Settled
from ingestor.intake.bucket import HomeBucket
from ingestor.intake.flights import DoneBatch, Flights
from ingestor.intake.gate import Gate
from ingestor.intake.journal.journal import Journal
from ingestor.intake.journal.record import Sealed
from ingestor.intake.sender import Sender
from ingestor.queue.done import DoneMark, MemoryDoneMarks
from ingestor.queue.gauge import Load, MemoryGauge
from ingestor.queue.producer import MemoryTaskSender
from ingestor.settings import JournalSettings, QueueSettings

EMPTY = Load({"validate": 0, "enrich": 0, "write": 0})
BUSY = Load({"validate": 5, "enrich": 0, "write": 0})


class Bench:
    """A journal and its sender; time stands still but for `later`."""

    def __init__(
        self, folder: Path, *, per_s: float = 20.0, high: int = 10, low: int = 5, bucket_per_s: float = 0.0
    ) -> None:
        self.now_s = 1000.0
        limits = JournalSettings(resend_after_s=15.0, resend_per_s=per_s)
        self.journal = Journal(folder, limits)
        self.tasks = MemoryTaskSender()
        self.gauge = MemoryGauge()
        self.gauge.load = EMPTY
        self.done = MemoryDoneMarks()
        self.finished: list[DoneBatch] = []
        self.counter_fails = False
        self.sender = Sender(
            self.journal,
            Flights("home", "mqtt", resend_after_s=15.0, targets=["store"], clock=self.clock),
            tasks=self.tasks,
            gauge=self.gauge,
            gate=Gate(QueueSettings(high_water=high, low_water=low), 0.6),
            done=self.done,
            settings=limits,
            shown="mqtt of home",
            on_done=self._finish,
            bucket=HomeBucket(bucket_per_s, self.clock) if bucket_per_s else None,
            clock=self.clock,
        )

    def clock(self) -> float:
        return self.now_s

    def _finish(self, batch: DoneBatch) -> None:
        if self.counter_fails:
            raise RuntimeError("whoever counts fails")
        self.finished.append(batch)

    def append(self, *numbers: int) -> None:
        self.journal.append([Sealed(batch_id(n), 3, n, b"message %d" % n) for n in numbers])

    def later(self, seconds: float) -> None:
        self.now_s += seconds
        self.sender.step()

    def mark(self, number: int, size: int = 1, target: str = "store", **outcomes: Sequence[int]) -> None:
        settled = [Settled(outcome, list(slots)) for outcome, slots in as_outcomes(outcomes)]
        self.done.put(self.journal.name, DoneMark(batch_id(number), target, size, settled, lag_ns=number))
        self.sender.take_marks()

    def sent(self) -> list[tuple[int, int]]:
        """Return (batch, attempt) of each task sent, in order."""
        return [(int(task.body.split()[1]), task.kwargs["attempt"]) for task in self.tasks.sent]

    def close(self) -> None:
        self.sender.close()
        self.journal.close()


def as_outcomes(outcomes: dict[str, Sequence[int]]) -> list[tuple[Outcome, Sequence[int]]]:
    known: dict[str, Outcome] = {
        "written": "written",
        "duplicate": "duplicate",
        "rejected": "rejected",
        "filtered": "filtered",
    }
    return [(known[name], slots) for name, slots in outcomes.items()]


def batch_id(number: int) -> str:
    return f"{number:026d}"


@pytest.fixture
def bench_with(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(**options: float) -> Bench:
        bench = Bench(tmp_path / "home-mqtt", **options)  # type: ignore[arg-type]  # a test names the options it needs
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        if bench.journal._lock_fd >= 0:
            bench.close()


@pytest.fixture
def bench(bench_with: Callable[..., Bench]) -> Bench:
    return bench_with()


def test_batches_are_sent_in_order_with_all_that_a_worker_and_flower_need(bench: Bench) -> None:
    bench.append(1, 2)
    bench.sender.step()

    first = bench.tasks.sent[0]
    assert bench.sent() == [(1, 1), (2, 1)]
    assert (first.task, first.queue) == ("tasks.validate.validate_batch", "validate")
    assert (first.body, first.task_id, first.kwargs) == (
        b"message 1",
        f"{batch_id(1)}-1",
        {"attempt": 1, "journal": "home-mqtt"},
    )
    assert first.shown == f"batch {batch_id(1)}, 3 frames, mqtt of home, attempt 1"


def test_a_batch_is_forgotten_when_all_its_slots_are_done(bench: Bench) -> None:
    bench.append(1)
    bench.sender.step()

    bench.mark(1, size=3, written=[0, 2])
    half = bench.journal.status().pending_batches
    bench.mark(1, size=3, duplicate=[1])

    assert half == 1
    assert bench.journal.status().pending_batches == 0
    assert bench.finished == [
        DoneBatch(
            batch_id(1), "home", "mqtt", {"written": 2, "duplicate": 1, "rejected": 0, "filtered": 0}, 1, 3, {}, 1
        )
    ]


def test_late_double_and_unknown_marks_change_nothing(bench: Bench) -> None:
    bench.append(1, 2)
    bench.sender.step()

    for _ in range(3):
        bench.mark(1, size=1, written=[0])
    bench.mark(77, size=1, written=[0])
    bench.mark(2, size=10**9, written=[10**8])
    bench.mark(2, size=2, target="elsewhere", written=[0, 1])

    assert [done.batch_id for done in bench.finished] == [batch_id(1)]
    assert bench.journal.status().pending_batches == 1


@pytest.mark.parametrize(
    ("marks", "counts"),
    [
        ([{"duplicate": [0]}, {"written": [0]}, {"filtered": [1]}], {"written": 1, "duplicate": 0, "filtered": 1}),
        ([{"written": [0]}, {"duplicate": [0, 1]}], {"written": 1, "duplicate": 1, "filtered": 0}),
        ([{"filtered": [0]}, {"written": [0, 1]}], {"written": 1, "duplicate": 0, "filtered": 1}),
        ([{"written": [0]}, {"written": [0, 5, -1]}, {"written": [1]}], {"written": 2, "duplicate": 0, "filtered": 0}),
    ],
)
def test_a_slot_counts_once_and_written_wins_over_duplicate(
    bench: Bench, marks: list[dict[str, list[int]]], counts: dict[str, int]
) -> None:
    bench.append(1)
    bench.sender.step()

    for mark in marks:
        bench.mark(1, 2, "store", **mark)

    assert len(bench.finished) == 1
    assert {key: value for key, value in bench.finished[0].counts.items() if key != "rejected"} == counts


def test_a_batch_without_any_event_is_done_by_an_empty_mark(bench: Bench) -> None:
    bench.append(1)
    bench.sender.step()

    bench.mark(1, size=0)

    assert len(bench.finished) == 1


def test_a_failing_counter_does_not_keep_other_batches_from_being_forgotten(bench: Bench) -> None:
    bench.append(1, 2)
    bench.sender.step()
    bench.counter_fails = True

    bench.done.put("home-mqtt", DoneMark(batch_id(1), "store", 0, []))
    bench.done.put("home-mqtt", DoneMark(batch_id(2), "store", 0, []))
    bench.sender.take_marks()

    assert bench.journal.status().pending_batches == 0


def test_a_batch_that_the_queue_has_passed_is_sent_again_after_its_time(bench: Bench) -> None:
    bench.append(1, 2)
    bench.sender.step()
    bench.gauge.load = BUSY
    bench.mark(2, size=0)

    bench.later(14.9)
    before = bench.sent()
    bench.later(0.3)

    assert before == [(1, 1), (2, 1)]
    assert bench.sent() == [(1, 1), (2, 1), (1, 2)]
    assert bench.tasks.sent[-1].task_id == f"{batch_id(1)}-2"


def test_a_batch_that_is_slow_is_not_sent_again_because_another_worker_was_quicker_with_a_later_one(
    bench: Bench,
) -> None:
    bench.append(*range(1, 12))
    bench.sender.step()
    bench.gauge.load = BUSY
    bench.later(18)

    for number in range(2, 12, 2):  # two workers side by side, far behind: each pair ends in the wrong order
        bench.mark(number, size=0)
        bench.later(1.0)
        bench.mark(number - 1, size=0)
        bench.later(1.0)

    assert [attempt for _, attempt in bench.sent()] == [1] * 11
    for _ in range(5):
        bench.later(1.25)
    assert bench.sent()[11:] == []  # the last has not been passed by any


def test_a_batch_sent_again_while_its_first_sending_is_under_way_is_counted_whole_and_once(bench: Bench) -> None:
    bench.append(1)
    bench.sender.step()
    bench.later(15.1)
    assert bench.sent() == [(1, 1), (1, 2)]

    bench.mark(1, size=10, written=range(6), rejected=[9])  # a part of the first sending
    bench.mark(1, size=10, duplicate=range(4), filtered=[8])  # parts of the second, which finds what the first wrote
    bench.mark(1, size=10, written=range(4, 8), rejected=[9])
    bench.mark(1, size=10, duplicate=range(9), rejected=[9])  # the rest of the first, too late

    (batch,) = bench.finished
    assert batch.counts == {"written": 8, "duplicate": 0, "rejected": 1, "filtered": 1}
    assert bench.journal.status().pending_batches == 0


def test_a_batch_that_the_queue_has_not_come_to_is_not_sent_again_however_long_it_waits(bench: Bench) -> None:
    bench.append(1, 2, 3)
    bench.sender.step()
    bench.gauge.load = BUSY
    bench.mark(1, size=0)

    for _ in range(100):
        bench.later(60)

    assert bench.sent() == [(1, 1), (2, 1), (3, 1)]


def test_batches_are_sent_again_when_every_queue_is_empty(bench: Bench) -> None:
    bench.append(1, 2)
    bench.sender.step()

    bench.later(15.1)

    assert bench.sent() == [(1, 1), (2, 1), (1, 2), (2, 2)]


def test_sending_again_is_limited_to_its_rate_and_oldest_first(bench_with: Callable[..., Bench]) -> None:
    bench = bench_with(per_s=4.0, high=1000, low=500)
    bench.append(*range(1, 21))
    bench.sender.step()
    bench.later(15.1)
    first = bench.sent()[20:]

    for _ in range(4):
        bench.later(0.25)

    assert first == [(1, 2), (2, 2), (3, 2), (4, 2)]
    assert bench.sent()[24:] == [(5, 2), (6, 2), (7, 2), (8, 2)]


def test_a_batch_that_never_comes_back_is_sent_ever_more_seldom(bench: Bench) -> None:
    bench.append(1)
    bench.sender.step()
    times: list[float] = []
    for _ in range(4 * 600):
        bench.later(0.25)
        if len(bench.tasks.sent) > len(times) + 1:
            times.append(bench.now_s - 1000)

    pauses = [round(after - before) for before, after in zip([0.0, *times], times, strict=False)]
    assert pauses[:5] == [15, 30, 60, 60, 60]


def test_a_part_that_is_done_is_a_sign_of_life(bench: Bench) -> None:
    bench.append(1)
    bench.sender.step()

    bench.now_s += 14
    bench.mark(1, size=2, written=[0])
    bench.later(14)

    assert bench.sent() == [(1, 1)]


def test_while_the_broker_is_away_batches_wait_and_then_go_in_order_once(bench: Bench) -> None:
    bench.append(1)
    bench.tasks.away = bench.gauge.away = True
    pauses = []
    for number in range(2, 9):
        bench.append(number)
        pauses.append(bench.sender.step())
        bench.now_s += pauses[-1]
    bench.tasks.away = bench.gauge.away = False

    error = bench.sender.status().last_error
    bench.later(10)

    assert error is not None
    assert bench.sent() == [(number, 1) for number in range(1, 9)]
    assert pauses[0] < 0.11
    assert 2.4 < pauses[-1] <= 5.0
    assert bench.sender.status().last_error is None


def test_a_send_that_failed_is_tried_again_and_keeps_its_attempt(bench: Bench) -> None:
    bench.append(1)
    bench.sender.step()
    bench.tasks.away = True
    bench.later(15.1)

    bench.tasks.away = False
    bench.later(10)

    assert bench.sent() == [(1, 1), (1, 2)]


def test_at_high_water_batches_are_held_until_low_water(bench: Bench) -> None:
    bench.gauge.load = Load({"validate": 0, "enrich": 10, "write": 0})
    bench.append(1)
    bench.sender.step()
    held = bench.sender.status().held

    bench.gauge.load = Load({"validate": 0, "enrich": 6, "write": 0})
    bench.later(1)
    still = bench.sent()
    bench.gauge.load = Load({"validate": 0, "enrich": 5, "write": 0})
    bench.later(1)

    assert held == "10 batches wait in a queue"
    assert still == []
    assert bench.sent() == [(1, 1)]
    assert bench.sender.status().held is None


def test_no_more_are_sent_between_two_measurements_than_there_is_room_for(bench: Bench) -> None:
    bench.gauge.load = Load({"validate": 7, "enrich": 0, "write": 0})
    bench.append(*range(1, 20))

    bench.sender.step()
    first = len(bench.tasks.sent)
    bench.later(0.05)
    second = len(bench.tasks.sent)
    bench.later(0.1)

    assert (first, second, len(bench.tasks.sent)) == (3, 3, 6)


def test_a_backlog_fills_the_queue_to_low_water_only(bench_with: Callable[..., Bench]) -> None:
    bench = bench_with(high=400, low=20)
    bench.append(*range(1, 100))

    bench.sender.step()

    assert len(bench.tasks.sent) == 20


def test_a_nearly_full_broker_holds_batches_until_it_has_room(bench: Bench) -> None:
    bench.gauge.load = Load({"validate": 0}, memory_share=0.61)
    bench.append(1)
    bench.sender.step()
    bench.gauge.load = Load({"validate": 0}, memory_share=0.55)
    bench.later(1)
    held = bench.sent()

    bench.gauge.load = Load({"validate": 0}, memory_share=0.5)
    bench.later(1)

    assert held == []
    assert bench.sent() == [(1, 1)]


def test_large_batches_are_measured_more_often(bench_with: Callable[..., Bench]) -> None:
    bench = bench_with(high=1000, low=500)
    bench.journal.append([Sealed(batch_id(n), 1, n, bytes(3_000_000)) for n in range(1, 10)])

    bench.sender.step()
    first = len(bench.tasks.sent)
    bench.now_s += 0.1
    bench.sender.step()

    assert (first, len(bench.tasks.sent)) == (3, 6)


def test_a_batch_that_is_still_held_is_not_sent_as_a_second_attempt(bench: Bench) -> None:
    full = Load({"validate": 10})
    bench.gauge.load = full
    bench.append(1)
    bench.sender.step()
    loads = [full, EMPTY]  # the queue empties between two measurements of one step
    bench.gauge.read = lambda: loads.pop(0)  # type: ignore[method-assign]  # what no memory twin can do

    bench.later(20)
    bench.sender.step()

    assert bench.sent() == [(1, 1)]


def test_an_answer_to_the_first_sending_does_not_say_that_the_queue_has_come_to_the_second(bench: Bench) -> None:
    bench.append(1, 2)
    bench.sender.step()
    bench.mark(1, size=2, written=[0])
    bench.now_s += 15.1
    bench.sender.step()  # both are sent again: 1 before 2
    bench.gauge.load = BUSY
    bench.append(3)
    bench.later(0.1)
    bench.mark(2, size=0)

    bench.later(30.1)

    assert bench.sent() == [(1, 1), (2, 1), (1, 2), (2, 2), (3, 1)]


def test_slots_of_another_cut_of_the_batch_do_not_add_up(bench: Bench) -> None:
    bench.append(1)
    bench.sender.step()

    bench.mark(1, size=3, written=[0, 1])
    bench.mark(1, size=2, written=[0])
    before = len(bench.finished)
    bench.mark(1, size=2, written=[1])

    assert before == 0
    assert bench.finished[0].counts["written"] == 2


def test_after_a_restart_what_is_not_done_is_sent_again_and_what_is_done_is_not(
    bench_with: Callable[..., Bench],
) -> None:
    first = bench_with()
    first.append(1, 2, 3)
    first.sender.step()
    first.mark(1, size=0)
    first.close()
    first.journal._lock_fd = -1

    second = bench_with()
    second.done.put("home-mqtt", DoneMark(batch_id(2), "store", 1, [Settled("written", [0])]))
    second.sender.take_marks()
    second.append(4)
    second.sender.step()

    assert second.sent() == [(3, 1), (4, 1)]
    assert [done.batch_id for done in second.finished] == [batch_id(2)]
    assert second.journal.status().pending_batches == 2


def test_a_batch_damaged_on_the_disk_is_given_up_and_counted(bench: Bench, tmp_path: Path) -> None:
    bench.append(1, 2)
    bench.sender.step()
    file = next((tmp_path / "home-mqtt").glob("*.segment"))
    content = bytearray(file.read_bytes())
    content[40] ^= 1
    file.write_bytes(content)

    bench.later(15.1)

    assert bench.sent() == [(1, 1), (2, 1), (2, 2)]
    assert bench.journal.status().damaged_batches == 1
    assert bench.journal.status().pending_batches == 1


def test_what_the_broker_said_last_is_shown(bench: Bench) -> None:
    bench.append(1)
    bench.gauge.away = True

    bench.sender.step()

    assert bench.sender.status().last_error == str(errors.BrokerUnavailable())
    assert bench.sender.waiting == 1


def test_a_home_that_has_used_its_share_waits_in_its_journal_until_it_may_go_on(
    bench_with: Callable[..., Bench],
) -> None:
    bench = bench_with(bucket_per_s=6.0)  # three events saved up, and as many in each half second
    bench.append(1, 2, 3, 4)

    bench.later(0)
    assert bench.sent() == [(1, 1)]
    bench.later(0.5)
    assert bench.sent() == [(1, 1), (2, 1)]
    bench.later(1.0)

    assert bench.sent() == [(1, 1), (2, 1), (3, 1)]
    assert bench.sender.status().may_per_s == 6.0
    assert bench.sender.waiting == 1
