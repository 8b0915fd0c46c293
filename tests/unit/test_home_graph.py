"""References, uses, failures and exports of small homes that are made for it."""

from __future__ import annotations

import io
import json
from typing import Any

import networkx as nx
import pytest

from ingestor import errors
from ingestor.cli.home_told import evidence_text, impact_text
from ingestor.events.observed import EdgeKind, ObservedEdge
from ingestor.home.graph import automations, export, questions
from ingestor.home.graph.build import build_graph
from ingestor.home.graph.model import HomeGraph
from ingestor.home.graph.references import Reference, references_of

ENTITIES = (
    "light.kitchen",
    "light.hall",
    "switch.fan",
    "binary_sensor.motion",
    "sensor.lux",
    "person.anna",
    "zone.home",
)


def seen(kind: EdgeKind, source: str, target: str, count: int) -> ObservedEdge:
    return ObservedEdge(kind, source, target, count, 1_700_000_000_000_000, 1_700_000_100_000_000)


def references(config: dict[str, Any]) -> set[tuple[str, str, str, str | None]]:
    found: list[Reference] = references_of(config, ENTITIES.__contains__)
    return {(one.role, one.kind, one.target, one.state) for one in found}


def entity(entity_id: str, **more: Any) -> dict[str, Any]:
    return {"entity_id": entity_id, "platform": "demo", **more}


