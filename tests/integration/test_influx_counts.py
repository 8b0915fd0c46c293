"""Counting by hour with the answers of InfluxDB 2.x and 3.x, replayed: which statements go out, what comes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestor.settings import StorageSettings
from ingestor.storage.open import open_store
from ingestor.storage.port import HOUR_NS, HOUR_US, HourCount, StoredState
from tests.fakes import influx_answers as fakes
from tests.fakes.influx_answers import FakeInflux

HOUR = 1_795_230_000_000_000 // HOUR_US * HOUR_US


@pytest.fixture
def fake() -> Iterator[FakeInflux]:
    with fakes.serve() as server:
        yield server


def series(columns: list[str], *rows: list[Any]) -> dict[str, Any]:
    """A result as 2.x and 3.x answer InfluxQL: without `series` where nothing was found."""
    if not rows:
        return {"results": [{"statement_id": 0}]}
    found = {"name": "home_assistant_events", "columns": columns, "values": list(rows)}
    return {"results": [{"statement_id": 0, "series": [found]}]}


@pytest.mark.parametrize("version", ["influxdb2", "influxdb3"])
def test_hours_are_counted_for_all_and_then_for_each_source_until_none_is_left(fake: FakeInflux, version: str) -> None:
    def answer(statement: str) -> dict[str, Any]:
        if "other_events" in statement:
            return series(["time", "points"])
        source = re.search(r"\"source\" = '(\w+)'", statement)
        counts = {None: [5, 2], "websocket": [3, 2], "history": [1, 0]}.get(source and source[1], [0, 0])
        rows = [[(HOUR + number * HOUR_US) * 1000, count] for number, count in enumerate(counts) if count]
        return series(["time", "points"], *rows)

    fake.answer = answer
    options = "?org=o" if version == "influxdb2" else ""
    settings = StorageSettings.model_validate({"url": f"{version}://127.0.0.1:{fake.port}/events{options}"})
    store = open_store(settings, Path("unused"))

    found = store.count_by_hour("home", HOUR * 1000, HOUR * 1000 + 2 * HOUR_NS)
    store.close()

    assert found == [
        HourCount(HOUR, "state", "", 1),
        HourCount(HOUR, "state", "history", 1),
        HourCount(HOUR, "state", "websocket", 3),
        HourCount(HOUR + HOUR_US, "state", "websocket", 2),
    ]
    assert f"time >= {HOUR * 1000} AND time < {HOUR * 1000 + 2 * HOUR_NS} GROUP BY time(1h)" in fake.queries[0]
    assert sum("other_events" in statement for statement in fake.queries) == 1


@pytest.mark.parametrize("version", ["influxdb2", "influxdb3"])
def test_states_are_read_with_what_tells_them_apart(fake: FakeInflux, version: str) -> None:
    columns = ["time", "entity_id", "state", "source", "series"]
    fake.answer = lambda _: series(
        columns, [5, "light.new", "on", "websocket", "light.a"], [7, "light.a", None, None, "light.a"]
    )
    options = "?org=o" if version == "influxdb2" else ""
    settings = StorageSettings.model_validate({"url": f"{version}://127.0.0.1:{fake.port}/events{options}"})
    store = open_store(settings, Path("unused"))

    found = store.states_between("home", 0, 10, 100)
    store.close()

    assert found == [
        StoredState(5, "light.a", "light.new", "on", "websocket"),
        StoredState(7, "light.a", "light.a", None, ""),
    ]
