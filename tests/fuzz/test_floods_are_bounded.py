"""Whoever may publish can make a listener remember only so much, however many topics there are and however long."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.test_mqtt_receiver import Bench

#: A flood of 2,000 topics of 65,000 characters is 130 MB of topics.
TOPICS = 2_000
MOST_BYTES = 20_000_000


@pytest.mark.parametrize("retain", [True, False], ids=["retained", "live"])
@pytest.mark.parametrize("leaf", ["state", "brightness", "config"])
def test_a_flood_of_long_topics_is_not_remembered(leaf: str, retain: bool) -> None:
    bench = Bench()

    grown = growth(lambda: hear_flood(bench, leaf, retain=retain))

    assert bench.receiver.counts.messages == TOPICS
    assert bench.receiver.counts.failed == 0
    assert grown < MOST_BYTES


def hear_flood(bench: Any, leaf: str, *, retain: bool) -> None:
    for number in range(TOPICS):
        bench.hear(f"homeassistant/light/{number:065000}/{leaf}", b"on", retain=retain, qos=0)


def growth(work: Callable[[], None]) -> int:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
