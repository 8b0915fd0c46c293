"""How `make bench` reckons latencies: from what the write worker says of its batches, from subscribers' frames."""

from __future__ import annotations

import pytest

from tests.bench.measure import WrittenLine, latency_of, quantile
from tests.bench.subscribers import pairs_of


def test_the_events_of_a_batch_lie_evenly_between_its_oldest_and_its_newest() -> None:
    found = latency_of([WrittenLine(at=0.0, events=100, lag_ms=100.0, span_ms=50.0)])

    assert (found.p50, found.p95, found.p99, found.events) == (75.0, 100.0, 100.0, 100)


def test_a_batch_weighs_as_much_as_it_has_events() -> None:
    slow, quick = WrittenLine(0.0, 6, 500.0), WrittenLine(0.0, 94, 10.0)

    found = latency_of([slow, quick])

    assert (found.p50, found.p95) == (10.0, 500.0)


@pytest.mark.parametrize("frames", [1_000, 19_999, 20_000, 20_001, 100_000, 110_000, 120_000, 150_000])
def test_however_many_frames_are_left_out_old_and_new_messages_count_alike(frames: int) -> None:
    # Each frame is heard at once when its newest message was made, and 20 ms after its oldest.
    pairs = pairs_of([(number + 0.02, float(number), number + 0.02, 60) for number in range(frames)])

    assert len(pairs) <= 100_000
    assert [quantile(pairs, share) for share in (0.2, 0.5, 1.0)] == pytest.approx([0, 10, 20], abs=0.01)
