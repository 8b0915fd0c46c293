"""A broker at its ceiling gets room again without a worker: from its reserve, or from messages that journals have."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.servers_brokers import RedisServer
from workers.relief import RESERVE, Relief

MB = 1024 * 1024


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Any]:
    client = redis.Redis.from_url(redis_server.url)
    client.flushall()
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", used + 8 * MB)
    yield client
    client.config_set("maxmemory", 0)
    client.flushall()
    client.close()


def fill(client: Any, key: str = "junk:{}", size: int = 65536) -> None:
    with contextlib.suppress(redis.ResponseError):
        for number in range(10_000):
            client.set(key.format(number), bytes(size))
    with contextlib.suppress(redis.ResponseError):
        for number in range(10_000):
            client.set(f"small:{number}", bytes(512))
    with pytest.raises(redis.ResponseError, match="maxmemory"):
        client.set("one-more", bytes(65536))


def ceiling_of(client: Any) -> int:
    return int(client.info("memory")["maxmemory"])


def test_the_embedded_broker_has_a_reserve_that_is_opened_and_closed_again(client: Any) -> None:
    ceiling = ceiling_of(client)
    relief = Relief(client, own_ceiling_bytes=ceiling)
    relief.step()
    assert relief.take_news() == []
    fill(client)

    relief.step()

    assert ceiling_of(client) == int(ceiling * RESERVE)
    client.set("note-of-a-worker", b"x")
    assert "reserve was opened" in relief.take_news()[0]
    client.flushall()
    relief.step()
    assert ceiling_of(client) == ceiling
    assert "room again" in relief.take_news()[0]


def test_of_another_ones_broker_messages_are_taken_out_newest_first_until_there_is_room(client: Any) -> None:
    relief = Relief(client, own_ceiling_bytes=None)
    with contextlib.suppress(redis.ResponseError):
        for number in range(10_000):
            client.lpush("validate", b"%06d" % number + bytes(4000))
    client.lpush("enrich", b"000000")
    fill(client)
    before = client.llen("validate")

    relief.step()

    assert 0 < client.llen("validate") <= before // 2
    assert client.lrange("validate", -1, -1)[0].startswith(b"000000")
    assert client.llen("enrich") == 1
    client.set("note-of-a-worker", b"x")
    relief.step()
    assert len(relief.take_news()) == 1


def test_a_full_broker_without_messages_of_ours_and_one_that_is_away_are_waited_for(
    client: Any, redis_server: RedisServer
) -> None:
    relief = Relief(client, own_ceiling_bytes=None)
    fill(client)

    assert relief.step() > 0
    assert relief.take_news() == []
    redis_server.stop()
    assert relief.step() > 1
    redis_server.start()
