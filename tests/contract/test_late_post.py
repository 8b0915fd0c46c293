"""The contract of where points wait whose cause is not known yet, on memory, Valkey and Redis."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from ingestor.events.late import LateCause
from ingestor.queue.late_post import LatePost, MemoryLatePost, RedisLatePost
from ingestor.queue.state import connect_state

NOW_S = 1_795_262_400.0
HOME = f"home-{uuid.uuid4().hex[:12]}"


@pytest.fixture(params=["memory", "valkey_server", "redis_server"])
def make(request: pytest.FixtureRequest) -> Callable[[int], LatePost]:
    if request.param == "memory":
        return MemoryLatePost
    state = connect_state(request.getfixturevalue(request.param).url)
    state.delete(f"ha_ingestor:causes:late:{HOME}")
    return lambda most: RedisLatePost(state, most)


def late(number: int) -> LateCause:
    tags = (("home", HOME), ("series", "light.küche"))
    return LateCause("home_assistant_events", tags, number, f"01M7Y04H8P{number:016}", starts=bool(number % 2))


def test_who_waits_comes_back_as_it_was_the_oldest_first_until_it_is_confirmed(make: Callable[[int], LatePost]) -> None:
    post = make(10)
    post.put(HOME, [late(2)], NOW_S + 1)
    post.put(HOME, [late(1)], NOW_S)

    first = post.waiting(HOME)
    post.confirm(HOME, [late(1)])
    post.confirm(HOME, [])

    assert [(one.since_s, one.late) for one in first] == [(NOW_S, late(1)), (NOW_S + 1, late(2))]
    assert [one.late for one in post.waiting(HOME)] == [late(2)]
    assert post.waiting("another") == []


def test_who_is_remembered_again_waits_since_the_first_time(make: Callable[[int], LatePost]) -> None:
    post = make(10)
    post.put(HOME, [late(1)], NOW_S)

    post.put(HOME, [late(1)], NOW_S + 50)

    assert [one.since_s for one in post.waiting(HOME)] == [NOW_S]


def test_of_more_than_may_wait_the_oldest_are_let_go_and_counted(make: Callable[[int], LatePost]) -> None:
    post = make(3)

    let_go = [post.put(HOME, [late(number), late(number + 1)], NOW_S + number) for number in (0, 2, 4)]

    assert let_go == [0, 1, 2]
    assert sorted(one.late.time_ns for one in post.waiting(HOME)) == [3, 4, 5]


def test_what_is_none_of_ours_is_let_go_at_the_first_look(request: pytest.FixtureRequest) -> None:
    state = connect_state(request.getfixturevalue("valkey_server").url)
    state.zadd(f"ha_ingestor:causes:late:{HOME}-x", {b"rubbish": NOW_S})
    post = RedisLatePost(state)

    assert post.waiting(f"{HOME}-x") == []
    assert state.zcard(f"ha_ingestor:causes:late:{HOME}-x") == 0
