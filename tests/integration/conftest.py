"""What several integration tests begin with."""

from __future__ import annotations

import pytest
import redis

from tests.servers_brokers import RedisServer


@pytest.fixture
def state(redis_server: RedisServer) -> redis.Redis[bytes]:
    """An empty state server, in a database of its own."""
    client: redis.Redis[bytes] = redis.Redis.from_url(redis_server.url.removesuffix("/0") + "/9")
    client.flushdb()
    return client