def home(automations_: dict[str, dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    rows = {
        "reg1": entity("light.kitchen", device_id="lamp", name="Kitchen light"),
        "reg2": entity("light.hall", area_id="hall"),
        "reg3": entity("switch.fan", device_id="plug", config_entry_id="hub_entry"),
        "reg4": entity("binary_sensor.motion", device_id="lamp"),
        "reg5": entity("sensor.lux"),
    }
    routines = {key: {"name": key, "config": config} for key, config in (automations_ or {}).items()}
    return {
        "floor": {"ground": {"name": "Ground floor"}},
        "area": {"kitchen": {"name": "Kitchen", "floor_id": "ground"}, "hall": {"name": "Hall"}},
        "device": {
            "hub": {"name": "Hub", "config_entries": ["hub_entry"]},
            "lamp": {"name": "Lamp", "area_id": "kitchen", "via_device_id": "hub"},
            "plug": {"name": "Plug", "via_device_id": "hub"},
        },
        "config_entry": {"hub_entry": {"domain": "zha", "title": "Stick", "state": "loaded"}},
        "manifest": {"zha": {"name": "Zigbee", "dependencies": ["usb"]}},
        "entity": rows,
        "automation": routines,
        **more,
    }


def turn(state: str, entity_id: str, key: str = "action") -> dict[str, Any]:
    return {key: f"{entity_id.partition('.')[0]}.turn_{state}", "target": {"entity_id": entity_id}}


def on(entity_id: str, to: str | None = None) -> dict[str, Any]:
    return {"trigger": "state", "entity_id": entity_id, **({"to": to} if to else {})}


def graph_of(**configs: dict[str, Any]) -> HomeGraph:
    return build_graph("home", home({f"automation.{name}": config for name, config in configs.items()}))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"trigger": {"platform": "state", "entity_id": "sensor.lux"}}, {("triggers", "entity", "sensor.lux", None)}),
        (
            {"triggers": [{"trigger": "state", "entity_id": ["switch.fan"], "to": ["on", "off"]}]},
            {("triggers", "entity", "switch.fan", "on"), ("triggers", "entity", "switch.fan", "off")},
        ),
        ({"trigger": [{"platform": "event", "event_type": "go"}]}, {("triggers", "event", "go", None)}),
        ({"trigger": [{"platform": "mqtt", "topic": "a/b"}]}, {("triggers", "topic", "a/b", None)}),
        ({"trigger": [{"platform": "sun", "event": "sunset"}]}, {("triggers", "entity", "sun.sun", None)}),
        (
            {"trigger": [{"platform": "template", "value_template": "{{ states('sensor.lux')|int < 5 }}"}]},
            {("triggers", "entity", "sensor.lux", None)},
        ),
        (
            {"trigger": [{"platform": "numeric_state", "entity_id": "sensor.lux", "above": "sensor.lux"}]},
            {("triggers", "entity", "sensor.lux", None), ("reads", "entity", "sensor.lux", None)},
        ),
        (
            {"trigger": [{"platform": "zone", "entity_id": "person.anna", "zone": "zone.home"}]},
            {("triggers", "entity", "person.anna", None), ("reads", "entity", "zone.home", None)},
        ),
        (
            {"condition": [{"condition": "or", "conditions": ["{{ is_state('light.hall', 'on') }}"]}]},
            {("reads", "entity", "light.hall", None)},
        ),
        ({"action": [turn("off", "light.hall", "service")]}, {("controls", "entity", "light.hall", "off")}),
        (
            {"action": [{"service": "light.toggle", "entity_id": "light.hall, light.kitchen"}]},
            {("controls", "entity", "light.hall", None), ("controls", "entity", "light.kitchen", None)},
        ),
        ({"actions": [{"action": "script.bye"}]}, {("controls", "entity", "script.bye", "on")}),
        ({"action": [{"scene": "scene.evening"}]}, {("controls", "entity", "scene.evening", "on")}),
        ({"action": [{"event": "done"}]}, {("fires", "event", "done", None)}),
        (
            {"action": [{"service": "mqtt.publish", "data": {"topic": "a/b"}}]},
            {("fires", "topic", "a/b", None)},
        ),
        (
            {
                "action": [
                    {
                        "choose": [
                            {
                                "conditions": [{"condition": "state", "entity_id": "switch.fan"}],
                                "sequence": [turn("on", "light.hall")],
                            }
                        ]
                    }
                ]
            },
            {("reads", "entity", "switch.fan", None), ("controls", "entity", "light.hall", "on")},
        ),
        (
            {
                "action": [
                    {"wait_for_trigger": [on("switch.fan")]},
                    {"repeat": {"until": "{{ states.sensor.lux.state }}", "sequence": []}},
                ]
            },
            {("reads", "entity", "switch.fan", None), ("reads", "entity", "sensor.lux", None)},
        ),
        (
            {
                "action": [
                    {
                        "service": "light.turn_on",
                        "target": {"area_id": "kitchen"},
                        "data": {"x": "{{ states('sensor.gone') }}"},
                    }
                ]
            },
            {("controls", "area", "kitchen", "on"), ("reads", "entity", "sensor.gone", None)},
        ),
        (
            {"action": [{"device_id": "lamp", "domain": "light", "type": "turn_on", "entity_id": "reg1"}]},
            {("controls", "entity", "reg1", "on"), ("uses", "device", "lamp", "on")},
        ),
        (
            {
                "use_blueprint": {
                    "path": "a/b.yaml",
                    "input": {"motion": "binary_sensor.motion", "do": [turn("on", "light.hall")]},
                }
            },
            {
                ("uses", "blueprint", "a/b.yaml", None),
                ("uses", "entity", "binary_sensor.motion", None),
                ("controls", "entity", "light.hall", "on"),
                ("uses", "entity", "light.hall", None),
            },
        ),
        (
            {"action": [{"service": "light.turn_on", "target": {"entity_id": "{{ which }}"}}]},
            {("controls", "template", "{{ which }}", "on")},
        ),
        (
            {"condition": "{{ expand(area_entities('hall')) | length > 1 and is_state('light.hall', 'on') }}"},
            {
                ("reads", "entity", "light.hall", None),
                (
                    *("reads", "template"),
                    *("{{ expand(area_entities('hall')) | length > 1 and is_state('light.hall', 'on') }}", None),
                ),
            },
        ),
        (
            {"action": [{"service": "light.turn_off", "target": {"entity_id": "all"}}]},
            {("controls", "domain", "light", "off")},
        ),
        ({"action": "nonsense", "trigger": 5, "condition": None}, set()),
    ],
)
def test_a_configuration_names_what_it_uses_and_how(
    config: dict[str, Any], expected: set[tuple[str, str, str, str | None]]
) -> None:
    assert references(config) == expected


def test_a_configuration_of_endless_depth_is_read_to_a_bound() -> None:
    nested: dict[str, Any] = {"sequence": [turn("on", "light.hall")]}
    for _ in range(500):
        nested = {"sequence": [nested]}

    assert references({"action": [nested]}) == set()


def test_an_area_in_a_call_means_its_entities_of_that_domain() -> None:
    graph = graph_of(dark={"action": [{"action": "light.turn_off", "target": {"area_id": "kitchen"}}]})

    controlled = {edge.target for edge in graph.out("automation.dark", "controls")}

    assert controlled == {"area:kitchen", "light.kitchen"}


