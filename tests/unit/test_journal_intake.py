"""The intake of a listener as a whole, with its threads, on memory twins of broker and state server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from ingestor import errors
from ingestor.events.event import Settled
from ingestor.events.frame import Frame
from ingestor.intake.assemble import Intake, intake_on
from ingestor.queue import message
from ingestor.queue.done import DoneMark, MemoryDoneMarks
from ingestor.queue.gauge import MemoryGauge
from ingestor.queue.producer import MemoryTaskSender
from ingestor.settings import BatchSettings, Settings
from tests.servers import wait_until


class World:
    """Broker and state server of a test."""

    def __init__(self, data_dir: Path) -> None:
        self.tasks = MemoryTaskSender()
        self.gauge = MemoryGauge()
        self.done = MemoryDoneMarks()
        self.settings = Settings(data_dir=data_dir, batch=BatchSettings(flush_after_s=0.005))

    def open(self, source: str = "mqtt") -> AbstractContextManager[Intake]:
        return intake_on(self.settings, "home", "mqtt", source, tasks=self.tasks, gauge=self.gauge, done=self.done)

    def payloads(self) -> list[bytes]:
        return [frame.payload for task in self.tasks.sent for frame in message.decode_raw(task.body).frames]

    def finish_all(self) -> None:
        for task in self.tasks.sent:
            batch = message.decode_raw(task.body)
            settled = [Settled("written", list(range(len(batch.frames))))]
            self.done.put(batch.journal, DoneMark(batch.batch_id, "store", len(batch.frames), settled))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def frame(number: int) -> Frame:
    return Frame("topic", number, b"%d" % number, "a/b", deliveries=((number, number * 7),))


def eventually(condition: Callable[[], Any]) -> None:
    wait_until(lambda: bool(condition()), timeout_s=60, what="the condition of the test")


def test_a_frame_goes_from_add_to_done(world: World) -> None:
    with world.open() as intake:
        intake.sink.add(frame(1))
        eventually(lambda: world.tasks.sent)
        before = intake.status()
        world.finish_all()
        eventually(lambda: intake.status()["done_batches"] == 1)
        eventually(lambda: not intake.status()["pending_batches"])
        after = intake.status()

    assert (before["pending_batches"], before["sent"], before["journaled_frames"]) == (1, 1, 1)
    assert before["oldest_pending_s"] > 0
    assert (after["pending_batches"], after["done"]["written"], after["oldest_pending_s"]) == (0, 1, 0.0)
    assert after["held"] is None
    assert after["last_error"] is None


def test_closing_sends_what_was_just_added(world: World) -> None:
    with world.open() as intake:
        intake.sink.add(frame(1))

    assert world.payloads() == [b"1"]


def test_closing_without_a_broker_keeps_it_for_the_next_run(world: World) -> None:
    world.tasks.away = world.gauge.away = True
    with world.open() as intake:
        intake.sink.add(frame(1))
        eventually(lambda: intake.status()["last_error"])
    world.tasks.away = world.gauge.away = False

    with world.open():
        eventually(lambda: world.tasks.sent)

    assert world.payloads() == [b"1"]


def test_marks_left_for_an_earlier_run_are_taken_before_anything_is_sent(world: World) -> None:
    with world.open() as intake:
        intake.sink.add(frame(1))
        intake.sink.add(frame(2))
    world.finish_all()

    with world.open() as intake:
        intake.sink.add(frame(3))
        eventually(lambda: b"3" in world.payloads())
        done = intake.status()["done"]

    assert world.payloads() == [b"1", b"2", b"3"]
    assert done["written"] == 2


def test_the_deliveries_in_the_journal_are_known_after_a_restart_though_done(world: World) -> None:
    with world.open() as intake:
        intake.sink.add(frame(1))
        eventually(lambda: world.tasks.sent)
        world.finish_all()
        eventually(lambda: intake.status()["pending_batches"] == 0)
        intake.sink.add(frame(2))

    with world.open() as intake:
        known = intake.known_deliveries()

    assert known == {(1, 7), (2, 14)}


def test_only_mqtt_has_deliveries(world: World) -> None:
    with world.open() as intake:
        intake.sink.add(frame(1))

    with world.open("websocket") as intake:
        assert intake.known_deliveries() == set()


def test_two_listeners_of_one_name_are_refused(world: World) -> None:
    with world.open(), pytest.raises(errors.Fatal, match="in use by process"), world.open():
        pass
