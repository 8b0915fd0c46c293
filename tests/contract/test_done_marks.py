"""The contract of the done marks, on memory, Valkey and Redis."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from ingestor import errors
from ingestor.events.event import Settled
from ingestor.queue.done import DoneMark, DoneMarks, MemoryDoneMarks
from ingestor.queue.done_redis import RedisDoneMarks
from ingestor.queue.state import connect_state
from tests.servers import free_port
from tests.servers_brokers import RedisServer


@pytest.fixture(params=["memory", "valkey_server", "redis_server"])
def marks(request: pytest.FixtureRequest) -> DoneMarks:
    if request.param == "memory":
        return MemoryDoneMarks()
    return RedisDoneMarks(connect_state(request.getfixturevalue(request.param).url))


@pytest.fixture
def journal() -> str:
    return f"journal-{uuid.uuid4().hex[:12]}"


def done(number: int) -> DoneMark:
    settled = [Settled("written", [0, 1, number]), Settled("duplicate", [2])]
    return DoneMark(f"{number:026d}", "store", number, settled, lag_ns=12_345_678_901)


def test_an_empty_mailbox_gives_nothing(marks: DoneMarks, journal: str) -> None:
    assert marks.take(journal) == []


def test_marks_are_taken_once_and_oldest_first(marks: DoneMarks, journal: str) -> None:
    for number in range(5):
        marks.put(journal, done(number))

    taken = marks.take(journal, 3), marks.take(journal, 3), marks.take(journal, 3)

    assert taken == ([done(0), done(1), done(2)], [done(3), done(4)], [])


def test_a_journal_gets_only_its_own_marks(marks: DoneMarks, journal: str) -> None:
    marks.put(journal, done(1))

    assert marks.take(journal + "-other") == []
    assert marks.take(journal) == [done(1)]


def test_a_mailbox_in_redis_is_bounded_and_ends_by_itself(redis_server: Any, journal: str) -> None:
    state = connect_state(redis_server.url)
    marks = RedisDoneMarks(state, max_marks=3)

    for number in range(10):
        marks.put(journal, done(number))

    assert 0 < state.ttl(f"ha_ingestor:done:{journal}") <= 86_400
    assert marks.take(journal) == [done(7), done(8), done(9)]


def test_a_mark_that_cannot_be_read_does_not_hide_the_others(redis_server: Any, journal: str) -> None:
    state = connect_state(redis_server.url)
    marks = RedisDoneMarks(state)
    state.rpush(f"ha_ingestor:done:{journal}", b"\xc1 rubbish")
    marks.put(journal, done(1))

    assert marks.take(journal) == [done(1)]


def test_a_redis_that_is_away_is_a_transient_error(journal: str) -> None:
    marks = RedisDoneMarks(connect_state(f"redis://127.0.0.1:{free_port()}"))

    with pytest.raises(errors.StateUnavailable):
        marks.put(journal, done(1))
    with pytest.raises(errors.StateUnavailable):
        marks.take(journal)


def test_a_full_redis_is_a_transient_error(start_server: Any, journal: str) -> None:
    server = start_server(RedisServer, extra=("--maxmemory-policy", "noeviction"))
    state = connect_state(server.url)
    marks = RedisDoneMarks(state)

    state.config_set("maxmemory", "1")

    with pytest.raises(errors.StateUnavailable):
        marks.put(journal, done(1))


def test_a_redis_that_refuses_our_password_is_fatal(start_server: Any, journal: str) -> None:
    server = start_server(RedisServer)
    connect_state(server.url).config_set("requirepass", "secret")

    RedisDoneMarks(connect_state(server.url.replace("//", "//:secret@"))).put(journal, done(1))

    with pytest.raises(errors.AuthenticationRefused, match="credentials"):
        RedisDoneMarks(connect_state(server.url)).put(journal, done(1))


def test_a_redis_that_was_restarted_is_found_again_by_the_same_client(start_server: Any, journal: str) -> None:
    server = start_server(RedisServer)
    marks = RedisDoneMarks(connect_state(server.url))
    marks.put(journal, done(1))

    server.restart()

    assert marks.take(journal) == [done(1)]
