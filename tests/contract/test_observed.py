"""The contract of what was observed of homes (memory, SQLite, PostgreSQL), and of its post (memory, Valkey, Redis)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestor.events.observed import Activity, ObservedEdge, ObservedPage
from ingestor.queue.observed_post import PAGES, MemoryObservedPost, ObservedPost, RedisObservedPost
from ingestor.queue.state import connect_state
from ingestor.storage.database import open_database
from ingestor.storage.observed import Observed
from ingestor.storage.observed_memory import MemoryObserved
from ingestor.storage.observed_sql import SqlObserved
from tests.servers_brokers import ValkeyServer
from tests.servers_stores import PostgreSQL

NOON_US = 1_795_262_400_000_000
QUARTER_US = 900_000_000
DAY_US = 86_400_000_000


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Observed]]:
    if request.param == "memory":
        yield MemoryObserved
        return
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'metadata.sqlite'}"
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.create_database(f"observed_{uuid.uuid4().hex[:8]}")
    engine = open_database(url)
    yield lambda **limits: SqlObserved(engine, **limits)
    engine.dispose()


def edge(count: int = 1, *, at: int = 0, target: str = "light.hall", kind: Any = "controls") -> ObservedEdge:
    return ObservedEdge(kind, "automation.hall", target, count, NOON_US + at, NOON_US + at + 5)


def page(number: int, *edges: ObservedEdge, worker: str = "w", home: str = "home", **fields: Any) -> ObservedPage:
    return ObservedPage(worker, number, home, list(edges), fields.get("activity", []))


def quarter(number: int, events: dict[str, int], hour: int = 12, weekday: int = 6, month: int = 11) -> Activity:
    return Activity(NOON_US + number * QUARTER_US, hour, weekday, month, events)


def test_edges_of_all_workers_are_added_up_with_their_first_and_last_time(make: Callable[..., Observed]) -> None:
    observed = make()

    observed.add([page(1, edge(2, at=10), edge(1, target="light.küche")), page(2, edge(3, at=-10))])
    observed.add([page(1, edge(4, at=100), worker="v"), page(2, edge(9), worker="v", home="other")])

    assert observed.load("home") == [
        ObservedEdge("controls", "automation.hall", "light.hall", 9, NOON_US - 10, NOON_US + 105),
        edge(1, target="light.küche"),
    ]
    assert observed.load("other") == [edge(9)]
    assert observed.load("nobody's") == []


def test_a_page_that_comes_twice_counts_once_also_after_a_later_one(make: Callable[..., Observed]) -> None:
    observed = make()
    first, second = page(1, edge(), activity=[quarter(0, {"a.b": 1})]), page(2, edge(5))

    observed.add([first, second])
    observed.add([first, second, first])

    assert [one.count for one in observed.load("home")] == [6]
    found = observed.pattern("home", "a.b")
    assert found is not None
    assert found.events == 1


def test_an_edge_twice_in_a_page_is_added_up(make: Callable[..., Observed]) -> None:
    observed = make()

    observed.add([page(1, edge(1), edge(2), edge(3, kind="triggers"))])

    assert [(one.kind, one.count) for one in observed.load("home")] == [("controls", 3), ("triggers", 3)]


def test_a_pattern_tells_hours_weekdays_months_and_what_is_usual_lately(make: Callable[..., Observed]) -> None:
    observed = make()
    quiet = [quarter(number, {"sensor.küche": 1}, hour=12 + number // 4) for number in range(8)]
    busy = [
        quarter(number, {"sensor.küche": 10}, hour=7, weekday=1, month=12) for number in range(96 * 30, 96 * 30 + 4)
    ]

    observed.add([page(1, activity=quiet)])
    observed.add([page(2, activity=busy)])

    found = observed.pattern("home", "sensor.küche")
    assert found is not None
    assert (found.events, found.first_us, found.last_us) == (48, NOON_US, busy[-1].from_us)
    assert found.peak_hours == [7, 12, 13]
    assert (found.hours[7], found.hours[12], found.hours[13], sum(found.hours)) == (40, 4, 4, 48)
    assert (found.weekdays, found.months[10:]) == ([40, 0, 0, 0, 0, 8, 0], [8, 40])
    # Thirty days of silence and an hour of 40: about 40 of the last week's 168 hours.
    assert 40 / 175 < found.recent_per_hour < 41 / 160


def test_what_comes_late_is_counted_and_turns_no_clock_back(make: Callable[..., Observed]) -> None:
    observed = make()

    observed.add([page(1, activity=[quarter(100, {"a.b": 4})]), page(2, activity=[quarter(0, {"a.b": 2}, hour=3)])])

    found = observed.pattern("home", "a.b")
    assert found is not None
    assert (found.events, found.hours[3], found.first_us) == (6, 2, NOON_US)
    assert found.last_us == NOON_US + 100 * QUARTER_US
    assert observed.pattern("home", "c.d") is None
    assert observed.patterns("home") == [found]
    assert observed.patterns("other") == []


def test_no_more_is_kept_of_a_home_than_it_may_have(make: Callable[..., Observed]) -> None:
    observed = make(max_edges=10, max_patterns=5)
    many = [edge(1, at=number, target=f"light.{number}") for number in range(25)]
    some = [edge(1, at=number, target=f"light.{number}", kind="together") for number in range(3)]
    activity = [quarter(number, {f"sensor.{number}": 1}) for number in range(9)]

    observed.add([page(1, *many, *some, activity=activity)])
    observed.trim()

    kept = observed.load("home")
    assert {one.target for one in kept if one.kind == "controls"} == {f"light.{number}" for number in range(15, 25)}
    assert len([one for one in kept if one.kind == "together"]) == 3
    assert [observed.pattern("home", f"sensor.{number}") is not None for number in range(9)] == [False] * 4 + [True] * 5


def test_a_name_that_no_database_takes_costs_itself(make: Callable[..., Observed]) -> None:
    observed = make()

    observed.add(
        [page(1, edge(), edge(target="x." + "y" * 300), activity=[quarter(0, {"x." + "y" * 300: 1, "a.b": 1})])]
    )

    assert edge() in observed.load("home")
    assert observed.pattern("home", "a.b") is not None


@pytest.fixture(params=["memory", "valkey_server", "redis_server"])
def post(request: pytest.FixtureRequest) -> Iterator[Callable[..., ObservedPost]]:
    if request.param == "memory":
        yield MemoryObservedPost
        return
    state = connect_state(request.getfixturevalue(request.param).url)
    state.delete(PAGES)
    yield lambda **limits: RedisObservedPost(state, **limits)
    state.delete(PAGES)


def test_pages_wait_in_their_order_until_they_are_kept(post: Callable[..., ObservedPost]) -> None:
    waiting = post()
    pages = [page(number, edge(number), activity=[quarter(0, {"sensor.küche": 3})]) for number in range(1, 4)]

    assert all(waiting.put(one) for one in pages)
    found = waiting.waiting()
    waiting.confirm(found[:2])

    assert found == pages
    assert waiting.waiting() == pages[2:]


def test_no_more_pages_wait_than_may(post: Callable[..., ObservedPost]) -> None:
    waiting = post(most=3)

    assert [waiting.put(page(number)) for number in range(5)] == [True, True, True, False, False]
    assert len(waiting.waiting()) == 3


def test_what_is_no_page_is_let_go(valkey_server: ValkeyServer) -> None:
    state = connect_state(valkey_server.url)
    state.delete(PAGES)
    waiting = RedisObservedPost(state)
    state.rpush(PAGES, b"rubbish")
    waiting.put(page(1))

    assert waiting.waiting() == [page(1)]
    assert state.llen(PAGES) == 1
    state.delete(PAGES)
