"""A listener's gaps reach the database whatever is away or lost meanwhile: its disk, the state server, the broker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingestor.intake.gaps import Gap, GapKeeper, GapMemory
from ingestor.queue import names
from ingestor.queue.producer import MemoryTaskSender
from ingestor.queue.state import connect_state
from tests.servers_brokers import ValkeyServer

GAP = Gap("cut", 100, 200, lost={"call_service": 2})


class Listener:
    """What a listener's keeper is made of; a new one is a new run."""

    def __init__(self, state: Any, folder: Path) -> None:
        self.state = state
        self.folder = folder
        self.tasks = MemoryTaskSender()
        self.now_s = 0.0

    def keeper(self, journal: str = "journal") -> GapKeeper:
        (self.folder / journal).mkdir(exist_ok=True)
        return GapKeeper(
            self.folder.name,
            "websocket",
            GapMemory(self.folder / journal),
            tasks=lambda: self.tasks,
            state=self.state,
            event_types=lambda: ["state_changed", "call_service"],
            clock=lambda: self.now_s,
        )

    def told(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(task.body) for task in self.tasks.sent]

    def note_in_database(self, gap: Gap) -> None:
        """Do what the task does once the gap is in the database."""
        gap_id = f"{self.folder.name}:websocket:{gap.start_us}"
        self.state.set(names.gap_noted_key(gap_id), gap.end_us)


@pytest.fixture
def listener(valkey_server: ValkeyServer, tmp_path: Path) -> Listener:
    return Listener(connect_state(valkey_server.url), tmp_path)


def test_a_gap_is_told_until_the_database_has_it(listener: Listener) -> None:
    keeper = listener.keeper()
    keeper.note(GAP)

    for listener.now_s in (0.0, 1.0, 11.0):
        keeper.beat(300, [], 300)
    waiting_before = keeper.waiting
    listener.note_in_database(GAP)
    for _ in range(2):
        keeper.beat(300, [], 300)

    assert len(listener.told()) == 2
    assert listener.told()[0] == {
        "home": listener.folder.name,
        "listener": "websocket",
        "reason": "cut",
        "start_us": 100,
        "end_us": 200,
        "frames": 0,
        "events": 0,
        "lost": {"call_service": 2},
        "event_types": ["call_service"],
    }
    assert (waiting_before, keeper.waiting) == (1, 0)


def test_a_gap_outlives_a_killed_listener_and_a_broker_that_is_away(listener: Listener) -> None:
    listener.tasks.away = True
    killed = listener.keeper()
    killed.note(GAP)
    killed.beat(300, [], 300)

    listener.tasks.away = False
    listener.keeper().beat(300, [], 300)

    assert [gap["start_us"] for gap in listener.told()] == [100]


def test_what_was_told_when_it_began_is_told_again_when_it_is_over(listener: Listener) -> None:
    keeper = listener.keeper()
    began = Gap("cut", 100)
    keeper.note(began)
    keeper.beat(100, [began], 100)
    listener.note_in_database(began)
    keeper.note(GAP)
    keeper.beat(300, [], 300)

    assert [gap["end_us"] for gap in listener.told()] == [0, 200]


@pytest.mark.parametrize("change", [lambda folder: None, lambda folder: folder.rmdir()])
def test_a_disk_that_takes_nothing_does_not_keep_a_gap_from_being_told(
    listener: Listener, change: Callable[[Path], None]
) -> None:
    keeper = listener.keeper("gone")
    change(listener.folder / "gone")

    keeper.note(GAP)
    keeper.beat(300, [], 300)

    assert [gap["start_us"] for gap in listener.told()] == [100]


def test_after_the_disk_was_lost_what_was_not_written_of_the_journal_is_a_gap(listener: Listener) -> None:
    listener.keeper().beat(300, [], 250)

    same_disk, new_disk = listener.keeper().before(), listener.keeper("another").before()

    assert same_disk == Gap("not_running", 300)
    assert new_disk == Gap("journal_lost", 250)


def test_while_nobody_knows_what_is_written_the_last_that_was_known_counts(listener: Listener) -> None:
    keeper = listener.keeper()
    keeper.beat(300, [], 250)
    keeper.beat(900, [], 0)

    assert listener.keeper("another").before() == Gap("journal_lost", 250)


def test_batches_that_cannot_be_read_any_more_are_a_gap_from_what_was_written_until_now(listener: Listener) -> None:
    keeper = listener.keeper()
    keeper.before()
    for damage, now_us, written_us in ((0, 300, 250), (2, 500, 480), (2, 600, 600)):
        keeper.note_damage(damage, now_us)
        keeper.beat(now_us, [], written_us)

    assert [(gap["reason"], gap["start_us"], gap["end_us"]) for gap in listener.told()] == [
        ("journal_damaged", 250, 500)
    ]


def test_a_journal_found_damaged_at_the_start_is_a_gap_from_what_an_earlier_run_had_written(listener: Listener) -> None:
    listener.keeper().beat(300, [], 250)
    keeper = listener.keeper()
    keeper.before()

    keeper.note_damage(77, 400)
    keeper.beat(400, [], 400)

    assert [(gap["start_us"], gap["end_us"]) for gap in listener.told()] == [(250, 400)]
