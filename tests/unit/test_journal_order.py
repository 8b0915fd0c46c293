"""The journal's order of reading and its ages: newest first where that is set, nothing twice and nothing left out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestor.intake.journal.entry import Entry
from ingestor.intake.journal.journal import Journal
from ingestor.intake.journal.record import Sealed
from ingestor.settings import JournalSettings

NEWEST = JournalSettings(max_bytes=1024 * 1024, segment_bytes=64 * 1024, backlog_order="newest", max_age_s=100.0)
OLDEST = NEWEST.model_copy(update={"backlog_order": "oldest"})

STEPS = ["append", "big", "newest", "oldest", "forget", "tidy", "restart"]


def sealed(number: int, size: int = 40) -> Sealed:
    return Sealed(f"{number:026d}", 1, 1_000 + number, random.Random(number).randbytes(size))


def take(journal: Journal, count: int, *, newest: bool = True) -> list[Entry]:
    found: list[Entry] = []
    while len(found) < count and (given := journal.next_unsent(newest=newest)) is not None:
        assert given[1] == sealed(int(given[0].batch_id), len(given[1])).message
        found.append(given[0])
    return found


def numbers(entries: list[Entry]) -> list[int]:
    return [int(entry.batch_id) for entry in entries]


class Clock:
    now_s = 5000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home-websocket"


@pytest.fixture
def opened(folder: Path) -> Iterator[Callable[..., Journal]]:
    journals: list[Journal] = []

    def open_one(limits: JournalSettings = NEWEST, clock: Clock | None = None) -> Journal:
        journal = Journal(folder, limits, clock=clock or Clock())
        journals.append(journal)
        return journal

    yield open_one
    journals[-1].close()


def test_the_newest_come_first_over_several_segments_and_what_comes_meanwhile_before_them(
    opened: Callable[..., Journal],
) -> None:
    journal = opened()
    for number in range(1, 11):
        journal.append([sealed(number, 30_000)])

    first = take(journal, 3)
    journal.append([sealed(11, 30_000), sealed(12, 30_000)])
    rest = take(journal, 100)

    assert numbers(first) == [10, 9, 8]
    assert numbers(rest) == [12, 11, 7, 6, 5, 4, 3, 2, 1]
    assert journal.status().segments > 3
    assert journal.status().damaged_batches == 0


def test_a_backlog_that_an_earlier_run_left_comes_newest_first_and_without_what_was_done(
    opened: Callable[..., Journal], folder: Path
) -> None:
    before = Journal(folder, NEWEST)
    for number in range(1, 9):
        before.append([sealed(number, 20_000)])
    before.forget(take(before, 2))
    before.close()

    journal = opened()

    assert numbers(take(journal, 2)) == [6, 5]
    assert journal.recovering
    assert numbers(take(journal, 100)) == [4, 3, 2, 1]
    assert not journal.recovering


def test_space_of_new_segments_is_free_again_though_the_oldest_still_wait(opened: Callable[..., Journal]) -> None:
    journal = opened()
    journal.append([sealed(1)])
    for number in range(2, 40):
        journal.append([sealed(number, 30_000)])
        journal.forget(take(journal, 1))
        journal.tidy()

    assert journal.status().bytes_on_disk < 200_000
    assert numbers(take(journal, 100)) == [1]


def test_with_the_oldest_first_no_segment_goes_before_those_that_it_calls_done(
    opened: Callable[..., Journal], folder: Path
) -> None:
    journal = opened(OLDEST)
    for number in range(1, 9):
        journal.append([sealed(number, 30_000)])
    entries = take(journal, 100, newest=False)
    journal.forget(entries[2:])
    journal.tidy()
    journal.close()

    assert numbers(take(opened(OLDEST), 100, newest=False)) == [1, 2]
    assert folder.exists()


def test_damage_costs_only_its_own_batch_in_this_order_too(opened: Callable[..., Journal], folder: Path) -> None:
    journal = opened()
    journal.append([sealed(1, 100), sealed(2, 100), sealed(3, 100)])
    (file,) = folder.glob("*.segment")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)

    assert numbers(take(journal, 100)) == [3, 1]
    assert journal.status().damaged_batches == 1
    assert journal.status().pending_batches == 2


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEPS), max_size=60))
def test_whatever_the_order_each_batch_is_given_out_once_a_run_and_never_lost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("journal") / "j"
    journal = Journal(folder, NEWEST)
    waiting: set[int] = set()
    given_out: set[int] = set()
    out: dict[int, Entry] = {}
    last = 0
    for step in steps:
        if step in {"append", "big"}:
            last += 1
            journal.append([sealed(last, 40 if step == "append" else 50_000)])
            waiting.add(last)
        elif step in {"newest", "oldest"}:
            for entry in take(journal, 1, newest=step == "newest"):
                number = int(entry.batch_id)
                assert 1 <= number <= last
                assert number not in given_out
                given_out.add(number)
                out[number] = entry
        elif step == "forget" and out:
            number, entry = out.popitem()
            journal.forget([entry])
            waiting.discard(number)
        elif step == "tidy":
            journal.tidy()
        elif step == "restart":
            journal.close()
            journal = Journal(folder, NEWEST)
            # What was done may come again, if the record of it went with its segment; nothing may be missing.
            out.clear()
            given_out.clear()
    rest = numbers(take(journal, 1000))
    assert waiting - set(out) <= set(rest)
    assert len(set(rest)) == len(rest)
    assert not set(rest) & given_out
    assert journal.status().damaged_batches == 0
    journal.close()


def test_a_batch_that_waits_too_long_is_overdue_and_is_kept(opened: Callable[..., Journal]) -> None:
    clock = Clock()
    journal = opened(OLDEST, clock)
    journal.append([sealed(1)])
    clock.now_s += 60
    journal.append([sealed(2)])

    clock.now_s += 60

    assert journal.status().waiting_s == 120
    assert journal.status().overdue
    journal.forget(take(journal, 1, newest=False))
    assert journal.status().waiting_s == 60
    assert not journal.status().overdue
    clock.now_s += 3600
    assert journal.status().overdue
    assert numbers(take(journal, 10, newest=False)) == [2]


def test_an_empty_journal_is_never_overdue_and_one_of_an_earlier_run_is_as_old_as_this_run(
    opened: Callable[..., Journal], folder: Path
) -> None:
    before = Journal(folder, OLDEST)
    before.append([sealed(1)])
    before.close()
    clock = Clock()
    journal = opened(OLDEST, clock)

    assert journal.status().waiting_s == 0
    clock.now_s += 101
    assert journal.status().overdue
    journal.forget(take(journal, 1, newest=False))
    clock.now_s += 3600
    assert not journal.status().overdue
