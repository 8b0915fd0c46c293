"""Two homes with planted faults over thirty days, judged hour by hour: `make quality-truth` does the same with ten."""

from __future__ import annotations

import pytest

from tests.quality_truth.run import MOST_FALSE, judged


# One seed for each of the hubs that may die; 1 and 2 are among the ten.
@pytest.mark.parametrize("seed", [1, 2])
def test_every_planted_fault_is_found_in_time_and_few_alarms_are_false(seed: int) -> None:
    comparison = judged(seed)

    assert comparison.missed == []
    assert comparison.false_share <= MOST_FALSE, comparison.false_alarms
    assert len(comparison.found) == 8
    assert comparison.healthy > 50
