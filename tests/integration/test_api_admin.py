"""The endpoints of administration: figures, newest states, settings that are changed as a whole or not at all."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestor import bootstrap
from ingestor.api.health import Component, Health
from ingestor.api.health_answer import health_object
from ingestor.api.means import Means
from ingestor.api.stats import Stats, StatsWatch
from ingestor.events.counts import Counts, Page, hour_of
from ingestor.events.point import Point
from ingestor.queue.pools import POOLS
from ingestor.settings import Settings
from ingestor.settings_writing import SettingsFile
from ingestor.storage.schema import CONTEXT
from tests.integration.api_bench import KEY, T0_US, ApiBench, api_bench, called, state
from workers.plan import make

HOUR_S = 3600
NOW_S = hour_of(T0_US * 1000) + 15 * 60
OURS = {"Origin": "http://127.0.0.1:8080"}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiBench]:
    with api_bench(tmp_path) as bench:
        yield bench


def put(api: ApiBench, status: int = 200, headers: dict[str, str] | None = None, **change: Any) -> Any:
    answer = api.client.put("/api/config", json=change, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_the_figures_come_from_the_ledger_and_the_newest_event(tmp_path: Path) -> None:
    means = Means(Settings.model_validate({"data_dir": tmp_path, "broker": {"url": "redis://127.0.0.1:1/0"}}))
    hour_s = hour_of(NOW_S * 10**9)
    hours = {
        hour_s: Counts(frames=10, settled=10, received=10, written=9, rejected=1),
        hour_s - HOUR_S: Counts(frames=40, settled=40, received=40, written=40),
        hour_s - 25 * HOUR_S: Counts(frames=500, settled=500, received=500, rejected=500),
    }
    bootstrap.open_ledger(means.settings).add([Page("book", 1, "home", "mqtt", "j", hours, {})])

    found = StatsWatch(means, clock=lambda: NOW_S).read()

    assert found.events_per_hour == 10 + 40 * 0.75
    assert found.error_rate == 2.0
    assert found.total_events_today in (10, 50)  # by whether midnight, where this runs, was within the hour
    assert found.last_event_time is None


def test_figures_that_are_not_known_are_null_and_hold_nobody_up(api: ApiBench) -> None:
    assert api.get("/api/stats").keys() == {"events_per_hour", "total_events_today", "last_event_time", "error_rate"}
    api.write(state(0, "light.a"))
    with api_bench(api.settings.data_dir / "x", {"storage": {"url": "influxdb1://127.0.0.1:1/x"}}) as away:
        assert away.get("/api/stats")["last_event_time"] is None


def test_health_keeps_what_it_told_and_says_it_in_the_dashboards_words(api: ApiBench) -> None:
    found = api.client.get("/api/health").json()

    assert {"status", "components"} < found.keys()
    assert found["service_status"].keys() == {"websocket_client", "enrichment_service", "influxdb", "weather_api"}
    assert found["connection_status"] == {"connected": False, "last_reconnect": None, "reconnect_count": 0}
    assert found["event_stats"].keys() == api.get("/api/stats").keys()


def test_a_service_is_as_healthy_as_its_component_and_connections_are_counted() -> None:
    parts = tuple(Component(name, ok, "") for name, ok in (("listeners", True), ("workers", False), ("store", True)))
    board = {
        "listener:a": {"kind": "websocket", "connected": True, "connections": 3, "up_since_ns": T0_US * 1000},
        "listener:b": {"kind": "mqtt", "connected": False},
        "worker:x": {},
    }

    told = health_object(Health(parts), Stats(), board)

    assert told["service_status"] == {
        "websocket_client": "healthy",
        "enrichment_service": "unhealthy",
        "influxdb": "healthy",
        "weather_api": "unhealthy",
    }
    assert told["connection_status"] == {
        "connected": True,
        "last_reconnect": "2026-11-21T02:47:24.000000000Z",
        "reconnect_count": 2,
    }


def test_recent_states_have_the_weather_of_their_time(api: ApiBench) -> None:
    where = {"device_class": "temperature"}
    extras = {"outdoor_temperature": 3.5}
    event = state(60, "sensor.a", "21.5", place=where, unit="°C", previous_state="21", extras=extras)
    api.write(event, state(61, "light.b"), called(62, "light.b"))
    moment: dict[str, Any] = {"outdoor_humidity": 80.0, "outdoor_condition": "rainy", "outdoor_temperature": 4.0}
    store = bootstrap.open_store(api.settings)
    store.write([Point(CONTEXT, (("home", "home"),), moment, T0_US * 1000)])
    store.close()

    found = api.get("/api/events/recent")

    assert [one["entity_id"] for one in found] == ["light.b", "sensor.a"]
    assert found[1] == {
        "entity_id": "sensor.a",
        "domain": "sensor",
        "device_class": "temperature",
        "state_value": "21.5",
        "previous_state": "21",
        "timestamp": "2026-11-21T02:48:24.000000042Z",
        "weather_data": {
            "temperature": 3.5,
            "humidity": 80.0,
            "pressure": None,
            "condition": "rainy",
            "timestamp": None,
        },
        "attributes": {"unit_of_measurement": "°C"},
    }
    assert [one["entity_id"] for one in api.get("/api/events/recent", entity_id="sensor.*", limit=5)] == ["sensor.a"]


def test_a_hundred_recent_states_are_told_unless_more_are_asked_for(api: ApiBench) -> None:
    api.write(*(state(second, "light.a") for second in range(130)))

    assert len(api.get("/api/events/recent")) == 100
    assert len(api.get("/api/events/recent", limit=120)) == 120
    api.get("/api/events/recent", 422, limit=1001)


def test_a_change_is_written_told_and_says_who_must_start_again(api: ApiBench) -> None:
    file = api.settings.data_dir / "ha-ingestor.toml"
    file.write_text("# mine\n[weather]\ncache_minutes = 20 # often enough\n")
    file.chmod(0o640)

    changed = put(api, ha_url="http://ha.local:8123", ha_token="a-long-secret-token", weather_location="52.5,-13.25")

    assert changed == api.get("/api/config")
    assert (changed["ha_url"], changed["ha_token_masked"]) == ("http://ha.local:8123", "****oken")
    assert (changed["weather_location"], changed["weather_cache_minutes"]) == ("52.5,-13.25", 20.0)
    assert (changed["retention_days"], changed["weather_api_key_masked"]) == (None, None)
    assert changed["needs_restart"] == ["listeners", "workers"]
    assert "a-long-secret-token" not in json.dumps(changed)
    assert "# mine" in file.read_text()
    assert "# often enough" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [one.name for one in file.parent.glob(".ha-ingestor*toml*")] == []


def test_each_setting_says_whether_it_is_applied_or_who_must_start_again(api: ApiBench) -> None:
    further = {"log.level": "debug", "quality.future_s": 60, "workers.pools.enrich.nodes": 2}

    changed = put(api, retention_days=30, ha_url="http://ha.local:8123", settings=further)

    assert changed["retention_days"] == 30
    assert changed["changes"] == {
        "homeassistant.url": "needs a restart of listeners and workers",
        "log.level": "applied",
        "quality.future_s": "applied",
        "retention.days": "applied",
        "workers.pools.enrich.nodes": "applied",
    }
    assert changed["needs_restart"] == ["listeners", "workers"]
    assert put(api, retention_days=None, ha_url=None, settings=dict.fromkeys(further))["needs_restart"] == []
    assert api.get("/api/config")["changes"] == {}


def test_null_takes_a_setting_back_to_its_default(api: ApiBench) -> None:
    put(api, weather_cache_minutes=60, weather_location="1,2")

    changed = put(api, weather_cache_minutes=None, weather_location=None)

    assert (changed["weather_cache_minutes"], changed["weather_location"]) == (15.0, None)
    assert changed["needs_restart"] == []


def test_what_changed_is_in_the_audit_without_its_secrets(api: ApiBench) -> None:
    before_us = time.time_ns() // 1000
    put(api, headers={"X-Request-ID": "me-17"}, ha_token="a-long-secret-token")

    audit = api.settings.data_dir / "audit.jsonl"
    (line,) = [json.loads(one) for one in audit.read_text().splitlines()]
    assert line.pop("time_us") >= before_us
    assert line == {
        "who": "installation",
        "action": "config:change",
        "keys": ["homeassistant.token"],
        "request_id": "me-17",
    }
    assert stat.S_IMODE(audit.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"ha_url": "ftp://x"}, 400),
        ({"ha_url": ""}, 200),
        ({"weather_location": "91.5,0"}, 400),
        ({"weather_location": "here"}, 422),
        ({"weather_cache_minutes": 0}, 422),
        ({"retention_days": 0}, 422),
        ({"retention_days": "30"}, 422),
        ({"settings": {"storage.url": "sqlite://"}}, 422),
        ({"settings": {"log.level": "loud"}}, 400),
        ({"settings": {"quality.severity": ["bounds=loud"]}}, 400),
        ({"ha_password": "x"}, 422),
        ({}, 200),
    ],
)
def test_a_change_that_is_not_in_order_changes_nothing(api: ApiBench, change: dict[str, Any], status: int) -> None:
    put(api, weather_cache_minutes=60)
    before = (api.settings.data_dir / "ha-ingestor.toml").read_text()

    told = put(api, status, **change)

    if status != 200:
        assert (api.settings.data_dir / "ha-ingestor.toml").read_text() == before
        assert str(api.settings.data_dir / ".ha") not in told["detail"]


def test_a_stronger_source_is_named(tmp_path: Path) -> None:
    file = SettingsFile(environ={"HA_INGESTOR_WEATHER__CACHE_MINUTES": "45"}, cwd=tmp_path)
    with api_bench(tmp_path) as api:
        api.app.state.settings_file = file

        told = put(api, 409, weather_cache_minutes=30)

    assert "HA_INGESTOR_WEATHER__CACHE_MINUTES" in told["detail"]
    assert not (tmp_path / "ha-ingestor.toml").exists()


def test_the_demo_home_is_named_where_it_holds_the_address(tmp_path: Path) -> None:
    plan = make(Settings(data_dir=tmp_path), dict.fromkeys(POOLS, 1))
    with api_bench(tmp_path) as api:
        api.app.state.settings_file = SettingsFile(environ=plan.env, cwd=tmp_path)

        told = put(api, 409, ha_url="http://home:8123", ha_token="mine")

    assert "demo home" in told["detail"]
    assert "HA_INGESTOR" not in told["detail"]


def test_somebody_elses_change_is_not_overwritten(api: ApiBench) -> None:
    mine = api.client.get("/api/config").headers["etag"]
    put(api, weather_cache_minutes=60)

    told = put(api, 412, {"If-Match": mine}, weather_cache_minutes=5)

    assert told["type"].endswith(":precondition-failed")
    assert api.get("/api/config")["weather_cache_minutes"] == 60.0
    put(api, 200, {"If-Match": api.client.get("/api/config").headers["etag"]}, weather_cache_minutes=5)


def test_a_page_from_elsewhere_changes_nothing(api: ApiBench) -> None:
    put(api, 403, {"Origin": "https://evil.example"}, weather_cache_minutes=60)
    put(api, 403, {"Host": "evil.example"}, weather_cache_minutes=60)
    put(api, 200, OURS, weather_cache_minutes=60)
    assert api.client.put("/api/config", json={}, headers={"X-API-Key": KEY + "x"}).status_code == 401
