"""Counts in sentences."""

from __future__ import annotations

import pytest

from ingestor.wording import number_of


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
