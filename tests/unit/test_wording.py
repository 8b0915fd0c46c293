"""Counts in sentences."""

from __future__ import annotations

import pytest

from ingestor.wording import milliseconds, number_of


@pytest.mark.parametrize(
    ("count", "what", "said"),
    [
        (1, "gap", "1 gap"),
        (0, "gap", "0 gaps"),
        (2_000, "gap", "2,000 gaps"),
        (1, "entity", "1 entity"),
        (2, "entity", "2 entities"),
        (2, "category", "2 categories"),
        (2, "day", "2 days"),
    ],
)
def test_a_count_stands_with_its_noun(count: int, what: str, said: str) -> None:
    assert number_of(count, what) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0 ms"),
        (999.0, "999 ms"),
        (1_500.0, "1.5 s"),
        (60_000.0, "60 s"),
        (4_200_000.0, "70 min"),
        (10_800_000.0, "3 h"),
        (-3_600_000.0, "-60 min"),
    ],
)
def test_a_time_is_said_in_the_unit_of_people(value: float, said: str) -> None:
    assert milliseconds(value) == said
