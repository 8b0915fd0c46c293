"""The contract of the live channel, on memory, Valkey and Redis; and what only a server can do to it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

import pytest
import redis

from ingestor import errors
from ingestor.live.channel import EntryId, LiveChannel
from ingestor.live.channel_memory import MemoryChannel
from ingestor.live.channel_redis import RedisChannel
from ingestor.queue.state import connect_state
from tests.conftest import StartServer
from tests.servers import wait_until
from tests.servers_brokers import RedisServer

Make = Callable[..., LiveChannel]


@pytest.fixture
def home() -> str:
    return f"home-{uuid.uuid4().hex[:12]}"


@pytest.fixture(params=["memory", "valkey_server", "redis_server"])
def make(request: pytest.FixtureRequest) -> Make:
    if request.param == "memory":
        return lambda **limits: MemoryChannel(**{"max_entries": 100, "max_bytes": 10**6} | limits)
    state = connect_state(request.getfixturevalue(request.param).url)
    return lambda **limits: RedisChannel(state, **{"max_entries": 100, "max_bytes": 10**6} | limits)


def bodies(channel: LiveChannel, home: str, after: EntryId, most: int = 1000) -> list[bytes]:
    return [entry.body for entry in channel.read({home: after}, most=most, wait_s=0)]


def later_than(state: redis.Redis[bytes], entry_id: EntryId) -> None:
    """Wait until the server's clock is beyond: a stream that is begun anew may give an id of the same millisecond."""
    wait_until(lambda: state.time()[0] * 1000 > entry_id.ms + 1000, timeout_s=60, what="a later second")


def test_what_is_published_is_read_in_its_order_from_any_place_on(make: Make, home: str) -> None:
    channel = make()
    start = channel.kept(home)

    ids = [channel.publish(home, b"entry %d" % number) for number in range(5)]

    assert start.after == start.last
    assert ids == sorted(set(ids))
    assert bodies(channel, home, start.last) == [b"entry %d" % number for number in range(5)]
    assert bodies(channel, home, ids[2]) == [b"entry 3", b"entry 4"]
    assert bodies(channel, home, ids[0], most=2) == [b"entry 1", b"entry 2"]
    assert bodies(channel, home, ids[4]) == []
    assert channel.kept(home).last == ids[4]
    assert [entry.entry_id for entry in channel.read({home: start.last}, most=9, wait_s=0)] == ids


def test_each_home_has_a_stream_of_its_own_and_both_are_read_together(make: Make, home: str) -> None:
    channel, other = make(), f"{home}-b"
    places = {home: channel.kept(home).last, other: channel.kept(other).last}
    channel.publish(home, b"here")
    channel.publish(other, b"there")

    found = {entry.home: entry.body for entry in channel.read(places, most=10, wait_s=0)}

    assert found == {home: b"here", other: b"there"}
    assert bodies(channel, home, places[home]) == [b"here"]


def test_who_waits_gets_what_comes(make: Make, home: str) -> None:
    channel = make()
    after = channel.kept(home).last
    found: list[bytes] = []

    def wait() -> None:
        for _ in range(60):
            found.extend(entry.body for entry in channel.read({home: after}, most=10, wait_s=1.0))
            if found:
                return

    waiting = threading.Thread(target=wait)
    waiting.start()
    channel.publish(home, b"at last")
    waiting.join(60)

    assert found == [b"at last"]


def test_of_more_entries_than_may_stay_the_oldest_go_and_it_can_be_told(make: Make, home: str) -> None:
    channel = make(max_entries=3)
    start = channel.kept(home).last

    ids = [channel.publish(home, b"%d" % number) for number in range(8)]

    kept = channel.kept(home)
    assert bodies(channel, home, start) == [b"5", b"6", b"7"]
    assert (kept.after, kept.last) == (ids[4], ids[7])


