"""How `make bench` reckons latencies from what the write worker says of its batches."""

from __future__ import annotations

from tests.bench.measure import WrittenLine, latency_of


def test_the_events_of_a_batch_lie_evenly_between_its_oldest_and_its_newest() -> None:
    found = latency_of([WrittenLine(at=0.0, events=100, lag_ms=100.0, span_ms=50.0)])

    assert (found.p50, found.p95, found.p99, found.events) == (75.0, 100.0, 100.0, 100)


def test_a_batch_weighs_as_much_as_it_has_events() -> None:
    slow, quick = WrittenLine(0.0, 6, 500.0), WrittenLine(0.0, 94, 10.0)

    found = latency_of([slow, quick])

    assert (found.p50, found.p95) == (10.0, 500.0)
