"""`ha-ingestor home pattern` and `home errors`: what was learned of a home, from the command line."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ingestor import bootstrap, errors
from ingestor.cli.main import build_app
from ingestor.enrichment.log_errors import ErrorsStep
from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event, Place
from ingestor.events.observed import Activity, ObservedPage
from ingestor.home.cache import MemoryHomeMap
from ingestor.settings import Settings
from ingestor.storage.schema import PointBuilder

NOON_US = 1_795_262_400_000_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def ask(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(build_app(), ["--set", f"data_dir={settings.data_dir}", "home", *words])


def test_when_an_entity_is_active_is_shown_as_a_chart_and_as_json(settings: Settings) -> None:
    activity = [
        Activity(NOON_US, 7, 6, 11, {"light.hall": 8}),
        Activity(NOON_US + 900_000_000, 22, 6, 11, {"light.hall": 4, "light.other": 1}),
    ]
    bootstrap.open_observed(settings).add([ObservedPage("w", 1, "home", [], activity)])

    table, told = ask(settings, "pattern", "light.hall"), ask(settings, "pattern", "light.hall", "--json")

    assert " " * 7 + "█" + " " * 14 + "▄" in table.stdout
    assert "7-8 h, 22-23 h" in table.stdout
    assert "Sa 12" in table.stdout
    found = json.loads(told.stdout)
    assert (found["peak_hours"], found["events"], found["months"][10]) == ([7, 22], 12, 12)


def test_an_entity_that_was_never_seen_is_said_so(settings: Settings) -> None:
    found = ask(settings, "pattern", "light.nowhere")

    assert isinstance(found.exception, errors.NotFound)


def log(settings: Settings, message: str, logger: str, at_ns: int, slot: int) -> Any:
    event = Event(
        slot, "event", "system_log_event", "system_log_event:-", None, at_ns // 1000, at_ns, "websocket", slot
    )
    event.data = {"name": logger, "message": [message], "level": "ERROR", "exception": "Traceback: x"}
    ErrorsStep().apply(event, Surroundings("home", MemoryHomeMap()))
    return PointBuilder(settings.storage).points(event, Place(event.subject, "system_log_event"), "home", at_ns)


def test_what_was_logged_is_shown_by_integration_the_same_message_once(settings: Settings) -> None:
    store, now = bootstrap.open_store(settings), time.time_ns() - 60_000_000_000
    points = [
        point
        for one in range(3)
        for point in log(settings, "no answer", "homeassistant.components.hue.bridge", now + one * 1000, one)
    ]
    points += log(settings, "odd payload", "homeassistant.components.mqtt.models", now + 9000, 9)
    store.write(points)
    store.close()

    table, told = ask(settings, "errors"), json.loads(ask(settings, "errors", "--json").stdout)
    only = json.loads(ask(settings, "errors", "--integration", "mqtt", "--json").stdout)

    assert [(one["integration"], one["times"], one["message"], one["exception"]) for one in told] == [
        ("hue", 3, "no answer", "Traceback: x"),
        ("mqtt", 1, "odd payload", "Traceback: x"),
    ]
    assert [one["integration"] for one in only] == ["mqtt"]
    assert "no answer" in table.stdout
