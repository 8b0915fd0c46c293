"""The graph of two recorded homes: the circles and chains that are known to be there; what Home Assistant relates."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ingestor.home.graph import automations, questions
from ingestor.home.graph.build import build_graph
from ingestor.home.graph.model import HomeGraph

RECORDINGS = Path(__file__).parent.parent / "recordings"
#: What is an entity itself, so that its node is called by its entity_id.
ENTITIES = ("entity", "automation", "script", "scene", "person", "group")
PAIR = ("automation.circular_ping", "automation.circular_pong")


def recorded(year: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress((RECORDINGS / f"home_relations_{year}.json.gz").read_bytes()))
    return found


@pytest.fixture(params=[2024, 2026])
def graph(request: pytest.FixtureRequest) -> HomeGraph:
    return build_graph("home", recorded(request.param)["objects"])


def key_of(kind: str, name: str) -> str:
    return name if kind in ENTITIES else f"{kind}:{name}"


def test_the_one_circle_of_the_recorded_homes_is_found_and_no_other(graph: HomeGraph) -> None:
    found = automations.cycles(graph)

    assert [cycle.routines for cycle in found] == [PAIR]
    assert [(link.by, link.state) for link in found[0].links] == [
        ("input_boolean.pong", "on"),
        ("input_boolean.ping", "on"),
    ]


def test_the_chain_of_the_recorded_homes_is_found_to_its_end(graph: HomeGraph) -> None:
    (chain,) = automations.chains(graph, "automation.chain_a")

    assert [link.target for link in chain] == ["automation.chain_b", "automation.chain_c", "script.chain_finish"]
    assert [link.by for link in chain] == ["input_boolean.chain_one", "input_boolean.chain_two", "script.chain_finish"]


def test_an_automation_that_turns_off_what_starts_it_by_turning_on_is_no_circle(graph: HomeGraph) -> None:
    # Chain B is started by chain_one going on, and turns it off at its end.
    pairs = {(link.source, link.target) for link in automations.links(graph)}

    assert ("automation.chain_b", "automation.chain_b") not in pairs


def test_what_comes_before_stands_before_in_the_order(graph: HomeGraph) -> None:
    place = {one: number for number, step in enumerate(automations.order(graph)) for one in step}

    chain = ["automation.chain_a", "automation.chain_b", "automation.chain_c", "script.chain_finish"]
    assert sorted(chain, key=place.__getitem__) == chain
    assert place[PAIR[0]] == place[PAIR[1]]


def test_entities_that_several_write_are_named_with_what_each_wants(graph: HomeGraph) -> None:
    found = {conflict.entity_id: conflict for conflict in automations.conflicts(graph)}

    assert found["input_boolean.ping"].is_fight
    assert found["input_boolean.ping"].writers == {PAIR[0]: ["off"], PAIR[1]: ["on"]}


def test_an_entity_in_a_template_is_read_by_the_automation(graph: HomeGraph) -> None:
    users = {use.user: use.how for use in questions.uses(graph, "counter.chain_runs")}

    assert users["automation.chain_c"] == "reads"
    assert users["script.chain_finish"] == "controls"


@pytest.mark.parametrize("year", [2024, 2026])
def test_whatever_home_assistant_relates_is_around(year: int) -> None:
    found = recorded(year)
    graph = build_graph("home", found["objects"])
    # Home Assistant 2024 also names routines that share an entity with one that is related.
    left_out = {"automation", "script", "scene"} if year == 2024 else set()

    lacking = {
        key_of(one["item_type"], one["item_id"]): (kind, sorted(missing))
        for one in found["related"]
        for kind, names in one["result"].items()
        if kind not in left_out
        and (
            missing := {key_of(kind, name) for name in names}
            - questions.around(graph, key_of(one["item_type"], one["item_id"]))
        )
    }

    assert len(found["related"]) >= 12
    assert lacking == {}


def test_all_that_a_failing_integration_carries_goes_dark(graph: HomeGraph) -> None:
    found = questions.impact(graph, "integration:mqtt")

    nodes = {node.key for node in graph.nodes("entity") if "zoo_node" in node.key}
    assert nodes
    assert nodes <= set(found.dark)
    assert all(path[0] == "integration:mqtt" for path in found.dark.values())
