"""`ha-ingestor home …`: the graph of a recorded home, asked from the command line."""

from __future__ import annotations

import gzip
import itertools
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ingestor import bootstrap, errors
from ingestor.cli.main import build_app
from ingestor.events.point import FieldValue, Point
from ingestor.home.objects import Observed
from ingestor.home.objects_store import RegistryObjects
from ingestor.home.traces.reading import read_trace
from ingestor.home.traces.store import RoutineTraces
from ingestor.settings import Settings
from ingestor.storage.schema import STATES

RECORDED = Path(__file__).parent.parent / "recordings" / "home_relations_2026.json.gz"
RECORDED_TRACES = RECORDED.with_name("traces.json.gz")
#: A run that called a service that is not there.
FAILED = "5a5fee8df5ce975c0e668fd89ed3b6cb"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("home")
    objects = json.loads(gzip.decompress(RECORDED.read_bytes()))["objects"]
    settings = Settings(data_dir=data_dir)
    bootstrap.open_objects(settings).take("home", Observed(objects))
    answers = json.loads(gzip.decompress(RECORDED_TRACES.read_bytes()))["2026"]["get"]
    traces = [trace for answer in answers if (trace := read_trace(answer)) is not None]
    RoutineTraces(bootstrap.open_metadata(settings), keep_days=36_500).add("home", traces)
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


def test_the_graph_of_a_day_in_march_is_that_of_march(tmp_path: Path) -> None:
    database = bootstrap.open_metadata(Settings(data_dir=tmp_path))
    objects = json.loads(gzip.decompress(RECORDED.read_bytes()))["objects"]
    without = {**objects["automation"]}
    del without["automation.chain_a"]
    for day, automations in (("2026-03-01", objects["automation"]), ("2026-05-01", without)):
        at_us = int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp() * 1_000_000)
        RegistryObjects(database, clock=itertools.repeat(at_us).__next__).take(
            "home", Observed({**objects, "automation": automations})
        )

    def asked(*words: str) -> Result:
        return CliRunner().invoke(build_app(), ["--set", f"data_dir={tmp_path}", "home", *words])

    def users(*words: str) -> set[str]:
        return {
            use["what"] for use in json.loads(asked("uses", "input_boolean.chain_one", "--json", *words).stdout)["uses"]
        }

    march, today = users("--at", "2026-03-15T12:00:00Z"), users()
    february = asked("uses", "input_boolean.chain_one", "--at", "2026-02-01T00:00:00Z")
    assert march - today == {"automation.chain_a"}
    assert "automation.chain_b" in today
    assert "at that time" in str(february.exception)
    for words in (
        ("related", "automation.chain_a"),
        ("impact", "integration:mqtt"),
        ("graph",),
        ("tree",),
        ("cycles",),
    ):
        then = asked(*words, "--at", "2026-03-15T12:00:00Z")
        assert (then.exit_code, "as it was then" in then.stderr) == (0, True)


def test_runs_are_listed_and_one_is_told_step_by_step(ask: Any) -> None:
    listed = json.loads(ask("traces", "--json").stdout)
    table, chain = ask("traces", "Chain A").stdout, json.loads(ask("traces", "automation.chain_a", "--json").stdout)
    told = ask("trace", FAILED[:6])
    whole = json.loads(ask("trace", FAILED, "--json").stdout)

    assert len(listed) == 11
    assert [run["entity_id"] for run in chain] == ["automation.chain_a"]
    assert "automation.chain_a" in table
    assert "Action nonexistent.do_it not found" in told.stdout
    assert "ended: error" in told.stderr
    assert [step["path"] for step in whole["steps"]] == ["trigger/0", "action/0", "action/1"]
    assert whole["steps"][1]["target"] == {"entity_id": ["light.bed_light"]}


def test_what_ran_before_and_after_a_run_is_told_with_it(ask: Any) -> None:
    (first,) = json.loads(ask("traces", "automation.chain_a", "--json").stdout)

    told, whole = ask("trace", first["run_id"]).stderr, json.loads(ask("trace", first["run_id"], "--json").stdout)

    assert "set off by: state of input_button.chain_start" in told
    assert "set off: automation.chain_b" in told
    assert len(whole["set_off"]) == 1


def test_what_always_fails_and_the_order_of_what_runs_is_shown(ask: Any) -> None:
    shown, listed = ask("automations").stdout, json.loads(ask("automations", "--json").stdout)

    assert "Action nonexistent.do_it not found" in shown
    assert [(one["entity_id"], one["runs"]) for one in listed["always_fail"]] == [
        ("automation.always_fails_no_such_service", 2)
    ]
    assert "automation.chain_a" not in listed["never_seen"]
    order = shown[shown.index("automation or script") :]
    steps = ["automation.chain_a", "automation.chain_b", "automation.chain_c", "script.chain_finish"]
    assert [order.index(step) for step in steps] == sorted(order.index(step) for step in steps)
    assert "automation.circular_ping, automation.circular_pong" in order


def test_a_run_or_an_automation_that_is_not_there_is_said(ask: Any) -> None:
    assert isinstance(ask("trace", "nothing").exception, errors.NotFound)
    assert "no automation or script 'nobody'" in str(ask("traces", "nobody").exception)
    assert "no such run is kept" in ask("traces", "--result", "cancelled").stderr


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
    sensed: dict[str, FieldValue] = {
        **cause,
        "root_cause_kind": "device",
        "root_cause_id": "binary_sensor.movement_backyard",
    }
    store = bootstrap.open_store(settings)
    store.write([Point(STATES, tags, {**fields, **sensed}, 1_794_000_000_000_000_000)])
    store.write([Point(STATES, tags, {**fields, **cause}, 1_795_000_000_000_000_000)])
    store.write([Point(STATES, tags, fields, 1_795_000_001_000_000_000)])
    by_user: dict[str, FieldValue] = {"cause_kind": "user", "cause_id": "0815"}
    store.write([Point(STATES, tags, {**fields, **by_user}, 1_795_000_002_000_000_000)])
    store.close()
    bootstrap.open_objects(settings).take("home", Observed({"user": {"0815": {"name": "Ada"}}}))

    table, listed = ask("why", "light.bed_light").stdout, json.loads(ask("why", "light.bed_light", "--json").stdout)

    assert "the automation automation.chain_a" in table
    assert "a time that came" in table
    assert "the user Ada" in table
    assert "0815" not in table
    assert "the device binary_sensor.movement_backyard" in table
    assert table.count("itself (no other cause is known)") == 1
    assert [one["cause_id"] for one in listed] == ["0815", None, "automation.chain_a", "automation.chain_a"]


def test_a_home_that_was_never_read_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(build_app(), ["--set", f"data_dir={tmp_path}", "home", "tree"])

    assert isinstance(result.exception, errors.NotFound)
    assert "as soon as Home Assistant answers" in str(result.exception)
