"""`ha-ingestor quality noise` in a home whose map is known: integrations, and who goes by what is not left out."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingestor import bootstrap
from ingestor.cli.main import build_app
from ingestor.events.event import Event, Place
from ingestor.home.objects import Observed
from ingestor.settings import Settings
from ingestor.storage.embedded import EmbeddedStore
from ingestor.storage.schema import PointBuilder

RECORDED = Path(__file__).parent.parent / "recordings" / "home_relations_2026.json.gz"
#: An automation is triggered by the first; nothing goes by the second.
USED, UNUSED = "input_boolean.chain_one", "switch.ac"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a recorded home's map, and two of its entities that say the same again and again."""
    objects = json.loads(gzip.decompress(RECORDED.read_bytes()))["objects"]
    settings = Settings(data_dir=tmp_path)
    bootstrap.open_objects(settings).take("home", Observed(objects))
    store, builder = EmbeddedStore(tmp_path / "events.sqlite"), PointBuilder(settings.storage)
    now_us, points = time.time_ns() // 1000, []
    for number in range(60):
        for entity_id in (USED, UNUSED):
            at_us = now_us - (number + 1) * 1_000_000
            event = Event(0, "state", "state_changed", entity_id, entity_id, at_us, 0, "websocket", 1, state="on")
            points += builder.points(event, Place(entity_id, entity_id.partition(".")[0]), "home", at_us * 1000)
    store.write(points)
    store.close()
    return tmp_path


def test_what_an_automation_goes_by_is_named_with_it_and_left_alone(folder: Path) -> None:
    def run(*words: str) -> str:
        done = CliRunner().invoke(build_app(), ["--set", f"data_dir={folder}", "quality", "noise", *words])
        assert done.exit_code == 0, done.output
        return done.stdout

    found = json.loads(run("--since", "1h", "--json"))
    recorder = run("--since", "1h", "--yaml", "recorder")

    by_entity = {one["entity_id"]: one for one in found["proposals"]}
    assert "automation.chain_a" in by_entity[USED]["used_by"]
    assert by_entity[UNUSED]["used_by"] == []
    assert found["saved"]["points"] == 60
    assert {one["integration"] for one in found["integrations"]} == {"input_boolean", "demo"}
    assert [line.strip() for line in recorder.splitlines() if UNUSED in line] == [f'- "{UNUSED}"']
    assert all(line.strip().startswith("#") for line in recorder.splitlines() if USED in line)
