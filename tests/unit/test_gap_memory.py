"""What a listener leaves on its disk, and what its next run makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestor.intake.gaps import Gap, GapMemory

RECORD = {"home": "home", "start_us": 100, "end_us": 0}


def test_a_listener_that_never_ran_leaves_no_gap(tmp_path: Path) -> None:
    assert GapMemory(tmp_path).before() is None


def test_what_followed_the_last_event_in_the_journal_is_the_gap_of_the_next_run(tmp_path: Path) -> None:
    GapMemory(tmp_path).remember(100, [])
    GapMemory(tmp_path).remember(200, [])

    assert GapMemory(tmp_path).before() == Gap("not_running", 200)


def test_a_gap_that_was_not_over_goes_on_under_its_own_name_and_from_the_earliest_start(tmp_path: Path) -> None:
    GapMemory(tmp_path).remember(300, [Gap("journal_full", 200), Gap("restart", 100)])

    assert GapMemory(tmp_path).before() == Gap("restart", 100)


@pytest.mark.parametrize("found", [b"", b'{"last_us":', b"[]", b'{"last_us":"x"}', b'{"last_us":-5,"gaps":[{"a":1}]}'])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, found: bytes) -> None:
    (tmp_path / "heard.json").write_bytes(found)

    assert GapMemory(tmp_path).before() is None


def test_a_gap_to_tell_of_is_kept_until_it_is_noted_as_it_is_now(tmp_path: Path) -> None:
    memory = GapMemory(tmp_path)
    memory.keep(RECORD)
    over = {**RECORD, "end_us": 150}
    memory.keep(over)

    memory.forget(RECORD)
    waiting = list(GapMemory(tmp_path).kept())
    memory.forget(over)

    assert waiting == [over]
    assert list(memory.kept()) == []


def test_a_disk_that_takes_nothing_is_said_and_does_no_harm(tmp_path: Path) -> None:
    memory = GapMemory(tmp_path / "gone")

    memory.remember(100, [])

    assert not memory.keep(RECORD)
    assert list(memory.kept()) == []
