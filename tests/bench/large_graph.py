"""Measures the graph of a large home: its building, and every question, with what is printed of the answer.

The promise: of 20,000 entities and 1,000 automations the building takes under 5 s, any question under 100 ms.
"""

from __future__ import annotations

import contextlib
import io
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from ingestor import errors
from ingestor.cli import home_told as told
from ingestor.cli.output import print_json, print_table
from ingestor.events.observed import ObservedEdge
from ingestor.home.graph import automations, questions
from ingestor.home.graph.model import HomeGraph
from ingestor.home.graph.ready import ready_graph
from ingestor.reading import graph as reading

ENTITIES, AUTOMATIONS = 20_000, 1_000
_DOMAINS = (*["sensor"] * 12, "light", "light", "switch", "binary_sensor", "cover")
_AREAS, _FLOORS, _HUBS, _ENTRIES = 200, 10, 50, 20
#: Lights and switches that automations wait for and switch: few enough that they set each other off in circles.
_SHARED = 400
Objects = dict[str, dict[str, dict[str, Any]]]


def large_objects(entities: int = ENTITIES, routines: int = AUTOMATIONS) -> Objects:
    """Return the objects of a home: four entities a device, 50 hubs, automations that wait for each other's lights."""
    chance = random.Random(1)
    names = [f"{chance.choice(_DOMAINS)}.thing_{number}" for number in range(entities)]
    shared = [name for name in names if name.startswith(("light.", "switch."))][:_SHARED]
    return {
        "floor": {f"f{number}": {"name": f"Floor {number}"} for number in range(_FLOORS)},
        "area": {f"a{n}": {"name": f"Area {n}", "floor_id": f"f{n % _FLOORS}"} for n in range(_AREAS)},
        "device": {f"d{number}": _device(number) for number in range(entities // 4)},
        "entity": {f"r{number}": _entity(number, name) for number, name in enumerate(names)},
        "config_entry": {f"c{n}": {"domain": f"p{n}", "title": f"Entry {n}"} for n in range(_ENTRIES)},
        "automation": {f"automation.a{n}": _automation(n, names, shared, chance) for n in range(routines)},
    }


def _device(number: int) -> dict[str, Any]:
    hub = {"via_device_id": f"d{number % _HUBS}"} if number >= _HUBS else {}
    area_id, entry = f"a{number % _AREAS}", f"c{number % _ENTRIES}"
    return {"name": f"Device {number}", "area_id": area_id, "config_entries": [entry], **hub}


def _entity(number: int, entity_id: str) -> dict[str, Any]:
    device = number // 4
    return {
        "entity_id": entity_id,
        "device_id": f"d{device}",
        "config_entry_id": f"c{device % _ENTRIES}",
        "original_name": f"Thing {number}",
    }


def _automation(number: int, names: list[str], shared: list[str], chance: random.Random) -> dict[str, Any]:
    def state() -> str:
        return chance.choice(("on", "off"))

    def switch() -> dict[str, Any]:
        target = chance.choice(shared)
        return {"action": f"{target.partition('.')[0]}.turn_{state()}", "target": {"entity_id": target}}

    triggers = [{"trigger": "state", "entity_id": chance.choice(shared), "to": state()} for _ in range(2)]
    conditions = [{"condition": "state", "entity_id": chance.choice(names), "state": "on"}]
    area = {"action": "light.turn_on", "target": {"area_id": f"a{chance.randrange(_AREAS)}"}}
    config = {"triggers": triggers, "conditions": conditions, "actions": [switch(), switch(), area]}
    return {"name": f"Automation {number}", "config": config, "has_run": number % 3 > 0}


def large_observed(objects: Objects, edges: int = 5_000) -> list[ObservedEdge]:
    """Return what was seen to happen: who triggered and switched what."""
    chance = random.Random(2)
    names = [str(row["entity_id"]) for row in objects["entity"].values()][:5_000]
    routines = list(objects["automation"])
    return [
        ObservedEdge(*(("triggers", name, routine) if chance.random() < 0.5 else ("controls", routine, name)), 3, 1, 2)
        for name, routine in {(chance.choice(names), chance.choice(routines)) for _ in range(edges)}
    ]


def asked(graph: HomeGraph) -> dict[str, Callable[[], object]]:
    """Return every question, by the words of the command line, of what has most to say; each prints its answer."""
    light = max((node.key for node in graph.nodes("entity")), key=lambda key: len(graph.into(key)))

    def several() -> None:
        rows = [[one.source, one.by, one.state or "", one.target] for one in automations.links(graph)]
        print_table(("automation", "through", "state", "sets off"), rows)
        print_table(("order", "automation"), told.order_rows(automations.order(graph), automations.links(graph)))
        fights = [[one.entity_id, told.writers(one)] for one in automations.conflicts(graph)]
        print_table(("written by several", "by"), fights)
        automations.never_ran(graph)

    def impact(key: str) -> None:
        found = questions.impact(graph, key)
        rows = [[graph.node(one).kind, one, graph.label(one), " → ".join(path)] for one, path in found.dark.items()]
        print_table(("kind", "goes dark", "name", "because of"), rows)
        print_table(("affected", "lacks"), [[user, told.lacking(one)] for user, one in found.affected.items()])

    def unknown() -> None:
        with contextlib.suppress(errors.NotFound):
            questions.find(graph, "no such thing")

    return {
        "tree": lambda: told.print_tree(questions.tree(graph)),
        "tree --json": lambda: print_json([reading.branch_object(one) for one in questions.tree(graph)]),
        "related LIGHT": lambda: (questions.related(graph, light), questions.around(graph, light)),
        "related FLOOR": lambda: (questions.related(graph, "floor:f1"), questions.around(graph, "floor:f1")),
        "related INTEGRATION": lambda: questions.around(graph, "integration:p1"),
        "uses LIGHT": lambda: print_json([reading.use_object(one) for one in questions.uses(graph, light)]),
        "impact HUB": lambda: impact("device:d1"),
        "impact INTEGRATION": lambda: impact("integration:p1"),
        "automations": several,
        "automations ONE": lambda: automations.chains(graph, "automation.a1"),
        "cycles": lambda: print_json([reading.cycle_object(one) for one in automations.cycles(graph)]),
        "a thing by its name": lambda: questions.find(graph, f"Thing {ENTITIES - 1}"),
        "a thing that is not there": unknown,
    }


def measure_graph() -> tuple[float, dict[str, float]]:
    """Return how long the building takes, and each question: seconds of processor time, the least of three."""
    objects = large_objects()
    observed = large_observed(objects)
    began = time.process_time()
    graph = ready_graph("large", objects, observed)
    built_s = time.process_time() - began
    return built_s, {name: min(_cost(question) for _ in range(3)) for name, question in asked(graph).items()}


def _cost(question: Callable[[], object]) -> float:
    began = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        question()
    return time.process_time() - began


def main() -> None:
    """Measure, and print a table."""
    built_s, found = measure_graph()
    sys.stdout.write(f"| building, with all that questions need | {built_s:.1f} s |\n")
    for name, cost_s in found.items():
        sys.stdout.write(f"| {name} | {cost_s * 1000:.0f} ms |\n")


if __name__ == "__main__":
    main()
