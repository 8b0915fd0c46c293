"""The contract of what reconciliation found: in memory, in SQLite and in PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestor.storage.database import open_database
from ingestor.storage.port import HOUR_US
from ingestor.storage.reconciled import HourState, ReconciledHour, ReconciledHours, Reconciliation
from ingestor.storage.reconciled_memory import MemoryReconciledHours
from ingestor.storage.reconciled_sql import SqlReconciledHours
from tests.servers_stores import PostgreSQL

H0 = 1_795_230_000_000_000 // HOUR_US * HOUR_US


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def hours(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReconciledHours]:
    if request.param == "memory":
        yield MemoryReconciledHours()
        return
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'metadata.sqlite'}"
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.create_database(f"reconciled_{uuid.uuid4().hex[:8]}")
    engine = open_database(url)
    yield SqlReconciledHours(engine)
    engine.dispose()


def hour(number: int, state: HourState = HourState.COMPLETE, home: str = "home", **fields: Any) -> ReconciledHour:
    return ReconciledHour(home, H0 + number * HOUR_US, state, **fields)


def test_an_hour_comes_back_as_it_was_kept_and_the_last_word_stands(hours: ReconciledHours) -> None:
    first = hour(0, HourState.WAITING)
    last = ReconciledHour(
        "home",
        H0,
        HourState.REPAIRING,
        expected=10_000_000_000,
        stored=9,
        compared=5,
        missing=1,
        surplus=0,
        repaired=2,
        entities={"sensor.küche": 1},
        why="1 change is missing",
        gap_id="g",
        attempts=1,
        progress={"next_us": H0, "lacking": {"sensor.küche": 1}},
        checked_us=H0 + 7,
    )

    hours.save(first)
    before = hours.list()
    hours.save(last)

    assert before == [first]
    assert hours.list() == [last]


def test_hours_are_listed_newest_first_of_a_home_from_a_time_on(hours: ReconciledHours) -> None:
    for number in (1, 3, 0, 2):
        hours.save(hour(number))
    hours.save(hour(9, HourState.WAITING, home="cabin"))

    assert [one.hour_us for one in hours.list(home="home")] == [H0 + n * HOUR_US for n in (3, 2, 1, 0)]
    assert [one.hour_us for one in hours.list(home="home", since_us=H0 + 2 * HOUR_US)] == [
        H0 + 3 * HOUR_US,
        H0 + 2 * HOUR_US,
    ]
    assert [one.home for one in hours.list(limit=2)] == ["cabin", "home"]
    assert [one.home for one in hours.list(unended_only=True)] == ["cabin"]


def test_a_summary_counts_what_is_missing_for_good_and_what_was_repaired(hours: ReconciledHours) -> None:
    hours.save(hour(0, HourState.MISSING, missing=3, repaired=1))
    hours.save(hour(1, HourState.COMPLETE, repaired=4))
    hours.save(hour(2, HourState.REPAIRING, missing=50))
    hours.save(hour(3, HourState.UNCOMPARABLE))
    hours.save(hour(4, HourState.COMPLETE, home="cabin"))

    assert hours.summaries() == [
        Reconciliation("cabin", H0 + 4 * HOUR_US, H0 + 5 * HOUR_US, hours=1, waiting=0, missing=0, repaired=0),
        Reconciliation("home", H0, H0 + 2 * HOUR_US, hours=4, waiting=1, missing=3, repaired=5),
    ]


def test_nothing_reconciled_is_no_summary(hours: ReconciledHours) -> None:
    assert hours.summaries() == []
    assert hours.list() == []
