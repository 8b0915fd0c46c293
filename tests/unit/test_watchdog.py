"""What a worker node is judged by, and a process by its pulse: pure logic under a clock of ours."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from ingestor.queue.alive import AliveFile
from workers.pulse import SILENT_S, Pulse
from workers.watchdog import LOOP_LIMIT_S, TAKE_LIMIT_S, TASK_LIMIT_S, Sight, Vigil, hands_of, last_words


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Node:
    """A node that is looked at every two seconds."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.waiting: int | None = 0
        self.asked = 0
        self.turns = self.taken = 0
        self.held: set[str] = set()
        self.vigil = Vigil(self._ask, self.clock)

    def _ask(self) -> int | None:
        self.asked += 1
        return self.waiting

    def pass_s(self, seconds: float, *, turning: bool = True, taking: bool = False) -> str | None:
        fault = None
        for _ in range(int(seconds / 2)):
            self.clock.now_s += 2
            self.turns += turning
            self.taken += taking
            fault = fault or self.vigil.fault(Sight(self.turns, self.taken, frozenset(self.held)))
        return fault


@pytest.fixture
def node() -> Node:
    return Node()


def test_a_node_that_takes_tasks_is_well_and_costs_the_broker_no_question(node: Node) -> None:
    node.waiting = 500

    assert node.pass_s(600, taking=True) is None
    assert node.asked == 0


def test_a_node_without_work_is_well_however_long(node: Node) -> None:
    assert node.pass_s(3600) is None


def test_a_node_that_takes_nothing_though_messages_wait_is_noticed_within_sixty_seconds(node: Node) -> None:
    node.waiting = 3

    assert node.pass_s(TAKE_LIMIT_S - 4) is None
    assert "3 messages wait" in str(node.pass_s(60 - TAKE_LIMIT_S))


def test_an_event_loop_that_stands_still_is_noticed_within_sixty_seconds(node: Node) -> None:
    assert node.pass_s(LOOP_LIMIT_S - 4, turning=False) is None
    assert "event loop" in str(node.pass_s(60 - LOOP_LIMIT_S, turning=False))


def test_while_the_broker_is_away_nobody_is_blamed_and_afterwards_the_time_begins_anew(node: Node) -> None:
    node.waiting = None

    assert node.pass_s(600, turning=False) is None
    node.waiting = 5
    assert node.pass_s(30, turning=False) is None


def test_a_task_that_does_not_end_is_noticed_within_sixty_seconds_though_others_end(node: Node) -> None:
    node.held = {"stuck"}

    assert node.pass_s(TASK_LIMIT_S - 2, taking=True) is None
    assert "a task has not ended" in str(node.pass_s(60 - TASK_LIMIT_S, taking=True))


def test_tasks_that_end_one_after_another_are_no_fault(node: Node) -> None:
    for number in range(60):
        node.held = {f"task-{number}", f"task-{number + 1}"}
        assert node.pass_s(20, taking=True) is None


def test_a_node_whose_log_takes_nothing_ends_without_its_last_words() -> None:
    log_takes_it = threading.Event()

    last_words(log_takes_it.wait, within_s=0.01)

    assert not log_takes_it.is_set()


def test_a_node_that_was_stopped_itself_blames_nobody_when_it_goes_on(node: Node) -> None:
    node.held = {"in-hand"}
    node.pass_s(20)

    node.clock.now_s += 300

    assert node.pass_s(20) is None


@pytest.fixture
def file(tmp_path: Path) -> AliveFile:
    return AliveFile(tmp_path)


def feel(pulse: Pulse, clock: Clock, seconds: float) -> bool:
    silent = False
    for _ in range(int(seconds)):
        clock.now_s += 1
        silent = pulse.is_silent()
    return silent


def test_a_process_that_never_beat_is_not_judged(file: AliveFile) -> None:
    clock = Clock()
    pulse = Pulse(file, clock=clock)

    assert not feel(pulse, clock, 600)
    assert not pulse.began


def test_a_process_that_beats_no_more_is_noticed_after_its_time_whatever_its_clock_says(file: AliveFile) -> None:
    clock = Clock()
    pulse = Pulse(file, clock=clock)
    file.beat()
    os.utime(file.path, ns=(0, 4_000_000_000_000_000_000))  # a clock that is a hundred years ahead

    assert not feel(pulse, clock, SILENT_S - 1)
    assert pulse.began
    assert feel(pulse, clock, 3)


def test_each_beat_gives_it_its_time_again_also_with_a_clock_that_goes_back(file: AliveFile) -> None:
    clock = Clock()
    pulse = Pulse(file, clock=clock)

    for beat in range(10):
        file.beat()
        os.utime(file.path, ns=(0, 1_000_000_000 * (100 - beat)))
        assert not feel(pulse, clock, SILENT_S - 2)


def test_the_file_of_an_earlier_process_with_the_same_id_is_no_sign_of_life(file: AliveFile) -> None:
    file.beat()
    clock = Clock()

    pulse = Pulse(file, clock=clock)

    assert not feel(pulse, clock, SILENT_S * 2)
    assert not pulse.began


def test_a_watcher_that_was_stopped_itself_kills_nobody_when_it_goes_on(file: AliveFile) -> None:
    clock = Clock()
    pulse = Pulse(file, clock=clock)
    file.beat()
    feel(pulse, clock, 2)

    clock.now_s += 600

    assert not feel(pulse, clock, SILENT_S - 1)


def test_a_disk_that_takes_no_file_keeps_nobody_from_working(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")

    AliveFile(tmp_path).beat()

    assert AliveFile(tmp_path).read() is None


def test_last_words_say_what_a_node_has_in_hand() -> None:
    qos = SimpleNamespace(prefetch_count=2, _delivered={"a": 1, "b": 2}, _dirty={"a"}, can_consume=lambda: True)
    channel = SimpleNamespace(
        qos=qos, _in_poll=None, connection=SimpleNamespace(cycle=SimpleNamespace(_paused_brpop={}))
    )
    consumer = SimpleNamespace(task_consumer=SimpleNamespace(channel=channel))

    said = hands_of(consumer)

    assert said == {"prefetch": 2, "in_hand": 1, "may_take": True, "asks_broker": False, "paused": 0}


def test_last_words_do_without_what_a_closing_node_cannot_tell() -> None:
    assert hands_of(SimpleNamespace(task_consumer=None)) == {}
