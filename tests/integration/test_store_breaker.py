"""The breaker before the store, on a real state server: who may write when, and what everybody is told meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import redis
from structlog.testing import capture_logs

from ingestor import errors
from ingestor.events.point import Point
from ingestor.storage.breaker import GuardedStore, StoreBreaker
from ingestor.storage.memory import MemoryStore
from ingestor.storage.port import WriteResult
from tests.servers import wait_until

POINT = Point("m", (("series", "sensor.x"),), {"value": 1.0}, 1, 0)
AWAY = errors.StoreUnavailable("connection refused")


class Sick(MemoryStore):
    """A store that raises what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.raises: Exception | None = None
        self.asked = 0

    def write(self, points: Sequence[Point]) -> WriteResult:
        self.asked += 1
        if self.raises:
            raise self.raises
        return super().write(points)


@pytest.fixture
def store() -> Sick:
    return Sick()


def breaker(state: redis.Redis[bytes], pause_s: float = 0.2) -> StoreBreaker:
    """One process's breaker: it looks each time, and pauses for as long as is said."""
    clock = iter(range(0, 100_000, 10))
    return StoreBreaker(state, clock=lambda: float(next(clock)), spread=lambda _low, _high: pause_s)


def test_one_failure_is_no_outage_and_three_are(state: redis.Redis[bytes], store: Sick) -> None:
    guarded = GuardedStore(store, mine := breaker(state))
    store.raises = AWAY

    for _ in range(2):
        with pytest.raises(errors.StoreUnavailable):
            guarded.write([POINT])
    assert mine.read().phase == "closed"
    with pytest.raises(errors.StoreUnavailable):
        guarded.write([POINT])

    assert (mine.read().phase, mine.read().refused, mine.read().detail) == ("open", False, "connection refused")


def test_while_it_is_open_nobody_asks_the_store_and_all_hear_why(state: redis.Redis[bytes], store: Sick) -> None:
    store.raises = errors.StoreUnavailable("too busy", retry_after_s=30)
    with pytest.raises(errors.StoreUnavailable):
        GuardedStore(store, breaker(state)).write([POINT])

    with pytest.raises(errors.StoreUnavailable, match="too busy") as heard:
        GuardedStore(store, breaker(state)).write([POINT])

    assert store.asked == 1
    assert 28 < (heard.value.retry_after_s or 0) <= 30  # as long as the store asked for
    assert 28 < breaker(state).read().next_try_in_s <= 30


def test_a_store_that_asks_for_days_is_tried_within_a_quarter_of_an_hour(state: redis.Redis[bytes]) -> None:
    breaker(state).failed(errors.StoreUnavailable("busy", retry_after_s=1_000_000))

    assert 800 < breaker(state).read().next_try_in_s <= 900


def test_after_the_pause_one_writer_tries_and_its_success_frees_all(state: redis.Redis[bytes], store: Sick) -> None:
    first, second = breaker(state, 0.05), breaker(state, 0.05)
    for _ in range(3):
        first.failed(AWAY)
    wait_until(lambda: first.read().phase == "half_open", timeout_s=60, what="the pause is over")

    second.ready()  # takes nobody's turn
    first.check()
    with pytest.raises(errors.StoreUnavailable):
        second.check()
    with capture_logs() as logs:
        first.succeeded()
    GuardedStore(store, second).write([POINT])

    assert (first.read().phase, store.asked) == ("closed", 1)
    assert [line["event"] for line in logs] == ["store_back"]


def test_a_try_that_fails_makes_the_next_one_wait_again(state: redis.Redis[bytes]) -> None:
    mine = breaker(state, 0.05)
    for _ in range(3):
        mine.failed(AWAY)
    wait_until(lambda: mine.read().phase == "half_open", timeout_s=60, what="the pause is over")

    mine.check()
    mine.failed(errors.StoreUnavailable("busy", retry_after_s=20))

    assert mine.read().phase == "open"
    assert mine.read().next_try_in_s > 10


def test_a_refusal_opens_at_once_and_is_logged_once_for_all(state: redis.Redis[bytes]) -> None:
    refusal = errors.StoreRefused("the store does not accept the token")
    with capture_logs() as logs:
        for _ in range(3):
            breaker(state).failed(refusal)

    assert breaker(state).read().refused
    assert [(line["log_level"], line["event"]) for line in logs] == [("error", "store_refuses")]
    with pytest.raises(errors.StoreRefused, match="token"):
        breaker(state).check()
    assert "refuses every write, and all of it is kept" in breaker(state).read().sentence()


def test_without_a_state_server_a_write_is_tried(store: Sick) -> None:
    nobody: redis.Redis[bytes] = redis.Redis.from_url("redis://127.0.0.1:1/0")

    GuardedStore(store, StoreBreaker(nobody)).write([POINT])

    assert store.asked == 1


def test_rubbish_in_the_state_server_stops_nobody(state: redis.Redis[bytes], store: Sick) -> None:
    state.set("ha_ingestor:store:breaker", b"\xff rubbish")

    GuardedStore(store, breaker(state)).write([POINT])

    assert breaker(state).read().phase == "closed"
