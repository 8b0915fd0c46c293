"""The contract of the watched entities' past, on memory, Valkey and Redis; and that workers share it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from ingestor import errors
from ingestor.home.observation import Observation
from ingestor.home.watched import MAX_VALUES, MemoryWatched, Reading, Span, Watched
from ingestor.home.watched_redis import RedisWatched, publish_readings
from ingestor.queue.state import connect_state
from tests.contract.stepped_clock import SteppedClock
from tests.servers import free_port

NOW_US = time.time_ns() // 1000
RAIN = Observation(NOW_US, "homeassistant", "rainy", 8.5, 90.0, None, 3.0, 100.0)


@dataclass
class Bench:
    """Two workers (with memory, one and the same) and their clock; the home is the test's own."""

    home: str
    make: Callable[[], Watched]
    clock: SteppedClock = field(default_factory=SteppedClock)


@pytest.fixture(params=["memory", "valkey_server", "redis_server"])
def bench(request: pytest.FixtureRequest) -> Bench:
    home = f"home-{uuid.uuid4().hex[:12]}"
    if request.param == "memory":
        memory = MemoryWatched()
        return Bench(home, lambda: memory)
    state = connect_state(request.getfixturevalue(request.param).url)
    found = Bench(home, MemoryWatched)
    found.make = lambda: RedisWatched(state, clock=found.clock, now_us=lambda: NOW_US)
    return found


def value_at(watched: Watched, home: str, entity_id: str, time_us: int) -> object:
    series = watched.series(home, entity_id)
    return None if series is None else series.at(time_us).value


def test_a_value_holds_from_its_time_until_the_next_whatever_order_they_came_in(bench: Bench) -> None:
    worker = bench.make()

    worker.exchange(bench.home, [Reading("person.anna", NOW_US, "home"), Reading("person.anna", NOW_US + 10, "Work")])
    worker.exchange(bench.home, [Reading("person.anna", NOW_US + 5, None)])

    series = worker.series(bench.home, "person.anna")
    assert series is not None
    assert series.at(NOW_US - 1) == Span(None, until_us=NOW_US)
    assert series.at(NOW_US) == Span("home", NOW_US, NOW_US + 5)
    assert series.at(NOW_US + 9) == Span(None, NOW_US + 5, NOW_US + 10)
    assert series.at(NOW_US + 10) == Span("Work", NOW_US + 10)
    assert series.value_at(NOW_US + 99) == "Work"
    assert worker.series("another home", "person.anna") is None


def test_what_one_worker_saw_the_others_know_within_a_second(bench: Bench) -> None:
    first, second = bench.make(), bench.make()
    second.exchange(bench.home, [])

    first.exchange(bench.home, [Reading("sensor.hall", NOW_US, 21.5), Reading("weather.home", NOW_US, RAIN)])
    bench.clock.pass_second()
    second.exchange(bench.home, [])

    assert value_at(second, bench.home, "sensor.hall", NOW_US) == 21.5
    assert value_at(second, bench.home, "weather.home", NOW_US) == RAIN


def test_a_new_worker_knows_what_others_have_seen(bench: Bench) -> None:
    first = bench.make()
    for number in range(3):
        first.exchange(bench.home, [Reading("sensor.hall", NOW_US + number, float(number))])

    late = bench.make()
    late.exchange(bench.home, [])

    assert [value_at(late, bench.home, "sensor.hall", NOW_US + number) for number in range(3)] == [0.0, 1.0, 2.0]


def test_a_reading_that_is_known_already_changes_nothing(bench: Bench) -> None:
    worker = bench.make()
    for _ in range(3):
        worker.exchange(bench.home, [Reading("sensor.hall", NOW_US, 21.5)])
        bench.clock.pass_second()
        worker.exchange(bench.home, [])

    series = worker.series(bench.home, "sensor.hall")
    assert series is not None
    assert series.changes == 1


def test_the_values_of_an_entity_are_bounded_and_the_newest_stay(bench: Bench) -> None:
    worker = bench.make()

    for start in range(0, 3 * MAX_VALUES, MAX_VALUES):
        values = range(start, start + MAX_VALUES)
        worker.exchange(bench.home, [Reading("sensor.hall", NOW_US + number, float(number)) for number in values])

    assert value_at(worker, bench.home, "sensor.hall", NOW_US) is None
    assert value_at(worker, bench.home, "sensor.hall", NOW_US + 3 * MAX_VALUES) == 3.0 * MAX_VALUES - 1


def test_the_entities_of_a_process_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestor.home.watched.MAX_SERIES", 10)
    worker = MemoryWatched()

    worker.exchange("home", [Reading(f"sensor.n{number}", NOW_US, 1.0) for number in range(100)])

    assert len(worker._series) == 10


def test_the_newest_value_outlives_the_log(redis_server: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestor.home.watched_redis._MAX_ENTRIES", 10)
    state, home = connect_state(redis_server.url), uuid.uuid4().hex  # type: ignore[attr-defined]  # a fixture's server
    worker = RedisWatched(state, now_us=lambda: NOW_US)
    worker.exchange(home, [Reading("person.anna", NOW_US, "home")])
    for number in range(500):
        worker.exchange(home, [Reading("sensor.hall", NOW_US + number, float(number))])

    late = RedisWatched(state)
    late.exchange(home, [])

    assert state.xlen(f"ha_ingestor:watched:{home}") < 200
    assert value_at(late, home, "person.anna", NOW_US + 1) == "home"
    assert value_at(late, home, "sensor.hall", NOW_US + 1000) == 499.0


def test_a_late_reading_does_not_become_the_newest_and_the_far_past_is_not_shared(redis_server: object) -> None:
    state, home = connect_state(redis_server.url), uuid.uuid4().hex  # type: ignore[attr-defined]  # a fixture's server
    worker = RedisWatched(state, now_us=lambda: NOW_US)
    worker.exchange(home, [Reading("person.anna", NOW_US, "home")])

    worker.exchange(home, [Reading("person.anna", NOW_US - 5, "Work")])
    worker.exchange(home, [Reading("person.anna", NOW_US - 90_000_000_000, "Past")])

    state.delete(f"ha_ingestor:watched:{home}")
    late = RedisWatched(state)
    late.exchange(home, [])
    assert value_at(late, home, "person.anna", NOW_US) == "home"
    assert value_at(worker, home, "person.anna", NOW_US - 80_000_000_000) == "Past"
    assert value_at(late, home, "person.anna", NOW_US - 80_000_000_000) is None


def test_what_a_sync_read_reaches_every_worker(redis_server: object) -> None:
    state, home = connect_state(redis_server.url), uuid.uuid4().hex  # type: ignore[attr-defined]  # a fixture's server

    publish_readings(state, home, [Reading("person.anna", NOW_US, "home")])
    publish_readings(state, home, [])

    worker = RedisWatched(state)
    worker.exchange(home, [])
    assert value_at(worker, home, "person.anna", NOW_US) == "home"


def test_what_the_state_server_could_not_take_is_kept_here_and_told_later() -> None:
    away = RedisWatched(connect_state(f"redis://127.0.0.1:{free_port()}/0"), now_us=lambda: NOW_US)

    with pytest.raises(errors.StateUnavailable):
        away.exchange("home", [Reading("person.anna", NOW_US, "home")])

    assert value_at(away, "home", "person.anna", NOW_US) == "home"
    assert len(away._waiting) == 1
