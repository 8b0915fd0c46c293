"""Frames become batches: when one closes, when a frame counts as journaled, what happens at the limits."""

from __future__ import annotations

import errno
import functools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingestor import errors
from ingestor.events.frame import Frame, RawBatch
from ingestor.intake.batcher import Batcher
from ingestor.intake.journal.journal import Journal
from ingestor.intake.journal.segment import Disk
from ingestor.queue import message
from ingestor.settings import BatchSettings, JournalSettings

LIMITS = JournalSettings(max_bytes=1024 * 1024, segment_bytes=64 * 1024)
NEVER = 60.0


class Stage:
    """A journal with a disk that can be slowed or filled, and a batcher on it."""

    def __init__(self, folder: Path, batch: BatchSettings) -> None:
        self.disk = SlowDisk()
        self.journal = Journal(folder, LIMITS, disk=self.disk)
        self.groups = 0
        self.backlog = 0.0
        self.batcher = Batcher(
            "home", "websocket", self.journal, batch, on_group=self._group, backlog=lambda: self.backlog
        )

    def _group(self) -> None:
        self.groups += 1

    def batches(self) -> list[RawBatch]:
        found = []
        while (given := self.journal.next_unsent()) is not None:
            found.append(message.decode_raw(given[1]))
        return found

    def close(self) -> None:
        self.disk.go.set()
        self.disk.full = False
        self.batcher.close()
        self.journal.close()


class SlowDisk(Disk):
    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.full = False
        self.largest = 10**9
        self.syncs = 0

    def write(self, fd: int, data: memoryview) -> int:
        if self.full or len(data) > self.largest:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, data)

    def sync(self, fd: int) -> None:
        self.go.wait(10)
        super().sync(fd)
        self.syncs += 1


def frame(number: int = 1, size: int = 10, topic: str = "") -> Frame:
    return Frame("websocket", number, f"{number:0{size}d}".encode(), topic)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited for 10 s"
        time.sleep(0.002)


