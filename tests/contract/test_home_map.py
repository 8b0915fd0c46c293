"""The contract of the map of the home and of its publication, on memory, Valkey and Redis."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from ingestor import errors
from ingestor.events.event import Place
from ingestor.home.cache import CHECK_EVERY_S, MemoryHomeMap, RedisHomeMap
from ingestor.home.model import NEVER_US, Snapshot, Timeline
from ingestor.home.port import HomeMap
from ingestor.home.publication import Publisher, RedisMaps
from ingestor.home.requests import note_answered, sync_due
from ingestor.queue.state import connect_state
from ingestor.settings import RegistrySettings
from tests.servers import free_port

HALL = Place("sensor.a", "sensor", area="Hall", labels=("x", "ä"))
ATTIC = Place("sensor.a", "sensor", area="Attic")


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    """A publisher, and maps that read from it on a clock of the test; `home` is the test's own."""

    publisher: Publisher
    open_map: Callable[[], HomeMap]
    clock: Clock = field(default_factory=Clock)
    home: str = field(default_factory=lambda: f"home-{uuid.uuid4().hex[:12]}")

    def publish(self, version: int, timelines: dict[str, Timeline], decided: tuple[str, ...] = ()) -> bool:
        return self.publisher.publish(Snapshot(self.home, version, 0, timelines), decided)

    def pass_second(self) -> None:
        self.clock.now += 1.0


def redis_bench(state: Any) -> Bench:
    clock = Clock()
    return Bench(RedisMaps(state), lambda: RedisHomeMap(state, clock=clock), clock)


@pytest.fixture(params=["memory", "valkey_server", "redis_server"])
def bench(request: pytest.FixtureRequest) -> Bench:
    if request.param == "memory":
        memory = MemoryHomeMap()
        return Bench(memory, lambda: memory)
    return redis_bench(connect_state(request.getfixturevalue(request.param).url))


def test_a_home_is_ready_once_a_version_is_out(bench: Bench) -> None:
    places = bench.open_map()

    before = places.ready(bench.home)
    bench.publish(1, {})
    bench.pass_second()
    places.refresh()

    assert (before, places.ready(bench.home)) == (False, True)


def test_a_home_that_was_published_before_is_ready_at_the_first_question(bench: Bench) -> None:
    bench.publish(1, {"sensor.a": Timeline(0, HALL)})
    places = bench.open_map()

    assert places.ready(bench.home)
    assert places.place_of(bench.home, "sensor.a", 5) == HALL


def test_a_place_is_that_of_the_time_asked_for(bench: Bench) -> None:
    bench.publish(1, {"sensor.a": Timeline(300, HALL, [(1000, ATTIC)])})
    places = bench.open_map()
    places.ready(bench.home)

    assert [places.place_of(bench.home, "sensor.a", time_us) for time_us in (0, 999, 1000)] == [HALL, HALL, ATTIC]
    assert [places.place_of(bench.home, "sensor.a", time_us, waits=False) for time_us in (299, 300)] == [None, HALL]
    assert places.place_of(bench.home, "sensor.b", 1000) is None
    assert places.place_of(bench.home + "-other", "sensor.a", 1000) is None


def test_a_newer_version_is_seen_after_a_refresh(bench: Bench) -> None:
    bench.publish(1, {"sensor.a": Timeline(0, HALL)})
    places = bench.open_map()
    places.ready(bench.home)

    bench.publish(2, {"sensor.a": Timeline(0, HALL, [(1000, ATTIC)])})
    bench.pass_second()
    places.refresh()

    assert places.place_of(bench.home, "sensor.a", 1000) == ATTIC


def test_a_decision_stands_for_every_process(bench: Bench) -> None:
    bench.publish(1, {})
    first, second = bench.open_map(), bench.open_map()
    for places in (first, second):
        places.ready(bench.home)

    place = first.decide_unknown(bench.home, "sensor.b", 50)
    bench.pass_second()
    second.refresh()

    assert place == Place("sensor.b", "sensor")
    assert first.place_of(bench.home, "sensor.b", 99) == place
    assert second.place_of(bench.home, "sensor.b", 99) == place
    assert second.decide_unknown(bench.home, "sensor.b", 60) == place
    assert bench.publisher.published(bench.home).decided == {"sensor.b"}


def test_nothing_is_decided_of_an_entity_that_a_newer_version_knows(bench: Bench) -> None:
    bench.publish(1, {})
    places = bench.open_map()
    places.ready(bench.home)
    bench.publish(2, {"sensor.a": Timeline(0, HALL)})

    place = places.decide_unknown(bench.home, "sensor.a", 50)

    assert place == HALL
    assert bench.publisher.published(bench.home).decided == frozenset()


def test_a_version_that_does_not_hold_every_decision_does_not_come_out(bench: Bench) -> None:
    bench.publish(1, {})
    places = bench.open_map()
    places.ready(bench.home)
    places.decide_unknown(bench.home, "sensor.a", 50)

    refused = bench.publish(2, {"sensor.a": Timeline(0, HALL)})
    taken = bench.publish(3, {"sensor.a": Timeline(0, Place("sensor.a", "sensor"), [(9, HALL)])}, ("sensor.a",))

    assert (refused, taken) == (False, True)
    assert bench.publisher.published(bench.home).version == 3
    assert bench.publisher.published(bench.home).decided == frozenset()


