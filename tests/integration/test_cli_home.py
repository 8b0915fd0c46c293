"""`ha-ingestor home …`: the graph of a recorded home, asked from the command line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ingestor import bootstrap, errors
from ingestor.cli.main import build_app
from ingestor.events.point import FieldValue, Point
from ingestor.home.objects import Observed
from ingestor.settings import Settings
from ingestor.storage.schema import STATES

RECORDED = Path(__file__).parent.parent / "recordings" / "home_relations_2026.json.gz"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("home")
    objects = json.loads(gzip.decompress(RECORDED.read_bytes()))["objects"]
    settings = Settings(data_dir=data_dir)
    bootstrap.open_objects(settings).take("home", Observed(objects))
    return data_dir


@pytest.fixture
def ask(folder: Path) -> Any:
    def run(*words: str) -> Result:
        return CliRunner().invoke(build_app(), ["--set", f"data_dir={folder}", "home", *words])

    return run


def test_the_circle_is_shown_to_people_and_to_programs(ask: Any) -> None:
    table, listed = ask("cycles"), json.loads(ask("cycles", "--json").stdout)

    assert "automation.circular_ping → automation.circular_pong → automation.circular_ping" in table.stdout
    assert [cycle["routines"] for cycle in listed] == [["automation.circular_ping", "automation.circular_pong"]]


def test_what_uses_an_entity_is_shown_with_where_it_stands(ask: Any) -> None:
    shown = ask("uses", "input_boolean.chain_one").stdout

    assert "automation.chain_a" in shown
    assert "automation.chain_b" in shown
    assert "trigger[0]" in shown


def test_a_tree_of_rooms_is_shown(ask: Any) -> None:
    shown = ask("tree").stdout

    assert "floor:ground_floor" in shown
    assert "area:kitchen" in shown
    assert json.loads(ask("tree", "--json").stdout)[0]["kind"] == "floor"


def test_every_question_has_an_answer_for_programs(ask: Any) -> None:
    for words in (("related", "light.bed_light"), ("uses", "light.bed_light"), ("impact", "integration:mqtt")):
        assert json.loads(ask(*words, "--json").stdout)
    assert json.loads(ask("automations", "--json").stdout)["links"]
    assert json.loads(ask("automations", "automation.chain_a", "--json").stdout)


def test_a_chain_is_told_in_its_order(ask: Any) -> None:
    told = ask("automations", "chain a").stdout

    steps = ["automation.chain_a", "automation.chain_b", "automation.chain_c", "script.chain_finish"]
    assert [told.index(step) for step in steps] == sorted(told.index(step) for step in steps)


@pytest.mark.parametrize(("form", "start"), [("graphml", "<?xml"), ("dot", "digraph"), ("mermaid", "flowchart")])
def test_the_graph_goes_to_a_file(ask: Any, tmp_path: Path, form: str, start: str) -> None:
    file = tmp_path / "home.out"

    told = ask("graph", "--format", form, "--of", "automation.chain_a", "--output", str(file))

    assert file.read_text().startswith(start)
    assert "nodes and" in told.stderr


def test_why_an_entity_changed_is_told_in_words(ask: Any, folder: Path) -> None:
    settings = Settings(data_dir=folder)
    tags = (("home", "home"), ("series", "light.bed_light"), ("domain", "light"))
    fields: dict[str, FieldValue] = {
        "state": "on",
        "previous_state": "off",
        "available": True,
        "entity_id": "light.bed_light",
    }
    cause: dict[str, FieldValue] = {
        "cause_kind": "automation",
        "cause_id": "automation.chain_a",
        "root_cause_kind": "time",
    }
    store = bootstrap.open_store(settings)
    store.write([Point(STATES, tags, {**fields, **cause}, 1_795_000_000_000_000_000)])
    store.write([Point(STATES, tags, fields, 1_795_000_001_000_000_000)])
    store.close()

    table, listed = ask("why", "light.bed_light").stdout, json.loads(ask("why", "light.bed_light", "--json").stdout)

    assert "the automation automation.chain_a" in table
    assert "a time that came" in table
    assert "no other cause is known" in table
    assert [one["cause_id"] for one in listed] == [None, "automation.chain_a"]


def test_a_home_that_was_never_read_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(build_app(), ["--set", f"data_dir={tmp_path}", "home", "tree"])

    assert isinstance(result.exception, errors.NotFound)
    assert "as soon as Home Assistant answers" in str(result.exception)
