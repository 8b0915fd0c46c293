"""The road to a real InfluxDB 1.6 that is away, busy, or refuses us: all is kept, said, and written afterwards."""

from __future__ import annotations

import urllib.parse
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from ingestor import bootstrap
from ingestor.api.health import checks_for
from ingestor.api.overview import Observer
from ingestor.api.side_by_side import NotWell
from ingestor.events.point import FieldValue, Point
from ingestor.settings import StorageSettings
from ingestor.storage.breaker import BreakerState
from ingestor.storage.influx import InfluxStore
from ingestor.storage.open import open_store
from ingestor.storage.port import EventQuery
from tests.chaos.proxy import Mood, Proxy
from tests.conftest import StartServer
from tests.integration.real_workers import Road
from tests.servers import wait_until
from tests.servers_brokers import RedisServer
from tests.servers_stores import InfluxDB, get

STATES = "home_assistant_events"
TAGS = (("domain", "sensor"), ("home", "home"), ("series", "sensor.x"))


@pytest.fixture
def state_url(redis_server: RedisServer) -> str:
    url = redis_server.url.removesuffix("/0") + "/6"
    redis.Redis.from_url(url).flushdb()
    return url


def breaker(road: Road) -> BreakerState:
    return bootstrap.open_breaker(bootstrap.open_state(road.settings)).read()


def ask(influx: InfluxDB, statement: str) -> None:
    query = urllib.parse.urlencode({"q": statement})
    assert get(f"{influx.url}/query?u=admin&p=admin", data=query.encode()) == 200, statement


def test_a_store_that_is_away_then_busy_is_waited_for_and_then_has_everything(
    influxdb: InfluxDB, state_url: str, tmp_path: Path
) -> None:
    database = influxdb.create_database("outage")
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy(influxdb.port))
        storage = StorageSettings(url=f"influxdb1://127.0.0.1:{proxy.port}/{database}")
        road = Road(stack, tmp_path / "road", state_url, state_url, storage=storage)
        road.start_workers()
        road.add("before")
        road.settle(60)
        proxy.mood = Mood("refuse")

        road.add(*(f"away {number}" for number in range(200)))
        wait_until(lambda: breaker(road).phase == "open", timeout_s=60, what="the breaker opens")
        proxy.mood = Mood("429", 3)
        wait_until(lambda: "429" in breaker(road).detail, timeout_s=60, what="a try hears 429")
        asked = proxy.seen.requests
        wait_until(lambda: breaker(road).next_try_in_s < 1.5, timeout_s=60, what="half of what it asked for passes")
        held = proxy.seen.requests
        proxy.mood = Mood()

        road.settle(60)
        assert held - asked <= 1, "nobody asks while the store wants to be left alone"
        assert road.stored() == sorted(road.sent)
        assert road.quarantined() == []
        assert breaker(road).phase == "closed"


def test_a_refused_password_and_a_dropped_database_hold_all_and_recover_by_themselves(
    start_server: StartServer, state_url: str, tmp_path: Path
) -> None:
    influx = start_server(InfluxDB, settings={"INFLUXDB_HTTP_AUTH_ENABLED": "true"})
    create = urllib.parse.urlencode({"q": "CREATE USER admin WITH PASSWORD 'admin' WITH ALL PRIVILEGES"})
    assert get(f"{influx.url}/query", data=create.encode()) == 200
    for statement in ("CREATE DATABASE d", "CREATE USER u WITH PASSWORD 'right'", "GRANT ALL ON d TO u"):
        ask(influx, statement)
    with ExitStack() as stack:
        storage = StorageSettings.model_validate({"url": f"influxdb1://127.0.0.1:{influx.port}/d", "token": "u:right"})
        road = Road(stack, tmp_path / "road", state_url, state_url, storage=storage)
        road.start_workers()
        road.add("before")
        road.settle(60)

        ask(influx, "SET PASSWORD FOR u = 'other'")
        road.add("with the wrong password")
        wait_until(lambda: breaker(road).refused, timeout_s=60, what="the refusal is known")
        assert "storage.token" in breaker(road).sentence()
        with pytest.raises(NotWell, match=r"refuses every write, and all of it is kept.*storage\.token"):
            checks_for(road.settings)["store"]()
        observer = Observer(road.settings)
        stack.callback(observer.close)
        assert (seen := observer.read().store) is not None
        assert seen.refused
        assert road.pending() > 0

        ask(influx, "SET PASSWORD FOR u = 'right'")
        road.settle(60)
        ask(influx, "DROP DATABASE d")
        road.add("without a database")
        wait_until(lambda: breaker(road).refused, timeout_s=60, what="the missing database is known")
        ask(influx, "CREATE DATABASE d")
        ask(influx, "GRANT ALL ON d TO u")  # went with the database
        road.settle(60)

        assert road.stored() == ["without a database"]
        assert road.quarantined() == []
        assert road.log().count('"store_refuses"') == 2


def conflicting(influx: InfluxDB, name: str) -> str:
    """Return the address of a database whose field `value` holds whole numbers since 2026-01-02."""
    body = f"{STATES},series=sensor.old value=1i 1767312000000000000".encode()
    database = influx.create_database(name)
    assert get(f"{influx.url}/write?db={database}", data=body) == 204
    return f"influxdb1://127.0.0.1:{influx.port}/{database}"


def points() -> list[Point]:
    fields: list[dict[str, FieldValue]] = [{"value": 21.5, "state": "21.5"}, {"state": "warm"}]
    return [Point(STATES, TAGS, dict(one), 1767312000000000000 + n + 1, n) for n, one in enumerate(fields)]


def test_a_value_of_another_type_is_refused_with_who_what_and_since_when(influxdb: InfluxDB) -> None:
    store = open_store(StorageSettings(url=conflicting(influxdb, "conflict_quarantine")), Path("unused"))

    result = store.write(points())

    assert [(fault.index, fault.reason) for fault in result.rejected] == [(0, "field_type_conflict")]
    assert result.rejected[0].detail.startswith(
        "`sensor.x` wrote a number to `value`, which is a whole number in `home_assistant_events`"
        " since 2026-01-02 00:00:00 UTC"
    )


def test_a_value_of_another_type_goes_to_the_field_beside_and_is_read_under_its_own_name(influxdb: InfluxDB) -> None:
    url = conflicting(influxdb, "conflict_sibling")
    store = open_store(StorageSettings(url=url, on_type_conflict="sibling"), Path("unused"))

    results = [store.write(points()) for _ in range(2)]

    assert [(result.rejected, result.repaired) for result in results] == [([], 1), ([], 1)]
    events = list(store.read(EventQuery(entity="sensor.x")))
    assert [event.fields for event in events] == [{"state": "warm"}, {"value": 21.5, "state": "21.5"}]
    assert isinstance(store, InfluxStore)
    raw = store.query(f'SELECT "value_float" FROM "{STATES}"')
    assert [row["value_float"] for row in raw] == [21.5]
