"""What is learned of attributes and clocks is kept and told alike by every database and state server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from ingestor.events.event import Event, EventBatch, Settled
from ingestor.quality.arrivals import Arrivals
from ingestor.quality.attributes import Learned, look_at
from ingestor.quality.attributes_store import LearnedAttributes, SharedAttributes
from ingestor.quality.clocks import HomeClocks
from ingestor.quality.hours import HOUR_US, lag_bucket
from ingestor.queue.state import connect_state
from ingestor.storage.database import open_database
from tests.servers import free_port
from tests.servers_stores import PostgreSQL

T_US = 1_795_229_244_000_000


@pytest.fixture
def home() -> str:
    return f"home-{uuid.uuid4().hex[:12]}"


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    url = f"sqlite:///{tmp_path / 'metadata.sqlite'}"
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.create_database(f"learned_{uuid.uuid4().hex[:8]}")
    made = open_database(url)
    yield made
    made.dispose()


def test_what_was_learned_of_a_home_is_kept_whole_and_replaced(engine: sa.Engine, home: str) -> None:
    kept, learned = LearnedAttributes(engine), Learned()
    assert kept.load(home) == Learned()

    for number in range(2):
        look_at(learned, [{"entity_id": "light.lamp", "attributes": {"icon": "mdi:lamp", "number": number}}])
        kept.save(home, learned)

    assert kept.load(home) == learned
    assert kept.load("other") == Learned()


@pytest.fixture(params=["valkey_server", "redis_server"])
def state(request: pytest.FixtureRequest) -> Any:
    return connect_state(request.getfixturevalue(request.param).url)


def test_workers_hear_within_a_minute_what_to_leave_out(state: Any, home: str) -> None:
    now_s = [0.0]
    worker = SharedAttributes(state, clock=lambda: now_s[0])
    assert worker.names(home) == {}

    SharedAttributes(state).put(home, {"light": frozenset({"icon"})})

    assert worker.names(home) == {}
    now_s[0] += 60
    assert worker.names(home) == {"light": {"icon"}}


def test_how_late_events_were_heard_and_which_came_twice_is_counted_by_entity_and_hour(state: Any, home: str) -> None:
    now_s = [0.0]
    worker, judge = Arrivals(state, clock=lambda: now_s[0]), Arrivals(state)
    prompt, late, again = heard(20_000), heard(90_000_000), heard(20_000)
    read_back = heard(10**12, source="history")
    events = [prompt, late, again, read_back]
    for slot, event in enumerate(events):
        event.slot, event.kind = slot, "state"
    hour_us = T_US // HOUR_US * HOUR_US

    for _ in range(2):
        worker.watch(EventBatch("b", home, "websocket", "j", 0, 4, events), [Settled("duplicate", [2])])
        assert judge.of_hour(home, hour_us).duplicates == {}
        now_s[0] += 119
    worker.watch(EventBatch("c", home, "websocket", "j", 0, 1, [prompt] * 40), [])

    found = judge.of_hour(home, hour_us)
    assert found.duplicates == {"a.b": 2}
    assert {bucket: count for bucket, count in enumerate(found.lags["a.b"]) if count} == {
        lag_bucket(20): 2 + 2 + 40,
        lag_bucket(90_000): 2,
    }
    assert judge.of_hour(home, hour_us - HOUR_US).lags == {}


def test_a_server_that_is_away_costs_the_sketch_and_no_batch(home: str) -> None:
    now_s = [0.0]
    nobody = connect_state(f"redis://127.0.0.1:{free_port()}/0")
    worker = Arrivals(nobody, clock=lambda: now_s[0])
    now_s[0] += 500

    with capture_logs() as told:
        for _ in range(3):
            worker.watch(EventBatch("b", home, "websocket", "j", 0, 1, [heard(0)]), [])

    # Asked once: the two batches behind it are not held up by a server that was away a moment ago.
    assert [(one["event"], one["counts"]) for one in told] == [("arrivals_not_told", 1)]


def heard(delay_us: int, source: str = "websocket") -> Event:
    at: dict[str, Any] = {"time_fired_us": T_US}
    return Event(0, "state", "state_changed", "a.b", "a.b", T_US, (T_US + delay_us) * 1000, source, 1, **at)


def test_a_clock_that_is_ahead_is_seen_by_the_quickest_event_of_some_minutes(state: Any, home: str) -> None:
    now_s = [1000.0]
    clocks = HomeClocks(state, clock=lambda: now_s[0], wall=lambda: now_s[0])
    for delay_us in (-2_900_000, -2_998_000, 40_000_000):
        clocks.watch(home, heard(delay_us))
        now_s[0] += 10
    clocks.watch(home, heard(-99_000_000, source="history"))

    assert clocks.ahead_s()[home] == 2.998
    for _ in range(2):
        now_s[0] += 300
        clocks.watch(home, heard(1_000))
    assert clocks.ahead_s()[home] == -0.001
    now_s[0] += 1000
    assert home not in clocks.ahead_s()