def test_a_device_trigger_names_the_entity_behind_its_registry_id() -> None:
    trigger = {"trigger": "device", "device_id": "lamp", "domain": "binary_sensor", "entity_id": "reg4"}
    graph = graph_of(one={"triggers": [trigger]})

    assert {edge.source for edge in graph.into("automation.one", "triggers")} == {"device:lamp", "binary_sensor.motion"}


def test_an_event_that_one_automation_fires_sets_off_who_waits_for_it() -> None:
    graph = graph_of(one={"action": [{"event": "go"}]}, two={"trigger": [{"platform": "event", "event_type": "go"}]})

    (link,) = automations.links(graph)

    assert (link.source, link.target, link.by) == ("automation.one", "automation.two", "event:go")


def test_a_scene_sets_off_who_waits_for_what_it_puts_in_place() -> None:
    objects = home(
        {"automation.one": {"action": [{"scene": "scene.s"}]}, "automation.two": {"trigger": [on("light.hall", "on")]}},
        scene={"scene.s": {"name": "S", "config": {"entities": {"light.hall": {"state": "on"}, "switch.fan": "off"}}}},
    )

    pairs = [(link.source, link.target, link.by) for link in automations.links(build_graph("home", objects))]

    assert pairs == [("automation.one", "automation.two", "light.hall")]


def test_what_was_seen_to_start_an_automation_does_not_say_by_which_state() -> None:
    configs = {
        "automation.a": {"trigger": [on("light.hall", "on")], "action": [turn("off", "switch.fan")]},
        "automation.b": {"trigger": [on("switch.fan", "on")], "action": [turn("on", "light.kitchen")]},
    }

    graph = build_graph("home", home(configs), [seen("triggers", "switch.fan", "automation.b", 9)])

    assert automations.links(graph) == []


def test_what_a_called_script_was_seen_to_do_sets_nothing_off_that_the_script_does_not() -> None:
    configs = {
        "automation.a": {"trigger": [on("switch.fan")], "action": [{"action": "script.inner"}]},
        "automation.b": {"trigger": [on("light.hall", "on")], "action": [turn("on", "switch.fan")]},
        "automation.c": {"trigger": [on("light.hall", "off")], "action": [turn("on", "light.kitchen")]},
    }
    inner = {"name": "inner", "config": {"sequence": [turn("off", "light.hall")]}}

    # Home Assistant's contexts put it down to the automation, without saying what the light was turned to.
    graph = build_graph(
        "home", home(configs, script={"script.inner": inner}), [seen("controls", "automation.a", "light.hall", 3)]
    )

    pairs = {(link.source, link.target) for link in automations.links(graph)}
    assert pairs == {
        ("automation.a", "script.inner"),
        ("script.inner", "automation.c"),
        ("automation.b", "automation.a"),
    }
    assert automations.cycles(graph) == []


def test_what_was_seen_to_happen_comes_before_what_is_only_configured() -> None:
    configs = {
        "automation.a": {"trigger": [on("light.hall", "on")], "action": [turn("on", "switch.fan")]},
        "automation.b": {"trigger": [on("switch.fan", "on")], "action": [turn("on", "light.hall")]},
        "automation.c": {"trigger": [on("light.kitchen", "on")], "action": [turn("on", "light.kitchen")]},
    }
    observed = [
        seen("triggers", "switch.fan", "automation.b", 9),
        seen("starts", "automation.a", "automation.b", 7),
        seen("starts", "automation.b", "automation.a", 8),
        seen("starts", "automation.a", "automation.x", 2),
    ]
    graph = build_graph("home", home(configs), observed)

    found = automations.cycles(graph)

    assert [(cycle.routines, cycle.observed) for cycle in found] == [
        (("automation.a", "automation.b"), 7),
        (("automation.c",), 0),
    ]
    assert found[0].last_us == 1_700_000_100_000_000
    assert [link.target for link in automations.links(graph) if link.by == "?"] == ["automation.x"]
    assert automations.never_seen(graph) == ["automation.c"]


@pytest.mark.parametrize(("count", "told"), [(1, "seen 1 time since 2023-11-14"), (2, "seen 2 times since 2023-11-14")])
def test_how_often_something_was_seen_is_told_in_words(count: int, told: str) -> None:
    observed = [seen("lost_with", "light.kitchen", "light.hall", count)]

    (edge,) = build_graph("home", home(), observed).out("light.kitchen", "lost_with")

    assert evidence_text(edge) == told


