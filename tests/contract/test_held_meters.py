"""Held meters are the same in memory and in Redis: forward in event time alone, and no more than fit."""

from __future__ import annotations

import itertools
import uuid

import pytest

from ingestor.quality import meters
from ingestor.quality.counters import Meter
from ingestor.quality.meters import HeldMeters, MemoryHeldMeters, RedisHeldMeters
from ingestor.queue.state import connect_state
from tests.servers_brokers import RedisServer


@pytest.fixture(params=["memory", "valkey_server", "redis_server"])
def held(request: pytest.FixtureRequest) -> HeldMeters:
    if request.param == "memory":
        return MemoryHeldMeters()
    ticks = itertools.count(1)
    return RedisHeldMeters(connect_state(request.getfixturevalue(request.param).url), clock=lambda: next(ticks) * 10.0)


@pytest.fixture
def home() -> str:
    return f"home-{uuid.uuid4().hex[:12]}"


def test_what_is_held_is_known_until_it_is_good_again(held: HeldMeters, home: str) -> None:
    zero = Meter(100.5, 1_795_262_400_000_001, "zero", 1_795_262_400_000_000)

    held.put(home, {"sensor.a": zero})
    assert held.read(home) == {"sensor.a": zero}
    assert held.read("other") == {}

    held.put(home, {"sensor.a": Meter(101.0, 1_795_262_400_000_002)})
    assert held.read(home) == {}


def test_an_older_word_does_not_win(held: HeldMeters, home: str) -> None:
    newer = Meter(100.0, 20, "dip", 10)
    held.put(home, {"sensor.a": newer})

    held.put(home, {"sensor.a": Meter(50.0, 15)})
    held.put(home, {"sensor.a": Meter(50.0, 20, "zero", 20)})

    assert held.read(home) == {"sensor.a": newer}


def test_no_more_are_held_than_fit(held: HeldMeters, home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "MAX_HELD", 2)

    for number in range(4):
        held.put(home, {f"sensor.{number}": Meter(1.0, 10, "zero", 10)})

    assert len(held.read(home)) == 2


def test_in_redis_it_is_asked_once_a_second(valkey_server: RedisServer, home: str) -> None:
    state = connect_state(valkey_server.url)
    now_s = [1.0]
    here, there = RedisHeldMeters(state, clock=lambda: now_s[0]), RedisHeldMeters(state)
    here.read(home)
    there.put(home, {"sensor.a": Meter(1.0, 10, "zero", 10)})

    assert here.read(home) == {}
    now_s[0] += 1.0
    assert set(here.read(home)) == {"sensor.a"}
