"""Templates that depend on more than their text names: what Home Assistant says of them, what the graph makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ingestor import errors
from ingestor.cli.home_told import evidence_text
from ingestor.home.graph import questions
from ingestor.home.graph.build import build_graph
from ingestor.home.graph.model import HomeGraph
from ingestor.home.graph.templates import can_be_rendered, is_open, open_templates
from ingestor.home.rendering import Rendering, render_open

KITCHEN = "{{ expand(area_entities('kitchen')) | selectattr('state', 'eq', 'on') | list | count > 0 }}"
LIGHTS = "{{ states.light | selectattr('state', 'eq', 'on') | list | count }}"
THERE = {"light.a", "light.b", "sensor.c"}


@pytest.mark.parametrize(
    "template",
    [
        KITCHEN,
        LIGHTS,
        "{{ states(which) }}",
        "{{ states('light.' ~ room) }}",
        '{{ is_state("switch." + name, "on") }}',
        "{% for one in states %}{{ one }}{% endfor %}",
        "{{ states['light.a'].state }}",
        "{{ states | count }}",
        "{{ device_entities(device) }}",
        "{{ states.light}}",
    ],
)
def test_a_template_that_finds_entities_by_more_than_their_names_is_open(template: str) -> None:
    assert is_open(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ states('light.a') }}",
        '{{ is_state( "light.a", "on") }}',
        "{{ states.light.a.state }}",
        "{{ trigger.to_state.state }}",
        "{{ states('light.a') ~ ' of ' ~ name }}",
        "expand(area_entities('kitchen'))",
        "{{ now().hour }}",
    ],
)
def test_a_template_that_names_all_it_asks_is_not_open(template: str) -> None:
    assert not is_open(template)


def test_what_only_a_run_knows_cannot_be_rendered() -> None:
    assert not can_be_rendered("{{ states(trigger.entity_id) }}")
    assert not can_be_rendered("{{ expand(this.attributes.x) }}")
    assert can_be_rendered(KITCHEN)


def test_open_templates_are_found_wherever_they_stand_once() -> None:
    config = {"action": [{"if": [KITCHEN], "then": [{"data": {"x": [LIGHTS, KITCHEN]}}]}, {"delay": "{{ 1 }}"}]}

    assert open_templates(config) == [KITCHEN, LIGHTS]


class Renderer:
    """A Home Assistant that says what templates depend on."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def __call__(self, template: str) -> Mapping[str, Any] | None:
        self.asked.append(template)
        answer = self._answers.get(template)
        if isinstance(answer, str):
            raise errors.CommandRefused(answer)
        return answer


def listeners(*entities: str, domains: tuple[str, ...] = (), result: Any = "") -> dict[str, Any]:
    told = {"all": False, "time": False, "entities": list(entities), "domains": list(domains)}
    return {"result": result, "listeners": told}


def rendered(*entities: str, domains: tuple[str, ...] = (), result: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"entities": list(entities), "domains": list(domains), "all": False, "result": list(result)}


def test_what_a_template_depends_on_is_asked_and_added_to_what_was_found_before() -> None:
    ask = Renderer({KITCHEN: listeners("light.b", "light.a", result="light.a and more"), LIGHTS: None})
    known = {KITCHEN: rendered("light.gone", "sensor.c"), LIGHTS: rendered(domains=("light",))}

    found = render_open([{"action": [KITCHEN, LIGHTS]}], THERE, Rendering(ask, 10, known))

    assert found == {
        KITCHEN: rendered("light.a", "light.b", "sensor.c", result=("light.a",)),
        LIGHTS: rendered(domains=("light",)),
    }


def test_no_more_is_rendered_than_was_said_and_what_is_new_comes_first() -> None:
    ask = Renderer({LIGHTS: listeners(domains=("light",))})

    found = render_open([{"a": KITCHEN, "b": LIGHTS}], THERE, Rendering(ask, 1, {KITCHEN: rendered("light.a")}))

    assert ask.asked == [LIGHTS]
    assert found.keys() == {KITCHEN, LIGHTS}


def test_a_home_that_does_not_render_is_asked_once_and_what_was_known_stays() -> None:
    ask = Renderer({KITCHEN: "unknown_command", LIGHTS: "unknown_command"})

    found = render_open([{"a": KITCHEN, "b": LIGHTS}], THERE, Rendering(ask, 9, {LIGHTS: rendered("light.b")}))

    assert (ask.asked, found) == ([KITCHEN], {LIGHTS: rendered("light.b")})


def test_one_template_that_fails_does_not_cost_the_others() -> None:
    ask = Renderer({KITCHEN: "template_error", LIGHTS: listeners(domains=("light",))})

    assert render_open([{"a": KITCHEN, "b": LIGHTS}], THERE, Rendering(ask, 9)).keys() == {LIGHTS}


def graph_of(config: dict[str, Any], **texts: Any) -> HomeGraph:
    entities = {key: {"entity_id": key, "platform": "demo"} for key in sorted(THERE)}
    automation = {"name": "One", "config": config, "rendered": texts.pop("rendered", {})}
    return build_graph("home", {"entity": entities, "automation": {"automation.one": automation}})


def test_what_a_condition_depends_on_is_read_and_the_evidence_says_how_that_is_known() -> None:
    graph = graph_of({"condition": KITCHEN}, rendered={KITCHEN: rendered("light.a", "sensor.c")})

    (use,) = questions.uses(graph, "light.a")

    assert (use.user, use.how, use.configured) == ("automation.one", "reads", True)
    assert use.edge.evidence[0].source == "render_template"
    assert evidence_text(use.edge) == "condition (as rendered)"
    assert graph.undecided == []


def test_a_trigger_that_is_rendered_starts_the_run() -> None:
    trigger = {"platform": "template", "value_template": KITCHEN}

    graph = graph_of({"trigger": [trigger]}, rendered={KITCHEN: rendered("light.a")})

    assert [edge.source for edge in graph.into("automation.one", "triggers")] == ["light.a"]


def test_a_target_that_is_rendered_is_controlled_not_what_it_was_found_by() -> None:
    action = {"action": "light.turn_off", "target": {"entity_id": KITCHEN}}

    graph = graph_of({"action": [action]}, rendered={KITCHEN: rendered("sensor.c", result=("light.b",))})

    (edge,) = graph.out("automation.one", "controls")
    assert (edge.target, edge.evidence[0].state) == ("light.b", "off")


def test_who_goes_by_all_lights_uses_each_of_them() -> None:
    graph = graph_of({"condition": LIGHTS}, rendered={LIGHTS: rendered(domains=("light",))})

    assert [use.user for use in questions.uses(graph, "light.b")] == ["automation.one"]
    assert questions.uses(graph, "sensor.c") == []


def test_what_could_not_be_rendered_is_said_to_be_undecided() -> None:
    graph = graph_of({"condition": KITCHEN, "action": [{"action": "light.turn_on", "entity_id": "{{ which }}"}]})

    assert graph.undecided == ["automation.one condition", "automation.one action[0]"]