def test_what_never_ran_is_told_apart_from_what_was_not_seen_to_run() -> None:
    objects = home({f"automation.{name}": {} for name in ("ran", "never", "seen", "unknown")})
    objects["automation"]["automation.ran"]["has_run"] = True
    objects["automation"]["automation.never"]["has_run"] = False
    objects["automation"]["automation.seen"]["has_run"] = False
    graph = build_graph("home", objects, [seen("triggers", "light.hall", "automation.seen", 1)])

    assert automations.never_seen(graph) == ["automation.never", "automation.ran", "automation.unknown"]
    assert automations.never_ran(graph) == ["automation.never"]


def test_what_was_seen_to_be_lost_with_something_is_told_beside_what_must_be() -> None:
    observed = [
        seen("lost_with", "light.kitchen", "light.hall", 3),
        seen("lost_with", "light.kitchen", "switch.fan", 5),
    ]

    found = questions.impact(build_graph("home", home(), observed), "device:hub")

    assert [(edge.target, edge.evidence[0].count) for edge in found.seen] == [("light.hall", 3)]


def test_many_automations_in_one_knot_do_not_take_for_ever() -> None:
    all_of_them = [f"input_boolean.k{number}" for number in range(25)]
    configs = {
        f"automation.k{number}": {"trigger": [on(name)], "action": [turn("on", other) for other in all_of_them]}
        for number, name in enumerate(all_of_them)
    }

    assert len(automations.cycles(build_graph("home", home(configs)))) == automations.MAX_CYCLES
    assert len(automations.chains(build_graph("home", home(configs)), "automation.k0")) == automations.MAX_CYCLES


def test_a_hub_takes_with_it_what_is_connected_via_it_and_names_who_lacks_it() -> None:
    graph = graph_of(one={"trigger": [on("binary_sensor.motion")], "action": [turn("on", "light.hall")]})

    found = questions.impact(graph, "device:hub")

    assert set(found.dark) == {"device:lamp", "device:plug", "light.kitchen", "binary_sensor.motion", "switch.fan"}
    assert found.dark["light.kitchen"] == ("device:hub", "device:lamp")
    assert set(found.affected) == {"automation.one"}


def test_an_integration_takes_its_devices_and_entities_with_it() -> None:
    found = questions.impact(graph_of(), "integration:zha")

    assert {"config_entry:hub_entry", "device:hub", "device:lamp", "light.kitchen", "switch.fan"} <= set(found.dark)


def test_what_lacks_something_is_counted_by_what_it_is() -> None:
    graph = graph_of(one={"trigger": [on("binary_sensor.motion")]})
    graph.link("group.lamps", "light.kitchen", "contains")

    told = [impact_text(graph, questions.impact(graph, key)) for key in ("device:lamp", "sensor.lux", "light.kitchen")]

    assert told == [
        "2 things dark, 1 routine, 1 helper affected",
        "nothing goes dark, nothing else is affected",
        "nothing goes dark, 1 helper affected",
    ]


def test_what_nothing_uses_can_be_deleted_and_what_a_template_reads_cannot() -> None:
    graph = graph_of(one={"condition": "{{ states('sensor.lux') | int > 3 }}"})

    assert questions.uses(graph, "switch.fan") == []
    (use,) = questions.uses(graph, "sensor.lux")
    assert (use.user, use.how, use.configured, use.observed) == ("automation.one", "reads", True, 0)


@pytest.mark.parametrize(
    ("one", "other", "is_fight"),
    [
        (on("binary_sensor.motion", "on"), on("binary_sensor.motion", "off"), False),
        (on("binary_sensor.motion", "on"), on("binary_sensor.motion", "on"), True),
        (on("binary_sensor.motion", "on"), on("binary_sensor.motion"), True),
        (on("binary_sensor.motion", "on"), on("switch.fan", "on"), False),
    ],
)
def test_two_that_want_different_states_fight_only_where_one_change_starts_both(
    one: dict[str, Any], other: dict[str, Any], is_fight: bool
) -> None:
    configs = {
        "automation.one": {"trigger": [one], "action": [turn("on", "light.hall")]},
        "automation.two": {"trigger": [other], "action": [turn("off", "light.hall")]},
    }
    graph = build_graph("home", home(configs), [seen("controls", "automation.one", "light.hall", 3)])

    (conflict,) = automations.conflicts(graph)

    assert (conflict.entity_id, conflict.is_fight) == ("light.hall", is_fight)
    assert conflict.writers == {"automation.one": ["on"], "automation.two": ["off"]}


