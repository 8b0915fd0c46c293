"""InfluxDB 2.x and 3.x are read as 1.x is: the same InfluxQL over `/query`, answered here by a real 1.6."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from ingestor.events.point import StoredEvent
from ingestor.storage.influxdb1 import InfluxDB1Store
from ingestor.storage.port import EventPosition, EventQuery, Store, position_of
from ingestor.storage.windows import WindowQuery
from tests.contract.test_store_contract import T0_US, Bench, called, open_url, place, state
from tests.fakes import influx_answers as fakes
from tests.servers_stores import InfluxDB

VERSIONS = ["influxdb2", "influxdb3"]


@pytest.fixture(scope="module")
def filled(influxdb: InfluxDB) -> Iterator[Bench]:
    store = open_url(f"influxdb1://127.0.0.1:{influxdb.port}/reading_{uuid.uuid4().hex[:8]}")
    bench = Bench(store, "home")
    rows = [
        (state(at_us, f"{number}", f"sensor.n{number}"), place(f"sensor.n{number}", area="Kitchen"))
        for at_us in (0, 5)
        for number in range(9)
    ]
    bench.write_events(*rows, (called(5, identity=42), place("call_service:sensor.n1")))
    yield bench
    store.close()


@pytest.fixture(params=VERSIONS)
def other(request: pytest.FixtureRequest, filled: Bench, influxdb: InfluxDB) -> Iterator[Store]:
    assert isinstance(filled.store, InfluxDB1Store)
    database = filled.store._address.database

    def answer(statement: str) -> dict[str, Any]:
        params = {"db": database, "epoch": "ns"}
        found: dict[str, Any] = requests.post(
            f"{influxdb.url}/query", params=params, data={"q": statement}, timeout=60
        ).json()
        return found

    with fakes.serve() as fake:
        fake.answer = answer
        options = "?org=home" if request.param == "influxdb2" else ""
        store = open_url(f"{request.param}://127.0.0.1:{fake.port}/events{options}", "secret", timeout_s=12)
        yield store
        store.close()


def walked(store: Store, limit: int, **query: Any) -> list[StoredEvent]:
    found: list[StoredEvent] = []
    after: EventPosition | None = None
    while page := list(store.read(EventQuery(home="home", limit=limit, after=after, **query))):
        found += page
        after = position_of(page[-1])
    return found


@pytest.mark.parametrize("query", [{}, {"tags": (("area", ("Kitchen",)),)}, {"series": ("sensor.n1", "sensor.n2")}])
def test_pages_are_those_of_version_1(filled: Bench, other: Store, query: dict[str, Any]) -> None:
    expected = filled.read(**query)

    assert len(expected) > 4
    assert walked(other, 4, **query) == expected


def test_windows_are_those_of_version_1_also_of_many_series(filled: Bench, other: Store) -> None:
    names = tuple(f"sensor.n{number}" for number in range(900))
    query = WindowQuery("home", names, T0_US * 1000, T0_US * 1000 + 10**9, 10**9)

    found = other.windows(query)

    assert found == filled.store.windows(query)
    assert [one.states for one in found] == [2] * 9
