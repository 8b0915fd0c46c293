"""Reports from tasks and from the command line: made once, kept, told again in every form, alerts raised once."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestor import bootstrap
from ingestor.api.gauges import OverviewCollector
from ingestor.api.overview import Observer
from ingestor.cli.main import run
from ingestor.events.counts import Counts, Page, hour_of
from ingestor.events.event import Event, Place
from ingestor.reports.figures import MEASUREMENT
from ingestor.settings import Settings, StorageSettings
from ingestor.storage.gaps import GapRecord
from ingestor.storage.schema import PointBuilder
from tasks import reports
from tasks import resources as resources_module
from tasks.resources import Resources, resources
from tests.servers_brokers import ValkeyServer

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")
HOUR_S = 3600


@pytest.fixture
def held(tmp_path: Path, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Resources]:
    alerts = [{"name": "lost", "on": "lost", "limit": 0}, {"name": "up", "on": "up", "limit": 0.5}]
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "DATA_DIR": str(tmp_path),
        "HOME": f"h{uuid.uuid4().hex[:8]}",
        "BROKER__URL": valkey_server.url,
        "STATE__URL": valkey_server.url,
        "REPORTS__WEEKLY": "never",
        "REPORTS__AT": "00:00",
        "QUALITY__OVER_TIME__ENABLED": "false",
        "REPORTS__ALERTS": json.dumps(alerts),
    }.items():
        monkeypatch.setenv(f"HA_INGESTOR_{name}", value)
    from ingestor.settings_sources import load_settings  # noqa: PLC0415 -- after the environment is set

    settings: Settings = load_settings().settings
    monkeypatch.setattr(bootstrap, "settings", lambda: settings)
    resources_module.forget()
    monkeypatch.setattr(reports, "ask_once", lambda *_args, **_options: None)
    yield resources()
    resources_module.forget()


def live(held: Resources, *, lost: int = 0) -> None:
    """Let a home have been heard for two days, with a gap of an hour yesterday."""
    home, now_s = held.settings.home, int(time.time())
    first_s = hour_of((now_s - 48 * HOUR_S) * 10**9)
    hours = {first_s + number * HOUR_S: Counts(10, 10, 10, 9, 0, 1) for number in range(49)}
    hours[first_s + 40 * HOUR_S].lost = lost
    hours[first_s + 40 * HOUR_S].frames += lost
    hours[first_s + 40 * HOUR_S].settled += lost
    held.ledger.add([Page("book", 1, home, "websocket", "j", hours, {})])
    start_us = (now_s - 30 * HOUR_S) * 1_000_000
    gap = GapRecord("g", home, "websocket", "cut", start_us, start_us + HOUR_S * 1_000_000)
    bootstrap.open_gaps(held.settings, held.database).observe(gap)
    builder = PointBuilder(StorageSettings())
    for number in range(24):
        at_us = (now_s - 47 * HOUR_S + number * 2 * HOUR_S) * 1_000_000
        event = Event(0, "state", "state_changed", "sensor.a", "sensor.a", at_us, 0, "websocket", 1, state="21")
        event.context_id = "01A"
        place = Place("sensor.a", "sensor", area="Kitchen" if number % 4 else "-", device="-")
        held.store.write(builder.points(event, place, home, at_us * 1000))


def command(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert run(["quality", *words]) == 0
    return capsys.readouterr().out


def test_the_daily_report_is_made_once_kept_and_told_in_every_form(
    held: Resources, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports.make(held.settings.home)
    assert json.loads(command(capsys, "reports", "list", "--json")) == []  # nobody was heard yet
    live(held)

    for _ in range(2):
        reports.make(held.settings.home)

    (kept,) = json.loads(command(capsys, "reports", "list", "--json"))
    assert kept["figures"]["context_share"] == 0.75
    assert kept["figures"]["received"] == 240
    assert kept["id"] in command(capsys, "reports", "list")
    found = json.loads(command(capsys, "reports", "show", kept["id"], "--format", "json"))
    assert found["end_us"] - found["start_us"] == 24 * HOUR_S * 1_000_000
    assert "no earlier report" in found["compared_with"]
    assert run(["quality", "reports", "show", kept["id"], "--output", str(tmp_path / "day.pdf")]) == 0
    assert (tmp_path / "day.pdf").read_bytes().startswith(b"%PDF-")
    assert run(["quality", "reports", "show", "other"]) == 1
    with sqlite3.connect(tmp_path / "events.sqlite") as events:
        query = "SELECT s.tags, p.extra FROM points p JOIN series s ON s.id = p.series_id WHERE s.measurement = ?"
        rows = events.execute(query, [MEASUREMENT]).fetchall()
    ((tags, extra),) = [row for row in rows if '"report"' in row[0]]
    assert '"daily"' in tags
    assert json.loads(extra)["valid_share"] == 0.9


def test_a_report_at_once_says_what_is_known_of_its_span_and_is_not_kept(
    held: Resources, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live(held)
    path = tmp_path / "report.html"

    assert run(["quality", "report", "--since", "2d", "--output", str(path)]) == 0
    found = json.loads(command(capsys, "report", "--since", "2d", "--format", "json"))

    assert path.read_text().startswith("<!doctype html>")
    shares = {one["name"]: one["value"] for one in found["targets"]}
    assert shares["valid"] == 0.9
    assert shares["context"] == 0.75
    assert shares["up"] == pytest.approx(1 - 1 / 48, abs=0.001)
    assert "# Report on the data quality" in command(capsys, "report")
    assert json.loads(command(capsys, "reports", "list", "--json")) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--since", "1h", "--until", "2h"], "--since is not before --until"),
        (["--since", "900d"], "400 days at most"),
        (["--output", "report.docx"], "no form is called docx"),
        (["--output", "nowhere/report.html"], "cannot be written"),
        (["--home", "cabin"], "no home named 'cabin'"),
    ],
)
def test_what_a_report_cannot_be_is_said(
    held: Resources, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert run(["quality", "report", *words]) == 2

    assert told in capsys.readouterr().err


def test_an_alert_is_raised_once_and_listed(held: Resources, capsys: pytest.CaptureFixture[str]) -> None:
    live(held, lost=3)

    for _ in range(2):
        reports.watch_alerts()

    (alert,) = json.loads(command(capsys, "alerts", "--json"))
    assert (alert["name"], alert["value"], alert["over_us"]) == ("lost", 3.0, None)
    seen = Observer(held.settings)
    reports.make(held.settings.home)
    found = {family.name: family.samples for family in OverviewCollector(seen.read).collect()}
    seen.close()
    assert [sample.value for sample in found["ingestor_quality_alerts"]] == [1.0]
    shares = {sample.labels["share"]: sample.value for sample in found["ingestor_report_share"]}
    assert shares["context"] == 0.75
    assert {sample.labels["period"] for sample in found["ingestor_report_end_seconds"]} == {"daily"}
    assert alert["sentence"] == "The number of lost events is 3, above 0."
    assert "above 0" in command(capsys, "alerts")