def test_two_that_set_each_other_off_fight_over_what_both_write() -> None:
    first = {"trigger": [on("switch.fan", "on")], "action": [turn("on", "light.hall"), turn("off", "light.kitchen")]}
    second = {"trigger": [on("light.hall", "on")], "action": [turn("on", "switch.fan"), turn("on", "light.kitchen")]}

    found = {conflict.entity_id: conflict.is_fight for conflict in automations.conflicts(graph_of(a=first, b=second))}

    assert found == {"light.kitchen": True}


def test_an_entity_that_is_named_but_not_there_is_marked_as_missing() -> None:
    graph = graph_of(one={"action": [turn("on", "light.gone")]})

    assert graph.node("light.gone").missing
    assert not graph.node("light.hall").missing


def test_a_routine_whose_configuration_may_not_be_read_is_said() -> None:
    graph = build_graph("home", {"automation": {"automation.x": {"name": "X"}}})

    assert graph.hidden == ["configuration of automation.x"]


def test_the_tree_holds_every_entity_once() -> None:
    graph = graph_of()

    def names(branches: list[questions.Branch]) -> list[str]:
        return [key for branch in branches for key in (branch.node.key, *names(branch.branches))]

    found = names(questions.tree(graph))
    assert sorted(key for key in found if "." in key) == sorted(node.key for node in graph.nodes("entity"))
    assert found[:3] == ["floor:ground", "area:kitchen", "device:lamp"]


@pytest.mark.parametrize("text", ["light.kitchen", "kitchen light", "device:lamp", "Lamp", "lamp"])
def test_a_thing_is_found_by_key_id_or_name(text: str) -> None:
    assert questions.find(graph_of(), text).key in ("light.kitchen", "device:lamp")


def test_a_thing_that_is_not_there_gets_proposals() -> None:
    with pytest.raises(errors.NotFound, match=r"there is light\.hall, light\.kitchen"):
        questions.find(graph_of(), "light.")


def test_the_exports_hold_every_node_and_edge_and_names_of_any_signs() -> None:
    objects = home(area={"odd": {"name": '`a` "b"\n<c> \x01 \\ ü'}})
    graph = build_graph("home", objects, [seen("controls", "automation.x", "light.hall", 3)])

    as_json = json.loads(export.as_json(graph))
    as_graphml = nx.read_graphml(io.BytesIO(export.as_graphml(graph).encode()))
    dot, mermaid = export.as_dot(graph), export.as_mermaid(graph)

    nodes, edges = len(graph), len(graph.edges())
    assert (len(as_json["nodes"]), len(as_json["edges"])) == (nodes, edges)
    assert (as_graphml.number_of_nodes(), as_graphml.number_of_edges()) == (nodes, edges)
    assert len({about["id"] for _, _, about in as_graphml.edges(data=True)}) == edges
    assert dot.count("->") == mermaid.count("-->") == edges
    assert "controls 3x" in dot
    # A name that begins so is Markdown to Mermaid, and ends where Mermaid does not expect it.
    assert "`" not in mermaid


def test_a_part_of_the_graph_has_only_what_is_asked_for() -> None:
    graph = graph_of()

    found = export.part(graph, {"device:lamp", "light.kitchen", "light.hall"})

    assert len(found) == 3
    assert [(edge.source, edge.target) for edge in found.edges()] == [("device:lamp", "light.kitchen")]


def test_a_page_of_mermaid_draws_a_part_of_a_home_and_not_a_large_one() -> None:
    small, large = build_graph("home", home()), HomeGraph("home")
    for number in range(501):
        large.link("area:hall", f"light.l{number}", "contains")

    assert not export.is_too_large_for_pages(small, export.as_mermaid(small))
    assert export.is_too_large_for_pages(large, export.as_mermaid(large))


def set_off(routines: dict[str, dict[str, Any]], **more: Any) -> set[tuple[str, str]]:
    graph = build_graph("home", home(routines, **more))
    return {(link.source, link.target) for link in automations.links(graph)}


def call(action: str, entity_id: str) -> dict[str, Any]:
    return {"triggers": [], "actions": [{"action": action, "target": {"entity_id": entity_id}}]}


def waiting_for(entity_id: str, **more: Any) -> dict[str, Any]:
    return {"triggers": [{"trigger": "state", "entity_id": entity_id, **more}], "actions": []}


