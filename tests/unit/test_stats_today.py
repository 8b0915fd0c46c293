"""When the day began that the figures count from, also on the two days of a year whose clocks change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from ingestor.api.stats import midnight_before, share_since

#: As POSIX writes zones, which needs no table of them. Havana's clocks go from 1:00 back to 0:00.
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
HAVANA = "CST5CDT,M3.2.0/0,M11.1.0/1"
INDIA = "IST-5:30"


@pytest.fixture
def at_home_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def move(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("zone", "now", "began"),
    [
        (BERLIN, "2026-07-01T11:59:00Z", "2026-06-30T22:00:00Z"),
        (BERLIN, "2026-10-25T11:59:00Z", "2026-10-24T22:00:00Z"),
        (BERLIN, "2026-10-25T22:59:00Z", "2026-10-24T22:00:00Z"),
        (BERLIN, "2026-10-25T23:00:00Z", "2026-10-25T23:00:00Z"),
        (BERLIN, "2026-03-29T11:59:00Z", "2026-03-28T23:00:00Z"),
        (HAVANA, "2026-11-01T20:00:00Z", "2026-11-01T04:00:00Z"),
        (HAVANA, "2026-03-08T20:00:00Z", "2026-03-08T05:00:00Z"),
        (INDIA, "2026-10-24T18:55:00Z", "2026-10-24T18:30:00Z"),
        ("UTC0", "2026-10-25T11:59:00Z", "2026-10-25T00:00:00Z"),
    ],
)
def test_today_began_by_the_clock_of_its_midnight(
    at_home_in: Callable[[str], None], zone: str, now: str, began: str
) -> None:
    at_home_in(zone)

    found = midnight_before(datetime.fromisoformat(now).timestamp())

    assert found == datetime.fromisoformat(began).timestamp()


@pytest.mark.parametrize(
    ("hour_s", "begin_s", "now_s", "share"),
    [
        (0, 0, 3600, 1.0),
        (0, 3600, 7200, 0.0),
        (0, 1800, 7200, 0.5),  # midnight at half past
        (0, 1800, 2400, 0.25),  # ten minutes later
        (3600, 1800, 4000, 1.0),
        (3600, 3600, 3600, 1.0),
        (7200, 0, 3600, 1.0),  # of a clock that is ahead of ours
    ],
)
def test_of_the_hour_that_midnight_is_within_a_part_is_of_today(
    hour_s: int, begin_s: int, now_s: int, share: float
) -> None:
    assert share_since(hour_s, begin_s, now_s) == pytest.approx(share)
