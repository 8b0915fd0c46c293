"""The contract of adding up hours in the store: what each answers, held against the plain way of the memory store."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ingestor.events.event import Event, Place
from ingestor.events.point import Point
from ingestor.settings import StorageSettings
from ingestor.storage import influx_hours
from ingestor.storage.memory import MemoryStore
from ingestor.storage.open import open_store
from ingestor.storage.port import HOUR_NS, HOUR_US, Store
from ingestor.storage.schema import PointBuilder, point_time_ns
from ingestor.storage.series_hours import SeriesHour, StoredValue
from tests.servers_stores import InfluxDB, configured_influxdb

T0_US = 1_800_000_000_000_000 // HOUR_US * HOUR_US
SETTINGS = StorageSettings.model_validate({"extra_fields": ["receive_delay"]})


@dataclass
class Both:
    """A store, its plain twin, and a home of its own."""

    store: Store
    twin: MemoryStore
    home: str

    def write(self, *events: tuple[Event, Place]) -> None:
        builder = PointBuilder(SETTINGS)
        points: list[Point] = []
        for event, place in events:
            points += builder.points(event, place, self.home, point_time_ns(event))
        for store in (self.store, self.twin):
            result = store.write(points)
            assert (result.written, result.rejected) == (len(points), [])

    def hours(self, store: Store, since_us: int = 0, until_us: int = HOUR_US) -> list[SeriesHour]:
        return sorted(store.series_hours(self.home, (T0_US + since_us) * 1000, (T0_US + until_us) * 1000))

    def values(self, store: Store, *series: str) -> list[StoredValue]:
        return list(store.values_of(self.home, series, T0_US * 1000, T0_US * 1000 + HOUR_NS))


CONFIGURED = configured_influxdb()


@pytest.fixture(params=["embedded", "influxdb1", *(["configured"] if CONFIGURED else [])])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Both]:
    url, token = "sqlite://", ""
    if request.param == "configured" and CONFIGURED:
        url, token = CONFIGURED
    if request.param == "influxdb1":
        server: InfluxDB = request.getfixturevalue("influxdb")
        url = f"influxdb1://127.0.0.1:{server.port}/hours_{uuid.uuid4().hex[:8]}"
    store = open_store(StorageSettings.model_validate({"url": url, "token": token or None}), tmp_path)
    yield Both(store, MemoryStore(), f"t{uuid.uuid4().hex[:12]}")
    store.close()


def state(at_us: int, value: str | None, entity: str = "sensor.a", **more: Any) -> Event:
    try:
        number = float(value or "")
    except ValueError:
        number = None
    fields = {
        "slot": 0,
        "kind": "state",
        "event_type": "state_changed",
        "subject": entity,
        "entity_id": entity,
        "time_us": T0_US + at_us,
        "received_ns": (T0_US + at_us + 20_000) * 1000,
        "source": "websocket",
        "identity": 42,
        "state": value,
        "value": number,
        "available": value not in (None, "unavailable", "unknown"),
        "unit": "°C" if number is not None else None,
        **more,
    }
    return Event(**fields)


def place(series: str = "sensor.a", **more: Any) -> Place:
    return Place(series, "sensor", **more)


def told(both: Both) -> None:
    """An hour of three entities with everything that is added up: jumps, absence, sources, an area that changes."""
    chance, before = random.Random(3), None
    events: list[tuple[Event, Place]] = []
    for index in range(120):
        value = "unavailable" if index in (0, 40, 41) else "unknown" if index == 60 else f"{chance.gauss(1e6, 3):.1f}"
        more: dict[str, Any] = {"previous_state": before, "source": "history" if index % 9 == 0 else "websocket"}
        if index == 50:
            more["extras"] = {"repaired_by": "decimal_comma"}
        events.append((state(index * 29_000_000, value, **more), place(area="kitchen" if index < 60 else "hall")))
        before = value
    events += [
        (state(5, "on", "light.it's", unit=None), place("light.it's")),
        (state(9, None, "x.gone"), place("x.gone")),
    ]
    events.append((state(HOUR_US + 1, "7"), place()))
    both.write(*events)


def test_an_hour_is_added_up_by_series_as_the_plain_way_does_it(both: Both) -> None:
    told(both)

    found, plain = both.hours(both.store), both.hours(both.twin)

    assert [one.series for one in found] == ["light.it's", "sensor.a", "x.gone"]
    for one, expected in zip(found, plain, strict=True):
        for name in SeriesHour._fields:
            if name not in ("mean", "deviation", "delays_s"):
                assert getattr(one, name) == getattr(expected, name), name
        assert one.mean == pytest.approx(expected.mean)
        assert (one.deviation or 0) == pytest.approx(expected.deviation or 0, rel=1e-6)
        assert one.delays_s == pytest.approx(expected.delays_s)


@pytest.mark.parametrize("reads_below", [influx_hours.READS_BELOW, 0])
def test_several_hours_are_added_up_at_once_as_each_alone(
    both: Both, reads_below: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An InfluxDB reads them where each series has few states, and adds them up itself where they have many."""
    monkeypatch.setattr(influx_hours, "READS_BELOW", reads_below)
    told(both)
    both.write(*[(state(3 * HOUR_US + at, str(value)), place()) for at, value in ((0, 9), (9_000_000, 8), (1, 10))])
    hours = [T0_US * 1000 + number * HOUR_NS for number in range(5)]

    found = list(both.store.hours_by_series(both.home, hours[0], hours[-1] + HOUR_NS))

    assert [hour_ns for hour_ns, _ in found] == hours
    for hour_ns, at_once in found:
        alone = sorted(both.store.series_hours(both.home, hour_ns, hour_ns + HOUR_NS))
        for one, expected in zip(sorted(at_once), alone, strict=True):
            assert _but_for_rounding(one) == _but_for_rounding(expected)
            assert [one.mean or 0, one.deviation or 0] == pytest.approx([expected.mean or 0, expected.deviation or 0])
    assert [len(hour) for _, hour in found] == [3, 1, 0, 1, 0]
    assert [(one.falls, one.longest_s) for one in found[3][1]] == [(1, 8.999999)]