@pytest.mark.parametrize(("action", "starts"), [("automation.trigger", True), ("automation.turn_off", False)])
def test_an_automation_that_triggers_another_one_sets_it_off(action: str, starts: bool) -> None:
    routines = {"automation.a": call(action, "automation.b"), "automation.b": waiting_for("light.hall")}

    assert (("automation.a", "automation.b") in set_off(routines)) is starts
    assert not automations.conflicts(build_graph("home", home(routines)))


@pytest.mark.parametrize(("action", "starts"), [("script.turn_on", True), ("script.turn_off", False)])
def test_who_stops_a_script_does_not_set_it_off(action: str, starts: bool) -> None:
    script = {"script.s": {"name": "S", "config": {"sequence": []}}}

    assert (
        ("automation.a", "script.s") in set_off({"automation.a": call(action, "script.s")}, script=script)
    ) is starts


def test_a_script_that_runs_sets_off_who_waits_for_its_own_state() -> None:
    script = {"script.s": {"name": "S", "config": {"sequence": []}}}

    assert set_off({"automation.a": waiting_for("script.s", to="on")}, script=script) == {("script.s", "automation.a")}


def test_a_call_on_all_of_a_domain_is_a_use_of_each_and_sets_off_who_waits_for_one() -> None:
    routines = {"automation.off": call("light.turn_off", "all"), "automation.a": waiting_for("light.hall", to="off")}
    graph = build_graph("home", home(routines))

    assert "automation.off" in {use.user for use in questions.uses(graph, "light.kitchen")}
    assert "automation.off" not in {use.user for use in questions.uses(graph, "switch.fan")}
    assert set_off(routines) == {("automation.off", "automation.a")}


def test_a_call_of_home_assistant_itself_on_an_area_reaches_what_can_be_switched() -> None:
    config = {
        "triggers": [],
        "actions": [{"action": "homeassistant.turn_off", "target": {"area_id": ["kitchen", "hall"]}}],
    }
    graph = build_graph("home", home({"automation.off": config}))

    assert {edge.target for edge in graph.out("automation.off", "controls") if ":" not in edge.target} == {
        "light.kitchen",
        "light.hall",
    }


def test_a_time_that_an_entity_says_with_an_offset_is_waited_for() -> None:
    at = {"entity_id": "sensor.lux", "offset": "-00:05:00"}

    assert ("triggers", "entity", "sensor.lux", None) in references({"triggers": [{"trigger": "time", "at": at}]})


@pytest.mark.parametrize("part", ["triggers", "conditions", "actions"])
def test_a_part_that_is_switched_off_does_nothing_but_names_what_it_names(part: str) -> None:
    parts: dict[str, dict[str, Any]] = {
        "triggers": {"trigger": "state", "entity_id": "light.hall", "to": "on"},
        "conditions": {"condition": "state", "entity_id": "light.hall", "state": "on"},
        "actions": {"action": "light.turn_on", "target": {"entity_id": "light.hall"}},
    }

    found = references({part: [{**parts[part], "enabled": False}]})

    assert found == {("uses", "entity", "light.hall", None)}


def test_the_export_says_what_is_left_open() -> None:
    graph = HomeGraph("home")
    graph.hidden, graph.undecided = ["users"], ["automation.a actions[0]"]

    about = json.loads(export.as_json(export.part(graph, set())))["graph"]

    assert about == {"home": "home", "hidden": ["users"], "undecided": ["automation.a actions[0]"]}


@pytest.mark.parametrize(
    ("named", "links"),
    [
        ({}, {("automation.b", "automation.a")}),
        ({"attribute": "last_triggered"}, {("automation.b", "automation.a")}),
        ({"to": "off"}, set()),
        ({"to": None}, set()),
        ({"from": "on"}, set()),
    ],
)
def test_an_automation_that_waits_for_any_change_of_another_one_is_set_off_by_its_runs(
    named: dict[str, Any], links: set[tuple[str, str]]
) -> None:
    waits = {"triggers": [{"trigger": "state", "entity_id": "automation.b", **named}], "actions": []}

    assert set_off({"automation.a": waits, "automation.b": {"triggers": [], "actions": []}}) == links


def test_a_template_that_asks_whether_an_automation_is_on_is_not_set_off_by_its_runs() -> None:
    template = {"trigger": "template", "value_template": "{{ is_state('automation.b', 'on') }}"}
    routines: dict[str, dict[str, Any]] = {
        "automation.a": {"triggers": [template]},
        "automation.b": {"triggers": [], "actions": []},
    }

    assert set_off(routines) == set()