def test_of_more_bytes_than_may_stay_the_oldest_go_and_the_newest_stays_however_large(make: Make, home: str) -> None:
    channel = make(max_bytes=100)
    start = channel.kept(home).last

    for number in range(10):
        channel.publish(home, b"%d" % number * 30)
    small = bodies(channel, home, start)
    large = channel.publish(home, b"x" * 500)

    assert small == [b"7" * 30, b"8" * 30, b"9" * 30]
    assert bodies(channel, home, start) == [b"x" * 500]
    assert channel.kept(home).last == large
    channel.publish(home, b"after")
    assert bodies(channel, home, start) == [b"after"]


def test_the_numbers_of_entries_go_on_whatever_is_trimmed(make: Make, home: str) -> None:
    channel = make(max_entries=2)
    start = channel.kept(home).last

    for _ in range(5):
        channel.publish(home, b"entry")

    assert [entry.number for entry in channel.read({home: start}, most=9, wait_s=0)] == [4, 5]


def test_a_place_on_an_empty_stream_is_before_all_that_comes(make: Make, home: str) -> None:
    channel = make()
    first = channel.kept(home)

    channel.publish(home, b"first")

    assert channel.kept(home).after == first.after
    assert bodies(channel, home, first.last) == [b"first"]


def test_after_the_server_was_emptied_an_old_place_is_known_to_have_fallen_out(
    redis_server: RedisServer, home: str
) -> None:
    state = connect_state(redis_server.url)
    channel = RedisChannel(state, max_entries=10, max_bytes=1000)
    old = channel.publish(home, b"gone")
    state.delete(*state.scan_iter(f"ha_ingestor:live:{{{home}}}*"))

    later_than(state, old)
    channel.publish(home, b"new")

    assert channel.kept(home).after >= old
    assert {entry.body for entry in channel.read({home: old}, most=10_000, wait_s=0)} == {b"new"}


def test_a_stream_of_which_nothing_is_known_any_more_is_begun_anew(redis_server: RedisServer, home: str) -> None:
    state = connect_state(redis_server.url)
    channel = RedisChannel(state, max_entries=10, max_bytes=1000)
    old = [channel.publish(home, b"old") for _ in range(2)][-1]
    state.delete(f"ha_ingestor:live:{{{home}}}:about")
    later_than(state, old)

    ids = [channel.publish(home, b"new") for _ in range(2)]

    assert bodies(channel, home, EntryId(0, 0)) == [b"new", b"new"]
    assert old <= channel.kept(home).after < ids[0]


def test_all_of_a_home_ends_by_itself_where_nothing_comes(redis_server: RedisServer, home: str) -> None:
    state = connect_state(redis_server.url)
    RedisChannel(state, max_entries=10, max_bytes=1000).publish(home, b"entry")

    keys = list(state.scan_iter(f"ha_ingestor:live:{{{home}}}*"))

    assert len(keys) == 3
    assert all(0 < state.ttl(key) <= 86_400 for key in keys)


def fill(channel: LiveChannel, home: str) -> None:
    for number in range(1000):
        channel.publish(home, b"%03d" % number * 50_000)


def test_a_full_server_refuses_an_entry_and_has_the_channels_memory_back(start_server: StartServer, home: str) -> None:
    server = start_server(RedisServer, extra=["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"])
    state: redis.Redis[bytes] = connect_state(server.url)
    channel = RedisChannel(state, max_entries=1000, max_bytes=10**7)
    old = [channel.publish(home, b"%d" % number * 50_000) for number in range(10)][-1]

    with pytest.raises(errors.StateUnavailable):
        fill(channel, home)

    assert state.exists(f"ha_ingestor:live:{{{home}}}") == 0
    state.set("a batch", b"has room again")
    assert channel.publish(home, b"new") > old
    assert channel.kept(home).after >= old


def test_a_server_that_is_away_says_so_and_no_more(home: str) -> None:
    channel = RedisChannel(connect_state("redis://127.0.0.1:1/0", hurried=True), max_entries=10, max_bytes=1000)

    for call in (
        lambda: channel.publish(home, b"entry"),
        lambda: channel.read({home: EntryId(0, 0)}, most=1, wait_s=0),
        lambda: channel.kept(home),
    ):
        with pytest.raises(errors.StateUnavailable):
            call()
