"""Percentiles from histograms, and what a listener tells of its batches."""

from __future__ import annotations

import math

import pytest

from ingestor import metrics
from ingestor.api.lag import Lag
from ingestor.cli.tally import Tally
from ingestor.intake.flights import DoneBatch
from ingestor.metrics_declared import EVENT_COUNTERS


def test_a_percentile_lies_within_its_bucket() -> None:
    lag = Lag({0.01: 50.0, 0.05: 90.0, 0.1: 100.0, math.inf: 100.0})

    assert lag.percentile_ms(0.5) == pytest.approx(10.0)
    assert lag.percentile_ms(0.7) == pytest.approx(30.0)
    assert lag.percentile_ms(0.95) == pytest.approx(75.0)


def test_beyond_the_last_bucket_its_limit_is_told() -> None:
    assert Lag({0.01: 0.0, 3600.0: 0.0, math.inf: 4.0}).percentile_ms(0.95) == 3_600_000


def test_nothing_counted_has_no_percentile() -> None:
    assert Lag().percentile_ms(0.5) is None
    assert Lag({0.01: 5.0, math.inf: 5.0}).since(Lag({0.01: 5.0, math.inf: 5.0})).percentile_ms(0.5) is None


def test_the_difference_of_two_readings_is_what_came_between() -> None:
    before, now = Lag({0.01: 100.0, 0.1: 100.0, math.inf: 100.0}), Lag({0.01: 100.0, 0.1: 110.0, math.inf: 110.0})

    assert now.since(before).count == 10
    assert now.since(before).percentile_ms(1.0) == pytest.approx(100.0)


def test_a_done_batch_is_counted_once_by_outcome_and_received_is_their_sum() -> None:
    labels = {"home": "tally", "source": "websocket"}
    counters = {name: metrics.counter(metric, **labels) for name, metric in EVENT_COUNTERS.items()}
    tally = Tally()

    tally.add(
        DoneBatch("b1", "tally", "websocket", {"written": 5, "duplicate": 2, "rejected": 1, "filtered": 0}, 30_000_000)
    )
    tally.add(
        DoneBatch("b2", "tally", "websocket", {"written": 1, "duplicate": 0, "rejected": 0, "filtered": 3}, 90_000_000)
    )

    told = tally.read()
    assert told["counts"] == {"written": 6, "duplicate": 2, "rejected": 1, "filtered": 3, "lost": 0}
    assert (told["lag_ms"], told["lag_p95_ms"]) == (90.0, 90.0)
    assert {name: counter._value.get() for name, counter in counters.items()} == {
        "received": 12,
        "written": 6,
        "duplicate": 2,
        "rejected": 1,
        "filtered": 3,
        "lost": 0,
    }


def test_the_rate_is_over_the_last_ten_readings() -> None:
    now = [0.0]
    tally = Tally(clock=lambda: now[0])
    rates = []

    for second in range(1, 31):
        now[0] = float(second)
        if second <= 15:
            tally.add(DoneBatch("b", "rate", "websocket", {"written": 4}, 0))
        rates.append(tally.read()["written_per_s"])

    assert rates[0] == 4.0
    assert rates[14] == 4.0
    assert rates[19] == 2.0
    assert rates[29] == 0.0
