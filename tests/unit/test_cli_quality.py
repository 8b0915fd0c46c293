"""The commands about quality: the rules in their order, and one tried on what is stored."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ingestor.cli.main import run
from ingestor.events.event import Event, Place
from ingestor.settings import StorageSettings
from ingestor.storage.embedded import EmbeddedStore
from ingestor.storage.schema import PointBuilder

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")

RULES = '[{"name": "hot", "kind": "bounds", "max": 50, "severity": "reject", "reason": "no oven here"}]'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HA_INGESTOR_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HA_INGESTOR_QUALITY__RULES", RULES)
    return tmp_path


def test_the_rules_are_listed_with_ones_own_after_ours_and_the_severity_in_force(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HA_INGESTOR_QUALITY__SEVERITY", "bounds=repair,out_of_order=off")

    assert run(["quality", "rules", "--json"]) == 0

    listed = {row["rule"]: row for row in json.loads(capsys.readouterr().out)}
    assert (listed["bounds"]["severity"], listed["out_of_order"]["severity"]) == ("repair", "off")
    assert (listed["hot"]["severity"], listed["hot"]["why"]) == ("reject", "no oven here")
    assert listed["energy_unit"]["number"] < listed["hot"]["number"] < listed["meter_reset"]["number"]


def test_the_noise_report_proposes_settings_that_are_in_order_and_save_what_it_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HA_INGESTOR_QUALITY__RULES")
    store, builder = EmbeddedStore(folder / "events.sqlite"), PointBuilder(StorageSettings())
    now_us = time.time_ns() // 1000
    for number in range(200):
        at_us, state = now_us - (200 - number) * 1_000_000, str(230 + number * 7 % 5 / 10)
        before = str(230 + (number - 1) * 7 % 5 / 10)
        for entity_id, told, was in (("sensor.volts", state, before), ("sensor.same", "ok", "ok")):
            event = Event(0, "state", "state_changed", entity_id, entity_id, at_us, 0, "websocket", 1, state=told)
            event.previous_state = was
            store.write(builder.points(event, Place(entity_id, "sensor"), "home", at_us * 1000))
    store.close()

    assert run(["quality", "noise", "--since", "1h", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert run(["quality", "noise", "--since", "1h"]) == 0
    shown = capsys.readouterr()
    assert run(["quality", "noise", "--since", "1h", "--yaml", "recorder"]) == 0
    recorder = capsys.readouterr().out
    assert run(["quality", "noise", "--since", "1h", "--yaml", "ingestor"]) == 0
    (folder / "ha-ingestor.toml").write_text(capsys.readouterr().out)

    kinds = {one["entity_id"]: one["kind"] for one in found["proposals"]}
    assert kinds == {"sensor.same": "exclude", "sensor.volts": "dead-band"}
    assert "nothing is left" in shown.out
    assert "2 proposals would have saved" in shown.err
    assert recorder == 'recorder:\n  exclude:\n    entities:\n      - "sensor.same"\n'
    assert run(["config", "check"]) == 0
    capsys.readouterr()
    hits = 0
    for rule in ("noise-deny", "noise-band-1"):
        assert run(["quality", "try", rule, "--since", "1h", "--json"]) == 0
        hits += json.loads(capsys.readouterr().out)["hits"]
    assert hits == found["saved"]["points"]


def test_a_rule_is_tried_on_what_is_stored_and_nothing_changes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, builder = EmbeddedStore(folder / "events.sqlite"), PointBuilder(StorageSettings())
    now_us = time.time_ns() // 1000
    for number in range(20):
        state = "60.5" if number % 4 == 0 else "21"
        at_us = now_us - (number + 1) * 1_000_000
        event = Event(0, "state", "state_changed", "sensor.a", "sensor.a", at_us, 0, "websocket", 1, state=state)
        store.write(builder.points(event, Place("sensor.a", "sensor"), "home", at_us * 1000))
    store.close()

    assert run(["quality", "try", "hot", "--since", "1h", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["looked"], found["hits"], found["entities"]) == (20, 5, {"sensor.a": 5})
    assert found["examples"][0]["becomes"] == "to quarantine"

    assert run(["quality", "try", 'kind = "bounds", max = 20, severity = "repair"', "--since", "1h"]) == 0
    shown = capsys.readouterr()
    assert "20 of 20 stored states (100.00%), of 1 entity" in shown.err
    assert "60.5, above 20" in shown.out
    assert run(["quality", "try", 'kind = "bounds"']) == 2
    assert "a rule of kind bounds needs min or max" in capsys.readouterr().err
