"""The contract of the numbers of a series' events, on memory, Valkey and Redis."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ingestor.home.sequence import MemorySequences, Numbered, RedisSequences, Seen, Sequences
from ingestor.queue.state import connect_state

T_US = 1_795_229_244_031_714
ON, OFF = 4_294_967_295, 0


@dataclass
class Bench:
    """Makes workers that count together; the home is the test's own."""

    home: str
    make: Callable[[], Sequences]


@pytest.fixture(params=["memory", "valkey_server", "redis_server"])
def bench(request: pytest.FixtureRequest) -> Bench:
    home = f"home-{uuid.uuid4().hex[:12]}"
    if request.param == "memory":
        memory = MemorySequences()
        return Bench(home, lambda: memory)
    state = connect_state(request.getfixturevalue(request.param).url)
    return Bench(home, lambda: RedisSequences(state))


def seen(at_us: int, identity: int = ON, series: str = "light.lamp") -> Seen:
    return Seen(series, T_US + at_us, identity)


def test_several_workers_count_one_series_together_and_say_when_it_had_changed(bench: Bench) -> None:
    first, second = bench.make(), bench.make()

    found = [*first.count(bench.home, [seen(0), seen(1, OFF)]), *second.count(bench.home, [seen(2, OFF), seen(3, ON)])]

    assert found == [Numbered(1, None), Numbered(2, T_US), Numbered(3, T_US + 1), Numbered(4, T_US + 1)]


def test_an_event_that_is_late_or_sent_again_gets_no_number(bench: Bench) -> None:
    worker = bench.make()
    worker.count(bench.home, [seen(5)])

    found = worker.count(bench.home, [seen(4), seen(5), seen(6)])

    assert found == [None, None, Numbered(2, T_US + 5)]


def test_series_and_homes_are_counted_apart(bench: Bench) -> None:
    worker = bench.make()

    mixed = worker.count(bench.home, [seen(0), seen(0, series="light.ü~x"), seen(1)])
    other = worker.count(f"{bench.home}-other", [seen(0)])

    assert [one.number if one else None for one in [*mixed, *other]] == [1, 1, 2, 1]
    assert worker.count(bench.home, []) == []


def test_a_batch_of_any_size_is_numbered_in_its_order(bench: Bench) -> None:
    worker = bench.make()

    found = worker.count(bench.home, [seen(at_us, series=f"s{at_us % 3}") for at_us in range(2_500)])

    assert [one.number for one in found if one] == [at_us // 3 + 1 for at_us in range(2_500)]


def test_the_series_that_are_counted_are_bounded(redis_server: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestor.home.sequence.MAX_SERIES", 2)
    state, home = connect_state(redis_server.url), uuid.uuid4().hex  # type: ignore[attr-defined]  # a fixture's server

    for worker in (MemorySequences(), RedisSequences(state, most=2)):
        for at_us, expected in enumerate([1, 2]):
            found = worker.count(home, [seen(at_us, series=f"s{number}") for number in range(5)])
            assert [one.number if one else None for one in found] == [expected, expected, None, None, None]