def test_nothing_can_be_decided_without_a_map(bench: Bench) -> None:
    places = bench.open_map()
    places.ready(bench.home)

    with pytest.raises(errors.StateUnavailable, match="map"):
        places.decide_unknown(bench.home, "sensor.a", 50)


def test_a_home_with_nobody_to_ask_knows_every_entity_by_its_name(bench: Bench) -> None:
    bench.publisher.publish(Snapshot(bench.home, 1, NEVER_US, {}), ())
    places = bench.open_map()
    places.ready(bench.home)

    assert places.place_of(bench.home, "light.a", 10**15) == Place("light.a", "light")


@pytest.fixture
def state(redis_server: Any) -> Any:
    return connect_state(redis_server.url)


def forget(state: Any, home: str) -> None:
    """What a flush does to one home."""
    for key in state.scan_iter(f"ha_ingestor:*{home}*"):
        state.delete(key)


def test_redis_is_asked_for_a_newer_version_at_most_once_a_second(state: Any) -> None:
    bench = redis_bench(state)
    bench.publish(1, {"sensor.a": Timeline(0, HALL)})
    places = bench.open_map()
    places.ready(bench.home)
    places.refresh()
    bench.publish(2, {"sensor.a": Timeline(0, ATTIC)})

    bench.clock.now += 0.99
    places.refresh()
    early = places.place_of(bench.home, "sensor.a", 0)
    bench.clock.now += 0.01
    places.refresh()

    assert (early, places.place_of(bench.home, "sensor.a", 0)) == (HALL, ATTIC)


def test_a_flushed_redis_leaves_the_local_copy_and_asks_for_a_sync(state: Any) -> None:
    bench = redis_bench(state)
    bench.publish(5, {"sensor.a": Timeline(0, HALL)})
    places = bench.open_map()
    places.ready(bench.home)
    forget(state, bench.home)

    bench.pass_second()
    places.refresh()

    assert places.ready(bench.home)
    assert places.place_of(bench.home, "sensor.a", 0) == HALL
    assert sync_due(state, bench.home, 0)
    with pytest.raises(errors.StateUnavailable):
        places.decide_unknown(bench.home, "sensor.b", 0)


def test_an_older_version_than_the_local_one_is_not_taken(state: Any) -> None:
    bench = redis_bench(state)
    bench.publish(5, {"sensor.a": Timeline(0, HALL)})
    places = bench.open_map()
    places.ready(bench.home)
    forget(state, bench.home)
    bench.publish(4, {"sensor.a": Timeline(0, ATTIC)})

    bench.pass_second()
    places.refresh()

    assert places.place_of(bench.home, "sensor.a", 0) == HALL
    assert sync_due(state, bench.home, 0)


def test_an_unknown_entity_asks_for_a_sync_but_an_event_that_does_not_wait_does_not(state: Any) -> None:
    bench = redis_bench(state)
    bench.publish(1, {})
    places = bench.open_map()
    places.ready(bench.home)

    places.place_of(bench.home, "sensor.new", 0, waits=False)
    before = sync_due(state, bench.home, 0)
    places.place_of(bench.home, "sensor.new", 0)

    assert (before, sync_due(state, bench.home, 0)) == (False, True)


def test_beyond_the_most_decisions_a_name_gets_the_same_place_but_is_not_kept(state: Any) -> None:
    bench = redis_bench(state)
    bench.publish(1, {})
    places = RedisHomeMap(state, max_decided=2)
    places.ready(bench.home)

    decided = [places.decide_unknown(bench.home, f"sensor.x{number}", 0) for number in range(3)]

    assert [place.series for place in decided] == ["sensor.x0", "sensor.x1", "sensor.x2"]
    assert bench.publisher.published(bench.home).decided == {"sensor.x0", "sensor.x1"}
    assert places.place_of(bench.home, "sensor.x2", 0) == decided[2]


def test_a_snapshot_that_cannot_be_read_counts_as_none(state: Any) -> None:
    bench = redis_bench(state)
    bench.publish(1, {})
    state.set(f"ha_ingestor:map:{bench.home}", b"rubbish")

    assert not bench.open_map().ready(bench.home)
    assert sync_due(state, bench.home, 0)


def test_workers_see_a_version_well_before_it_takes_effect() -> None:
    assert RegistrySettings().effective_after_s / 2 >= CHECK_EVERY_S


def test_a_redis_that_is_away_is_a_transient_error() -> None:
    places = RedisHomeMap(connect_state(f"redis://127.0.0.1:{free_port()}"))

    with pytest.raises(errors.StateUnavailable):
        places.ready("home")


def test_whether_a_sync_has_answered_is_known_to_every_process(valkey_server: Any) -> None:
    state, home = connect_state(valkey_server.url), f"home-{uuid.uuid4().hex[:12]}"
    places = RedisHomeMap(state)
    before = places.answered_since(home, 1_000 * 10**9)

    note_answered(state, home, 1_000.5)

    assert not before
    assert places.answered_since(home, 1_000 * 10**9)
    assert not places.answered_since(home, 1_001 * 10**9)
