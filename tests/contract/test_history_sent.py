"""The contract of what keeps batches of history until they are counted, in memory and in the state server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from ingestor.pipeline.history_sent import MemorySentBatches, RedisSentBatches, SentBatch, SentBatches
from ingestor.queue.state import connect_state

FULL = f"{(1 << 500) - 1:x}"
RUBBISH = [
    b"",
    b"\xff\x00",
    msgspec.msgpack.encode({"rows": 4, "bits": "zz"}),
    msgspec.msgpack.encode({"rows": 4, "bits": "1f"}),
    msgspec.msgpack.encode({"rows": 2**40}),
    msgspec.msgpack.encode({"rows": 4, "counts": {"odd": 1}}),
]
KEY = "ha_ingestor:history:home:sent"


@pytest.fixture
def state(redis_server: Any) -> Iterator[Any]:
    state = connect_state(redis_server.url)
    state.flushdb()
    yield state
    state.close()


@pytest.fixture(params=["memory", "redis"])
def sent(request: pytest.FixtureRequest) -> SentBatches:
    if request.param == "memory":
        return MemorySentBatches()
    return RedisSentBatches(request.getfixturevalue("state"), "home")


def test_batches_are_kept_as_they_are_until_they_are_let_go(sent: SentBatches) -> None:
    whole, half = SentBatch(500, FULL, {"written": 500}, {3600: 7}), SentBatch(4, "3", {"written": 2})
    sent.keep("a", SentBatch(500))
    sent.keep("a", whole)
    sent.keep("b", half)

    assert sent.load() == {"a": whole, "b": half}
    assert whole.ended == (1 << 500) - 1

    sent.drop(["a"])
    sent.drop([])
    assert sent.load() == {"b": half}


@pytest.mark.parametrize("rubbish", RUBBISH)
def test_rubbish_and_what_is_too_old_is_let_go(state: Any, rubbish: bytes) -> None:
    sent = RedisSentBatches(state, "home")
    sent.keep("old", SentBatch(4, sent_s=int(time.time()) - 30 * 86_400))
    sent.keep("young", SentBatch(4))
    state.hset(KEY, "rubbish", rubbish)

    assert sent.load().keys() == {"young"}
    assert state.hkeys(KEY) == [b"young"]
