"""What was lost behind our back is named by hour and number, and read back from a home's history: on real stores."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from ingestor.demo.home import DemoHome
from ingestor.demo.running import RunningDemo, running_demo
from ingestor.settings import StorageSettings
from ingestor.storage.open import open_store
from ingestor.storage.port import HOUR_US, Store, StoredState
from ingestor.storage.reconciled import HourState
from tests.integration.reconcile_home import BEGIN_US, HOME, SETTLE_US, Line, Listener, Reconciling, past_home
from tests.servers_stores import InfluxDB

NEXT_US = BEGIN_US + HOUR_US


@dataclass
class Bench:
    """A home with an hour and a quarter behind it, all of it stored; `delete` removes states behind our back."""

    demo: RunningDemo
    listener: Listener
    store: Store
    delete: Callable[[list[StoredState]], None]
    of: Reconciling

    def states(self, since_us: int = BEGIN_US, until_us: int = NEXT_US) -> list[StoredState]:
        return sorted(self.store.states_between(HOME, since_us * 1000, until_us * 1000, 1_000_000))

    def live(self, seconds: float) -> None:
        self.listener.live(self.demo.control, seconds)


@pytest.fixture(params=["embedded", "influxdb1"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "embedded":
        url, delete = "sqlite://", _delete_in_file(tmp_path / "events.sqlite")
    else:
        server: InfluxDB = request.getfixturevalue("influxdb")
        database = f"reconcile_{uuid.uuid4().hex[:8]}"
        url, delete = f"influxdb1://127.0.0.1:{server.port}/{database}", _delete_in_influxdb(server, database)
    store = open_store(StorageSettings.model_validate({"url": url}), tmp_path)
    home = past_home()
    line = Line(store)
    listener = Listener(home, line)
    with running_demo(home) as demo:
        of = Reconciling(line, demo.url, demo.token, now_us=NEXT_US + SETTLE_US)
        made = Bench(demo, listener, store, delete, of)
        demo.control.call(DemoHome.begin)
        made.live(4500)
        yield made
    store.close()


def _delete_in_file(path: Path) -> Callable[[list[StoredState]], None]:
    def delete(states: list[StoredState]) -> None:
        with sqlite3.connect(path) as connection:
            for state in states:
                connection.execute(
                    "DELETE FROM states WHERE time_ns = ? AND series_id IN (SELECT id FROM series WHERE series = ?)",
                    (state.time_ns, state.series),
                )
        connection.close()

    return delete


def _delete_in_influxdb(server: InfluxDB, database: str) -> Callable[[list[StoredState]], None]:
    def delete(states: list[StoredState]) -> None:
        for state in states:
            # Noted as tombstones: it must take the same points again afterwards.
            statement = (
                f"DELETE FROM home_assistant_events WHERE \"series\" = '{state.series}' AND time = {state.time_ns}"
            )
            answer = requests.post(f"{server.url}/query", params={"db": database, "q": statement}, timeout=20)
            assert answer.json() == {"results": [{"statement_id": 0}]}

    return delete


def test_what_was_deleted_is_named_and_numbered_read_back_and_not_missing_any_more(bench: Bench) -> None:
    before = bench.states()
    lost = before[10 : len(before) : len(before) // 20]
    bench.delete(lost)
    bench.of.line.forget()

    bench.of.run()
    found = bench.of.hour()
    (gap,) = bench.of.fill()
    bench.of.run()
    after = bench.of.hour()
    bench.of.reconciler().again(BEGIN_US)
    bench.of.run()

    assert len(lost) >= 20
    assert (found.state, found.hour_us, found.missing) == (HourState.REPAIRING, BEGIN_US, len(lost))
    assert (found.expected or 0) - (found.stored or 0) == len(lost)
    assert sum(found.entities.values()) == len(lost)
    assert set(found.entities) == {state.entity_id for state in lost}
    assert (gap.reason, set(gap.entities)) == ("reconcile", set(found.entities))
    assert (after.state, after.missing, after.repaired) == (HourState.COMPLETE, 0, len(lost))
    assert [state[:4] for state in bench.states()] == [state[:4] for state in before]
    assert {state.source for state in bench.states() if state[:4] in {one[:4] for one in lost}} == {"history"}
    assert (bench.of.hour().state, bench.of.hour().missing) == (HourState.COMPLETE, 0)


def test_what_was_never_heard_is_found_by_history_though_the_ledger_agrees_with_the_store(bench: Bench) -> None:
    bench.live(900)
    bench.listener.deaf = True
    bench.live(600)
    bench.listener.deaf = False
    bench.live(2400)
    bench.of.now_us = NEXT_US + HOUR_US + SETTLE_US

    bench.of.run()
    found = bench.of.hour(NEXT_US)
    bench.of.fill()
    bench.of.run()
    after = bench.of.hour(NEXT_US)

    assert (found.state, found.expected) == (HourState.REPAIRING, found.stored)
    assert found.missing > 100
    assert (after.state, after.missing, after.repaired) == (HourState.COMPLETE, 0, found.missing)
    assert bench.of.hour().state is HourState.COMPLETE
    (summary,) = bench.of.hours.summaries()
    assert (summary.until_us, summary.missing, summary.repaired) == (NEXT_US + HOUR_US, 0, found.missing)
