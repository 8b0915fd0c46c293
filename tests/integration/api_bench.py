"""The API on a folder of its own with the embedded store and a home in it: what tests of its routes ask."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from ingestor import bootstrap
from ingestor.api.app import create_app
from ingestor.api.health import HealthWatch
from ingestor.api.serving import ApiServer
from ingestor.events.event import Event, Place
from ingestor.events.point import Point
from ingestor.settings import Settings, StorageSettings
from ingestor.settings_writing import SettingsFile
from ingestor.storage.schema import PointBuilder, point_time_ns
from tests.servers import wait_until

T0_US = 1_795_229_244_000_000
KEY = "the key of the tests"
NOBODY = "redis://127.0.0.1:1/0"
SECOND_US = 1_000_000
_builder = PointBuilder(StorageSettings())


@dataclass
class ApiBench:
    """An application, who has its key, and who has not."""

    settings: Settings
    app: FastAPI
    client: TestClient

    def get(self, path: str, status: int = 200, **params: Any) -> Any:
        answer = self.client.get(path, params=params or None)  # empty ones would take those of the path away
        assert answer.status_code == status, answer.text
        return answer.json()

    def write(self, *placed: tuple[Event, Place], home: str = "home") -> list[Point]:
        points = [point for event, at in placed for point in _builder.points(event, at, home, point_time_ns(event))]
        store = bootstrap.open_store(self.settings)
        assert store.write(points).rejected == []
        store.close()
        return points


def api_app(folder: Path, settings: Mapping[str, Any] | None = None) -> FastAPI:
    """Return the API; nobody answers as broker, and health is said to be fine."""
    given = {"data_dir": folder, "broker": {"url": NOBODY}, "api": {"key": KEY}, **(settings or {})}
    file = SettingsFile({"data_dir": folder, "api.key": KEY, "broker.url": NOBODY}, environ={}, cwd=folder)
    watch = HealthWatch({"fine": lambda: "fine"})
    return create_app(Settings.model_validate(given), watch=watch, settings_file=file)


@contextmanager
def api_bench(folder: Path, settings: Mapping[str, Any] | None = None) -> Iterator[ApiBench]:
    """Serve the API on a folder, for a test to ask in its own process."""
    app = api_app(folder, settings)
    made: Settings = app.state.means.settings
    with TestClient(app, base_url="http://127.0.0.1:8080", headers={"X-API-Key": KEY}) as client:
        yield ApiBench(made, app, client)


def state(at_s: float, entity: str, value: str = "on", **more: Any) -> tuple[Event, Place]:
    """Return a change of state, and where its entity stands; `place` says more of that."""
    at = Place(entity, entity.partition(".")[0], **more.pop("place", {}))
    fields = {
        "slot": 0,
        "kind": "state",
        "event_type": "state_changed",
        "subject": entity,
        "entity_id": entity,
        "time_us": T0_US + round(at_s * SECOND_US),
        "received_ns": 0,
        "source": "websocket",
        "identity": 42,
        "state": value,
        **more,
    }
    if "value" not in fields and value.replace(".", "", 1).lstrip("-").isdecimal():
        fields["value"] = float(value)
    return Event(**fields), at


def called(at_s: float, entity: str) -> tuple[Event, Place]:
    """Return a call of a service."""
    event, at = state(at_s, entity, kind="event", event_type="call_service", state=None, data={"service": "turn_on"})
    return event, Place(f"call_service:{entity}", at.domain)


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an application on loopback as `ha-ingestor api` does; yield its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = ApiServer(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), timeout_s=60, what="the API")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
