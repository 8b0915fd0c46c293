"""The contract of the index of written points, on memory, Valkey and Redis."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestor import errors
from ingestor.queue.state import connect_state
from ingestor.storage.written import CLAIM, Mark, WrittenIndex
from ingestor.storage.written_memory import MemoryWrittenIndex
from ingestor.storage.written_redis import RedisWrittenIndex


@dataclass
class Clock:
    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    """An index of 600 s and 1,000 marks, on a clock that the test moves; each test has a home of its own."""

    make: Callable[..., WrittenIndex]
    clock: Clock = field(default_factory=Clock)

    def index(self, window_s: float = 600, most: int = 1000) -> WrittenIndex:
        return self.make(window_s=window_s, most=most, clock=self.clock)


@pytest.fixture(params=["memory", "valkey_server", "redis_server"])
def bench(request: pytest.FixtureRequest) -> Bench:
    if request.param == "memory":
        return Bench(MemoryWrittenIndex)
    state = connect_state(request.getfixturevalue(request.param).url)

    def make(**options: Any) -> WrittenIndex:
        return RedisWrittenIndex(state, **options)

    return Bench(make)


@pytest.fixture
def home() -> str:
    return f"home-{uuid.uuid4().hex[:12]}"


def mark(number: int, *, identity: int = 1, richness: int = 4, batch: int = 7) -> Mark:
    return Mark(number.to_bytes(8, "big"), identity, richness, batch)


def test_a_key_that_was_never_recorded_is_unknown(bench: Bench, home: str) -> None:
    assert bench.index().look(home, [b"12345678", b"\x00" * 8]) == [None, None]


def test_a_recorded_mark_is_found_as_it_was(bench: Bench, home: str) -> None:
    index = bench.index()
    marks = [mark(1), mark(2, identity=0xFFFFFFFF, richness=1, batch=0xFFFF), mark(3, identity=0, batch=0)]

    before = index.record(home, marks)

    assert before == [None, None, None]
    assert index.look(home, [marks[2].key, b"notthere", marks[0].key, marks[1].key]) == [
        marks[2],
        None,
        marks[0],
        marks[1],
    ]


def test_keys_of_any_bytes_are_told_apart(bench: Bench, home: str) -> None:
    index = bench.index()
    keys = [b"\x00" * 8, b"\x00" * 7 + b"\n", b"\r\n\r\n\r\n\r\n", b"\xff" * 8, b"%s%s{}{}", b"$1\r\n+OK "]

    index.record(home, [Mark(key, number, 1, 1) for number, key in enumerate(keys)])

    assert [found.identity if found else None for found in index.look(home, keys)] == [0, 1, 2, 3, 4, 5]


def test_homes_do_not_see_each_other(bench: Bench, home: str) -> None:
    index = bench.index()

    index.record(home, [mark(1)])

    assert index.look(home + "-other", [mark(1).key]) == [None]


@pytest.mark.parametrize("times", [1, 2])
def test_a_richer_mark_of_the_same_event_takes_the_place_and_says_still_who_was_first(
    bench: Bench, home: str, times: int
) -> None:
    index = bench.index()
    index.record(home, [mark(1, richness=1, batch=5)])

    before = index.record(home, [mark(1, richness=4, batch=6)] * times)

    assert before == [mark(1, richness=1, batch=5), mark(1, richness=4, batch=5)][:times]
    assert index.look(home, [mark(1).key]) == [mark(1, richness=4, batch=5)]


def test_who_records_a_point_was_first_whoever_claimed_it(bench: Bench, home: str) -> None:
    index = bench.index()
    index.claim(home, [mark(1, batch=5)])

    index.record(home, [mark(1, batch=6)])

    assert index.look(home, [mark(1).key]) == [mark(1, batch=6)]


def test_a_poorer_or_equal_mark_of_the_same_event_changes_nothing(bench: Bench, home: str) -> None:
    index = bench.index()
    index.record(home, [mark(1, richness=4, batch=5)])

    before = index.record(home, [mark(1, richness=1, batch=6)]) + index.record(home, [mark(1, richness=4, batch=7)])

    assert before == [mark(1, richness=4, batch=5)] * 2
    assert index.look(home, [mark(1).key]) == [mark(1, richness=4, batch=5)]


def test_another_event_does_not_take_a_point_that_is_taken(bench: Bench, home: str) -> None:
    index = bench.index()
    index.record(home, [mark(1, identity=10, richness=1)])

    before = index.record(home, [mark(1, identity=11, richness=4)])

    assert before == [mark(1, identity=10, richness=1)]
    assert index.look(home, [mark(1).key]) == [mark(1, identity=10, richness=1)]


def test_a_claim_is_told_to_who_claims_and_is_nothing_written_to_who_records(bench: Bench, home: str) -> None:
    index = bench.index()

    first = index.claim(home, [mark(1, identity=10, batch=5), mark(2)])
    second = index.claim(home, [mark(1, identity=11, batch=6)])
    recorded = index.record(home, [mark(1, identity=10, richness=1, batch=5)])

    assert first == [None, None]
    assert second == [mark(1, identity=10, richness=CLAIM, batch=5)]
    assert recorded == [None]
    assert index.look(home, [mark(1).key]) == [mark(1, identity=10, richness=1, batch=5)]


def test_a_claim_replaces_nothing_that_is_written(bench: Bench, home: str) -> None:
    index = bench.index()
    index.record(home, [mark(1, richness=1, batch=5)])

    before = index.claim(home, [mark(1, batch=6)])

    assert before == [mark(1, richness=1, batch=5)]
    assert index.look(home, [mark(1).key]) == [mark(1, richness=1, batch=5)]


def test_two_marks_of_one_key_in_one_call_follow_each_other(bench: Bench, home: str) -> None:
    index = bench.index()

    before = index.record(
        home, [mark(1, richness=1), mark(1, richness=4), mark(1, richness=3), mark(1, identity=2, richness=4)]
    )

    assert before == [None, mark(1, richness=1), mark(1, richness=4), mark(1, richness=4)]
    assert index.look(home, [mark(1).key]) == [mark(1, richness=4)]


def test_a_mark_is_remembered_for_the_whole_window_and_then_forgotten(bench: Bench, home: str) -> None:
    index = bench.index(window_s=600)
    for second in range(0, 600, 50):
        bench.clock.now = 1_700_000_000.0 + second
        index.record(home, [mark(second)])

    bench.clock.now = 1_700_000_000.0 + 599
    index.record(home, [mark(9999)])
    at_the_end = index.look(home, [mark(second).key for second in range(0, 600, 50)])
    for second in range(600, 2400, 150):
        bench.clock.now = 1_700_000_000.0 + second
        index.record(home, [mark(10_000 + second)])

    assert None not in at_the_end
    assert index.look(home, [mark(second).key for second in range(0, 600, 50)]) == [None] * 12


def test_an_old_mark_is_found_while_newer_generations_fill(bench: Bench, home: str) -> None:
    index = bench.index(window_s=600)
    index.record(home, [mark(1, richness=1)])
    bench.clock.now += 400

    before = index.record(home, [mark(1, richness=4)])

    assert before == [mark(1, richness=1)]
    assert index.look(home, [mark(1).key]) == [mark(1, richness=4)]


def test_more_marks_than_allowed_push_out_the_oldest_and_keep_the_newest(bench: Bench, home: str) -> None:
    index = bench.index(most=1000)

    for start in range(0, 5000, 100):
        index.record(home, [mark(number) for number in range(start, start + 100)])

    found = index.look(home, [mark(number).key for number in range(5000)])
    kept = [number for number, there in enumerate(found) if there]
    assert len(kept) <= 1000
    assert kept == list(range(5000 - len(kept), 5000))
    assert len(kept) >= 600


def test_a_call_of_many_keys_is_answered_in_order(bench: Bench, home: str) -> None:
    index = bench.index(most=100_000)
    marks = [mark(number, identity=number) for number in range(7001)]

    index.record(home, marks)

    assert index.look(home, [one.key for one in marks]) == marks
    assert index.look(home, []) == []
    assert index.record(home, []) == []


MARKS = st.lists(
    st.builds(
        Mark,
        st.integers(0, 5).map(lambda number: number.to_bytes(8, "big")),
        st.integers(0, 2),
        st.integers(1, 4),
        st.integers(0, 3),
    ),
    max_size=12,
)


@given(calls=st.lists(MARKS, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_adapter_answers_as_a_plain_dictionary_would(bench: Bench, calls: list[list[Mark]]) -> None:
    index, home = bench.index(), f"home-{uuid.uuid4().hex}"
    model: dict[bytes, Mark] = {}

    for marks in calls:
        expected = []
        for one in marks:
            there = model.get(one.key)
            expected.append(there)
            if there is None:
                model[one.key] = one
            elif there.identity == one.identity and there.richness < one.richness:
                model[one.key] = one._replace(batch=there.batch)

        assert index.record(home, marks) == expected

    keys = [number.to_bytes(8, "big") for number in range(6)]
    assert index.look(home, keys) == [model.get(key) for key in keys]


def test_a_state_server_that_is_away_is_a_transient_error(unused_port: int) -> None:
    index = RedisWrittenIndex(connect_state(f"redis://127.0.0.1:{unused_port}"), window_s=600, most=1000)

    with pytest.raises(errors.StateUnavailable):
        index.look("home", [b"12345678"])
    with pytest.raises(errors.StateUnavailable):
        index.record("home", [mark(1)])


@pytest.fixture
def unused_port() -> int:
    from tests.servers import free_port  # noqa: PLC0415 - only this test needs it

    return free_port()


def test_the_marks_in_redis_end_by_themselves(redis_server: Any, home: str) -> None:
    state: redis.Redis[bytes] = connect_state(redis_server.url)
    RedisWrittenIndex(state, window_s=600, most=1000).record(home, [mark(1)])

    keys = list(state.scan_iter(f"ha_ingestor:written:{{{home}}}*"))

    assert len(keys) == 2
    assert all(600 < state.ttl(key) <= 901 for key in keys)
