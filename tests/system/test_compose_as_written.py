"""The Compose file's services with the commands, variables and health checks as written, together on this machine."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import requests

from tests.compose.stack import Composition
from tests.conftest import missing
from tests.servers import MissingServerError
from tests.servers_stores import InfluxDB
from tests.system.influxql import Database
from tests.system.stack import wait_until

FIRST = ("broker", "demo", "mosquitto")
PROFILES = ("core", "demo", "mosquitto", "monitoring", "influxdb")


@pytest.fixture
def composed(tmp_path: Path, influxdb: InfluxDB) -> Composition:
    variables = {
        "HA_INGESTOR_STORAGE__URL": "influxdb1://influxdb:8086/composed",  # 2.7, as the file has it, is not here
        "HA_INGESTOR_MQTT__URL": "mqtt://mosquitto:1883",
    }
    composition = Composition(tmp_path, PROFILES, variables, {"influxdb": influxdb.port})
    del composition.services["grafana"]  # Debian has none
    try:
        composition.look_for_programs()
    except MissingServerError as error:
        missing(error)
    influxdb.create_database("composed")
    return composition


def test_every_service_runs_as_written_is_healthy_and_stops_in_time(composed: Composition, influxdb: InfluxDB) -> None:
    rest = [name for name in composed.services if name not in FIRST]
    store = Database(influxdb.url, "composed")
    with composed:
        composed.start(*FIRST)
        composed.await_healthy(*FIRST)
        composed.start(*rest)
        composed.await_healthy(*rest)

        wait_until(lambda: store.series("SELECT * FROM home_assistant_events LIMIT 1"), 60, "an event in the store")
        targets = f"http://127.0.0.1:{composed.ports['prometheus']}/api/v1/targets"
        asked = {one["scrapeUrl"] for one in requests.get(targets, timeout=10).json()["data"]["activeTargets"]}
        codes = composed.stop(*rest) | composed.stop(*FIRST)

    assert f"http://127.0.0.1:{composed.ports['api']}/metrics" in asked
    # Once it has let its clients go, the API's server ends by the signal that it was sent.
    assert {name: code for name, code in codes.items() if code not in (0, -signal.SIGTERM)} == {}
