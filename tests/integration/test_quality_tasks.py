"""Quality over time as it runs: hours judged by the task from the store, signs of life from the demo home, commands."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from ingestor import bootstrap
from ingestor.api.gauges import OverviewCollector
from ingestor.api.overview import Observer
from ingestor.cli.main import run
from ingestor.demo.running import RunningDemo, running_demo
from ingestor.events.event import Event, Place
from ingestor.events.point import Point
from ingestor.pipeline.quality_home import judging_lock
from ingestor.quality.book_sql import SqlQualityBook
from ingestor.quality.hours import HOUR_US
from ingestor.quality.life import HEARTBEAT, Life
from ingestor.quality.model import Dimension
from ingestor.settings import Settings, StorageSettings
from ingestor.settings_sources import load_settings
from ingestor.storage.schema import PointBuilder
from tasks import quality_hours
from tasks import resources as resources_module
from tasks.resources import Resources, resources
from tests.servers_brokers import ValkeyServer

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")


DAY_H = 24


@pytest.fixture(params=["2026.2.3", "2024.3.3"])
def demo(request: pytest.FixtureRequest) -> Iterator[RunningDemo]:
    with running_demo(entities=40, ha_version=request.param) as running:
        yield running


@pytest.fixture
def held(tmp_path: Path, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Resources]:
    yield from opened(tmp_path, valkey_server, monkeypatch, {})


@pytest.fixture
def beside_demo(
    demo: RunningDemo, tmp_path: Path, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Resources]:
    more = {"HOMEASSISTANT__URL": demo.url, "HOMEASSISTANT__TOKEN": demo.token, "QUALITY__OVER_TIME__HEARTBEAT": "true"}
    yield from opened(tmp_path, valkey_server, monkeypatch, more)


def opened(
    folder: Path, server: ValkeyServer, monkeypatch: pytest.MonkeyPatch, more: dict[str, str]
) -> Iterator[Resources]:
    monkeypatch.chdir(folder)
    chosen = {"DATA_DIR": str(folder), "HOME": f"h{uuid.uuid4().hex[:8]}", "BROKER__URL": server.url}
    for name, value in {**chosen, "STATE__URL": server.url, **more}.items():
        monkeypatch.setenv(f"HA_INGESTOR_{name}", value)
    settings: Settings = load_settings().settings
    monkeypatch.setattr(bootstrap, "settings", lambda: settings)
    resources_module.forget()
    monkeypatch.setattr(quality_hours, "ask_once", lambda *_args, **_options: None)
    yield resources()
    resources_module.forget()


def live(held: Resources, hours: int) -> int:
    """Let two sensors speak for some hours until 8 hours ago; return when they began (Unix µs)."""
    end_us = (time.time_ns() // 1000 - 8 * HOUR_US) // HOUR_US * HOUR_US
    builder, begin_us, points = PointBuilder(StorageSettings()), end_us - hours * HOUR_US, list[Point]()
    for minute in range(0, hours * 60, 10):
        for name, text in (("sensor.a", str(minute % 7)), ("sensor.b", "unavailable" if minute % 20 else "1")):
            event = Event(0, "state", "state_changed", name, name, begin_us + minute * 60_000_000, 0, "websocket", 1)
            event.state, event.value = text, None if text == "unavailable" else float(text)
            event.available = text != "unavailable"
            place = Place(name, "sensor", area="kitchen", device=name[-1])
            points += builder.points(event, place, held.settings.home, event.time_us * 1000)
    assert held.store.write(points).rejected == []
    return begin_us


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert run(["quality", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_task_judges_what_is_stored_and_the_commands_tell_it(
    held: Resources, capsys: pytest.CaptureFixture[str]
) -> None:
    home, begin_us = held.settings.home, live(held, DAY_H)

    quality_hours.judge(home)

    assert SqlQualityBook(held.database).homes()[home] >= begin_us + DAY_H * HOUR_US
    scores = {(one["scope"], one["subject"]): one["score"] for one in shown(capsys, "scores", "--since", "3d")}
    assert scores["entity", "sensor.b"] < scores["home", home] < scores["entity", "sensor.a"]
    (flapping,) = shown(capsys, "problems")
    assert (flapping["kind"], flapping["subject"]) == ("flapping", "sensor.b")
    told = shown(capsys, "entity", "sensor.b")
    assert told["problems"] == [flapping]
    assert {part["dimension"] for part in told["score"]["parts"]} == {one.value for one in Dimension}
    assert run(["quality", "entity", "sensor.b"]) == 0
    assert "it went and came back" in capsys.readouterr().out
    text = generate_latest(OverviewCollector(Observer(held.settings).read)).decode()
    assert f'ingestor_quality_problems{{home="{home}",kind="flapping"}} 1.0' in text
    assert f'ingestor_quality_score{{home="{home}"}} ' in text
    assert run(["quality", "scores"]) == 0
    assert "judged up to" in capsys.readouterr().err


def test_another_process_that_judges_the_home_is_left_alone(held: Resources) -> None:
    live(held, 2)

    with judging_lock(held.state, held.settings.home) as mine:
        quality_hours.judge(held.settings.home)

    assert mine
    assert SqlQualityBook(held.database).homes() == {}


def test_what_home_assistant_says_of_its_states_is_noted_once_for_an_hour(
    beside_demo: Resources, demo: RunningDemo
) -> None:
    home, hour_us = beside_demo.settings.home, time.time_ns() // 1000 // HOUR_US * HOUR_US

    quality_hours.look_for_life()

    now_hour_us = time.time_ns() // 1000 // HOUR_US * HOUR_US
    seen = [Life(beside_demo.state).of_hour(home, hour) for hour in {hour_us, now_hour_us}]
    attributes = {name for one in seen for name in one.attributes}
    reported = {name for one in seen for name in one.reported_us}
    states = {state.entity_id for state in demo.home.bus.states.values()}
    assert attributes == states
    classes = {name: text for one in seen for name, text in one.state_classes.items()}
    said = {state.entity_id: state.attributes.get("state_class", "") for state in demo.home.bus.states.values()}
    assert classes == said
    assert "measurement" in classes.values()
    # Home Assistant 2024.3 does not say when a state was last reported.
    assert bool(reported) is (demo.home.ha_version != "2024.3.3")
    beats = beside_demo.store._rows(  # type: ignore[attr-defined]  # the embedded store's own door
        "SELECT count(DISTINCT s.tags) FROM points t JOIN series s ON s.id = t.series_id WHERE s.measurement = ?",
        [HEARTBEAT],
    )
    assert beats == [(len(states),)]
