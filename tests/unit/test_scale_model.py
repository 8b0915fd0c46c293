"""The model of many homes: what it is fed with, what it foretells, and what it says of bounds."""

from __future__ import annotations

from pathlib import Path

from tests.bench.model import BATCHES_PER_S, EVENTS_PER_S, PAGE, STAGES, fitted, measured, need, page

PERFORMANCE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "performance.md").read_text()


def test_a_rate_between_those_it_was_fitted_to_is_foretold() -> None:
    figures = measured(PERFORMANCE)
    costs = fitted(figures)

    foretold = sum(cost.us_per_event(5_000 / BATCHES_PER_S) for cost in costs.values())

    seen = sum(figures[5_000][stage] for stage in STAGES)
    assert abs(foretold - seen) < 0.3 * seen


def test_homes_cost_in_proportion_and_a_longer_window_less() -> None:
    costs = fitted(measured(PERFORMANCE))
    hundred, thousand = need(costs, 100, 0.025), need(costs, 1_000, 0.025)

    assert round(sum(thousand.cores.values()) / sum(hundred.cores.values()), 6) == 10
    assert sum(need(costs, 100, 1.0).cores.values()) < sum(hundred.cores.values()) / 3
    assert hundred.batches_per_s == 100 * EVENTS_PER_S


def test_the_index_of_written_points_has_a_bound() -> None:
    costs = fitted(measured(PERFORMANCE))

    assert need(costs, 10_000, 1.0).written_mb == need(costs, 1_000, 1.0).written_mb < 100


def test_every_table_of_the_page_is_made() -> None:
    made = page(PAGE.read_text())

    assert made.count("<!-- end -->") == 3
    assert "| 10,000 | 1,000 ms |" in made
    assert "xychart-beta" in made