@pytest.fixture
def stage_with(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    stages: list[Stage] = []

    def make(*, start: bool = True, max_frames: int = 100_000, max_bytes: int = 10**9, flush: float = NEVER) -> Stage:
        settings = BatchSettings(max_frames=max_frames, max_bytes=max_bytes, flush_after_s=flush)
        stage = Stage(tmp_path / f"home-{len(stages)}", settings)
        stages.append(stage)
        if start:
            stage.batcher.start()
        return stage

    yield make
    for stage in stages:
        stage.close()


def test_a_batch_closes_at_its_number_of_frames(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(max_frames=3)

    for number in range(1, 8):
        stage.batcher.add(frame(number))
    wait_for(lambda: stage.batcher.status().journaled == 6)

    found = stage.batches()
    assert [[one.received_ns for one in batch.frames] for batch in found] == [[1, 2, 3], [4, 5, 6]]
    assert [(batch.home, batch.source, batch.journal, batch.opened_ns) for batch in found] == [
        ("home", "websocket", "home-0", 1),
        ("home", "websocket", "home-0", 4),
    ]
    assert found[0].batch_id != found[1].batch_id


def test_a_batch_closes_when_its_first_frame_is_old_enough(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(flush=0.02)
    began = time.monotonic()

    stage.batcher.add(frame(1))
    wait_for(lambda: stage.batcher.status().journaled == 1)

    assert time.monotonic() - began >= 0.02


def test_a_batch_closes_at_its_bytes_and_a_larger_frame_is_a_batch_of_its_own(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(max_bytes=2_000)

    stage.batcher.add(frame(1))
    stage.batcher.add(frame(2, 5_000))
    stage.batcher.add(frame(3, 1_000))
    stage.batcher.add(frame(4, 1_000))
    stage.batcher.add(frame(5))
    stage.batcher.close()

    assert [[one.received_ns for one in batch.frames] for batch in stage.batches()] == [[1], [2], [3], [4, 5]]


def test_no_frame_counts_as_journaled_before_its_sync(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(max_frames=2)
    stage.disk.go.clear()
    told: list[tuple[int, int]] = []

    def tell(number: int) -> None:
        told.append((number, stage.disk.syncs))

    for number in (1, 2):
        stage.batcher.add(frame(number), functools.partial(tell, number))
    wait_for(lambda: stage.journal.status().segments == 1)
    before = list(told)
    stage.disk.go.set()
    wait_for(lambda: len(told) == 2)

    assert before == []
    assert told == [(1, 1), (2, 1)]


def test_batches_that_wait_for_the_disk_share_one_sync(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(max_frames=1)
    stage.disk.go.clear()
    stage.batcher.add(frame(1))
    wait_for(lambda: stage.journal.status().segments == 1)

    for number in range(2, 12):
        stage.batcher.add(frame(number))
    stage.disk.go.set()
    wait_for(lambda: stage.batcher.status().journaled == 11)

    assert stage.disk.syncs == 2
    assert stage.groups == 2


def test_a_disk_that_stalls_fills_only_a_bounded_memory_and_says_so(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(start=False)
    stage.journal._max_bytes = 10**12
    payload = bytes(1_000_000)

    def fill() -> None:
        for _ in range(100):
            stage.batcher.add(Frame("websocket", 1, payload))

    with pytest.raises(errors.JournalFull, match="disk does not keep up"):
        fill()

    status = stage.batcher.status()
    assert status.waiting_bytes <= 16 * 1024 * 1024
    assert status.refused == 1
    stage.batcher.start()


def test_at_the_journals_limit_add_refuses_and_takes_frames_again_when_there_is_room(
    stage_with: Callable[..., Stage],
) -> None:
    stage = stage_with(max_frames=1)
    noise = os.urandom(50_000)

    def fill() -> None:
        while True:
            stage.batcher.add(Frame("websocket", 1, noise))
            wait_for(lambda: stage.batcher.status().waiting_bytes == 0)

    with pytest.raises(errors.JournalFull, match="size limit"):
        fill()
    entries = []
    while (given := stage.journal.next_unsent()) is not None:
        entries.append(given[0])
    stage.journal.forget(entries)
    wait_for(lambda: stage.journal.has_room(50_000))
    stage.batcher.add(Frame("websocket", 1, noise))

    assert len(entries) == 20
    assert stage.batcher.status().refused == 1


def test_a_full_disk_keeps_the_frames_until_there_is_space(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(max_frames=1)
    stage.disk.full = True
    told = threading.Event()

    stage.batcher.add(frame(1), told.set)
    wait_for(lambda: stage.batcher.status().last_error is not None)
    early = told.is_set()
    stage.disk.full = False
    told.wait(10)

    assert not early
    assert [batch.frames for batch in stage.batches()] == [[frame(1)]]
    assert stage.batcher.status().last_error is None


def test_where_a_group_does_not_fit_its_first_batches_still_go(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(max_frames=1, start=False)
    stage.disk.largest = 1_000
    told: list[int] = []
    for number in range(1, 11):
        frame_of_noise = Frame("websocket", number, os.urandom(300))
        stage.batcher.add(frame_of_noise, functools.partial(told.append, number))

    stage.batcher.start()
    wait_for(lambda: len(told) == 10)

    assert told == list(range(1, 11))


def test_frames_that_a_full_disk_never_took_are_counted_as_lost(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with()
    stage.disk.full = True
    told = threading.Event()
    stage.batcher.add(frame(1), told.set)

    stage.batcher.close()

    assert stage.batcher.status().lost == 1
    assert not told.is_set()


def test_closing_journals_the_open_batch(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with()
    stage.batcher.add(frame(1))

    stage.batcher.close()

    assert [batch.frames for batch in stage.batches()] == [[frame(1)]]
    with pytest.raises(errors.JournalFull):
        stage.batcher.add(frame(2))


def test_a_topic_that_is_no_unicode_does_not_cost_its_neighbours(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with()
    stage.batcher.add(frame(1, topic="good/topic"))
    stage.batcher.add(frame(2, topic="bad/\udcff"))

    stage.batcher.close()

    (batch,) = stage.batches()
    assert [one.topic for one in batch.frames] == ["good/topic", "bad/\\udcff"]


def test_a_callback_that_fails_does_not_stop_the_journal(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(max_frames=1)
    told = threading.Event()

    def fail() -> None:
        raise ZeroDivisionError

    stage.batcher.add(frame(1), fail)
    stage.batcher.add(frame(2), told.set)

    assert told.wait(10)


def test_many_threads_may_add_and_nothing_is_missing(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(max_frames=7, flush=0.001)

    def add(start: int) -> None:
        for number in range(start, start + 250):
            stage.batcher.add(frame(number))

    threads = [threading.Thread(target=add, args=(start,)) for start in range(0, 1000, 250)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stage.batcher.close()

    received = [one.received_ns for batch in stage.batches() for one in batch.frames]
    assert sorted(received) == list(range(1000))
    for start in range(0, 1000, 250):
        own = [number for number in received if start <= number < start + 250]
        assert own == sorted(own)


def test_a_batch_stays_open_longer_while_others_wait_to_be_written(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home-busy", BatchSettings(flush_after_s=0.001, busy_flush_after_s=NEVER))
    stage.batcher.start()

    stage.batcher.add(frame(1))
    wait_for(lambda: stage.batcher.status().journaled == 1)
    stage.backlog = 1.0
    stage.batcher.add(frame(2))
    stage.batcher.add(frame(3))
    stage.close()

    assert stage.batcher.status().batches == 2
    assert stage.batcher.status().journaled == 3


def test_the_window_grows_with_what_waits(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home-half", BatchSettings(flush_after_s=0.001, busy_flush_after_s=0.4))
    stage.batcher.start()
    stage.backlog = 0.5

    began = time.monotonic()
    stage.batcher.add(frame(1))
    wait_for(lambda: stage.batcher.status().journaled == 1)

    assert time.monotonic() - began >= 0.2
    stage.close()


def test_frames_that_were_joined_take_the_longest_window(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home-joined", BatchSettings(flush_after_s=0.001, busy_flush_after_s=NEVER))
    stage.batcher.start()

    stage.batcher.add(Frame("statestream", 1, b"{}"))
    stage.batcher.add(Frame("statestream", 2, b"{}"))
    stage.close()

    assert stage.batcher.status().batches == 1


def test_a_frame_that_is_in_time_does_not_wait_behind_joined_ones(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home-mixed", BatchSettings(flush_after_s=0.001, busy_flush_after_s=NEVER))
    stage.batcher.start()

    stage.batcher.add(Frame("statestream", 1, b"{}"))
    stage.batcher.add(frame(2))

    wait_for(lambda: stage.batcher.status().journaled == 2)
    assert stage.batcher.status().batches == 1
    stage.close()
