"""Whatever somebody else has put into the state server under our names: nobody who reads it fails by it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
import redis

from ingestor import errors
from ingestor.events.counts import Counts, Page
from ingestor.home.cache import RedisHomeMap
from ingestor.home.model import Snapshot
from ingestor.home.mqtt_entities import MqttEntities
from ingestor.home.publication import Published, RedisMaps
from ingestor.queue.done import DoneMark
from ingestor.queue.done_redis import RedisDoneMarks
from ingestor.queue.ledger_post import RedisLedgerPost
from ingestor.queue.state import connect_state
from ingestor.storage.breaker import StoreBreaker
from ingestor.storage.suspects import Suspects
from ingestor.storage.written import Mark
from ingestor.storage.written_redis import RedisWrittenIndex

GARBAGE = [b"", b"garbage", b"\xff\xfe", b"-1", b"1.5", b"9" * 5000, b"\x80\x04."]


@pytest.fixture
def state(valkey_server: Any) -> redis.Redis[bytes]:
    return connect_state(valkey_server.url)


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_map_with_a_garbled_version_is_as_good_as_lost_until_the_next_is_out(
    state: redis.Redis[bytes], garbage: bytes
) -> None:
    home = f"home-{uuid.uuid4().hex[:12]}"
    state.set(f"ha_ingestor:map:{home}:version", garbage)
    state.set(f"ha_ingestor:map:{home}", garbage)
    maps = RedisMaps(state)
    places = RedisHomeMap(state, check_every_s=0)

    before = (maps.published(home), maps.versions([home]), places.ready(home))
    places.refresh()
    maps.publish(Snapshot(home, 1, 0, {}), ())
    places.refresh()

    assert before == (Published(), {home: (None, 0)}, False)
    assert places.ready(home)


def test_decisions_and_entities_that_are_no_text_are_passed_by(state: redis.Redis[bytes]) -> None:
    home = f"home-{uuid.uuid4().hex[:12]}"
    RedisMaps(state).publish(Snapshot(home, 1, 0, {}), ())
    state.hset(f"ha_ingestor:map:{home}:decided", mapping={b"\xff": b"\xff", b"light.a": b"1"})
    state.hset(f"ha_ingestor:map:{home}:mqtt", mapping={b"\xff": b"\xfe"})
    entities = MqttEntities(state, home)

    _, decided = RedisMaps(state).load(home)
    entities.refresh()

    assert "light.a" in decided
    assert entities.find("light", "a") is None


def takes(call: Callable[[], Any]) -> Any:
    """Call as everybody does: again where the state server seems to be away."""
    try:
        return call()
    except errors.StateUnavailable:
        return call()


def page(book: str) -> Page:
    return Page(book, 1, "home", "mqtt", "home-mqtt", {3600: Counts(1, 1, 1, 1)}, {})


def mark(batch_id: str) -> DoneMark:
    return DoneMark(batch_id, "store", 1, [])


@pytest.fixture
def only_ours(state: redis.Redis[bytes]) -> redis.Redis[bytes]:
    state.flushdb()
    state.set("somebody:else", "stays")
    return state


def test_keys_of_another_type_are_set_aside_and_cost_one_call(only_ours: redis.Redis[bytes]) -> None:
    state = only_ours
    wrong = [
        *("ha_ingestor:done:journal", "ha_ingestor:ledger:pages", "ha_ingestor:store:breaker"),
        *("ha_ingestor:store:suspect:b", "ha_ingestor:ledger:kept:book"),
    ]
    for key in wrong:
        state.sadd(key, "of another type")
    marks, post = RedisDoneMarks(state), RedisLedgerPost(state)

    takes(lambda: marks.put("journal", mark("A")))
    takes(lambda: post.put([page("book")]))

    assert [one.batch_id for one in marks.take("journal")] == ["A"]
    assert takes(post.waiting) == [[page("book")]]
    assert takes(lambda: post.kept("book")) == 0
    assert takes(StoreBreaker(state).read).phase == "closed"
    assert takes(lambda: Suspects(state).note("b")) is False
    assert all(
        state.execute_command("TYPE", f"ha_ingestor:set_aside:{key.removeprefix('ha_ingestor:')}") == b"set"
        for key in wrong
    )
    assert 0 < state.ttl("ha_ingestor:set_aside:done:journal") <= 86_400
    assert state.get("somebody:else") == b"stays"


@pytest.mark.parametrize("which", ["ha_ingestor:written:{home}", "ha_ingestor:written:{home}:0"])
def test_an_index_of_written_points_of_another_type_begins_anew(only_ours: redis.Redis[bytes], which: str) -> None:
    index = RedisWrittenIndex(only_ours, window_s=100, most=100)
    one = Mark(b"12345678", 1, 1, 1)
    index.record("home", [one])
    only_ours.delete(which)
    only_ours.rpush(which, "of another type")

    takes(lambda: index.record("home", [one]))

    assert index.look("home", [one.key]) == [one]


def test_a_command_that_fails_for_another_reason_touches_nothing(only_ours: redis.Redis[bytes]) -> None:
    only_ours.set("ha_ingestor:number", "no number")

    with pytest.raises(redis.ResponseError, match="not an integer"):
        only_ours.incr("ha_ingestor:number")

    assert only_ours.get("ha_ingestor:number") == b"no number"