def _but_for_rounding(hour: SeriesHour) -> SeriesHour:
    return hour._replace(mean=None, deviation=None)


def test_chosen_series_are_added_up_alone_and_all_are_counted(both: Both) -> None:
    told(both)
    span = (both.home, T0_US * 1000, T0_US * 1000 + HOUR_NS)

    counted = both.store.states_by_series(*span)
    chosen = both.store.series_hours(*span, ["light.it's", "sensor.a", "sensor.nobody"])

    assert counted == {"sensor.a": 120, "light.it's": 1, "x.gone": 1} == both.twin.states_by_series(*span)
    assert sorted(chosen) == [one for one in both.hours(both.store) if one.series != "x.gone"]


def test_what_is_added_up_is_of_its_home_and_time_alone(both: Both) -> None:
    told(both)

    later = both.hours(both.store, HOUR_US, 2 * HOUR_US)

    assert [(one.series, one.states, one.first, one.last, one.deviation) for one in later] == [
        ("sensor.a", 1, 7.0, 7.0, None)
    ]
    assert both.store.series_hours("another", T0_US * 1000, T0_US * 1000 + HOUR_NS) == []


def test_the_states_of_chosen_series_come_oldest_first_with_what_is_known_of_each(both: Both) -> None:
    told(both)

    found = both.values(both.store, "sensor.a", "light.it's")

    assert sorted(found) == sorted(both.values(both.twin, "sensor.a", "light.it's"))
    assert [one.time_ns for one in found if one.series == "sensor.a"] == sorted(
        one.time_ns for one in found if one.series == "sensor.a"
    )
    assert both.values(both.store) == []
