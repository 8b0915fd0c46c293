"""What every store says when nobody answers, or when who answers refuses our credentials."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingestor import errors
from ingestor.events.event import Event, Place
from ingestor.events.point import Point
from ingestor.settings import StorageSettings
from ingestor.storage.memory import MemoryStore
from ingestor.storage.open import open_store
from ingestor.storage.port import HOUR_NS, EventQuery, Store
from ingestor.storage.schema import PointBuilder, point_time_ns
from tests.servers import free_port
from tests.servers_stores import InfluxDB, configured_influxdb

T0_US = 1_795_229_244_000_000


def one_point() -> list[Point]:
    event = Event(0, "state", "state_changed", "sensor.a", "sensor.a", T0_US, 0, "websocket", 1, state="21.5")
    return PointBuilder(StorageSettings()).points(event, Place("sensor.a", "sensor"), "home", point_time_ns(event))


def open_url(url: str, token: str = "", folder: Path = Path("unused")) -> Store:
    return open_store(StorageSettings.model_validate({"url": url, "token": token or None}), folder)


def _away(kind: str, folder: Path) -> Store:
    if kind == "memory":
        store = MemoryStore()
        store.away = True
        return store
    if kind == "embedded":
        (folder / "in the way").write_text("a file")
        return open_url("sqlite://", folder=folder / "in the way")
    options = "?org=o" if kind == "influxdb2" else ""
    return open_url(f"{kind}://127.0.0.1:{free_port()}/x{options}", "token")


@pytest.mark.parametrize("kind", ["memory", "embedded", "influxdb1", "influxdb2", "influxdb3"])
@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.write(one_point()),
        lambda store: list(store.read(EventQuery())),
        lambda store: store.check(),
        lambda store: store.check(write=True),
        lambda store: store.count_by_hour("home", 0, HOUR_NS),
        lambda store: store.states_between("home", 0, HOUR_NS, 1),
        lambda store: store.moments_between("home", 0, HOUR_NS),
        lambda store: store.series_hours("home", 0, HOUR_NS),
        lambda store: list(store.hours_by_series("home", 0, HOUR_NS)),
    ],
    ids=["write", "read", "check", "check write", "count", "states", "moments", "an hour", "hours"],
)
def test_a_store_that_is_away_is_unavailable(kind: str, use: Callable[[Store], object], tmp_path: Path) -> None:
    store = _away(kind, tmp_path)

    with pytest.raises(errors.StoreUnavailable):
        use(store)

    store.close()


def test_wrong_credentials_are_refused(start_server: Any) -> None:
    server = start_server(InfluxDB, settings={"INFLUXDB_HTTP_AUTH_ENABLED": "true"})
    root = open_url(f"influxdb1://127.0.0.1:{server.port}/home", "root:secret")
    root._request("POST", "/query", params={"q": "CREATE USER root WITH PASSWORD 'secret' WITH ALL PRIVILEGES"})  # type: ignore[attr-defined]  # the adapter's own door to the server
    points = one_point()

    for token in ("root:wrong", "nobody:secret", ""):
        stranger = open_url(f"influxdb1://127.0.0.1:{server.port}/home", token)
        with pytest.raises(errors.StoreRefused, match=r"storage\.token"):
            stranger.write(points)
        with pytest.raises(errors.StoreRefused):
            list(stranger.read(EventQuery()))
        with pytest.raises(errors.StoreRefused):
            stranger.check(write=True)

    assert root.write(points).written == 1
    assert len(list(root.read(EventQuery()))) == 1


@pytest.mark.skipif(configured_influxdb() is None, reason="HA_INGESTOR_TEST_INFLUXDB_URL names no InfluxDB")
def test_a_configured_server_refuses_a_wrong_token() -> None:
    url, _ = configured_influxdb() or ("", "")
    store = open_url(url, "not-the-token")

    with pytest.raises(errors.StoreRefused):
        store.write(one_point())
