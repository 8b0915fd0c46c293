"""Whatever somebody else has put into the state server under our names: nobody who reads it fails by it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import redis

from ingestor.home.cache import RedisHomeMap
from ingestor.home.model import Snapshot
from ingestor.home.mqtt_entities import MqttEntities
from ingestor.home.publication import Published, RedisMaps
from ingestor.queue.state import connect_state

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
