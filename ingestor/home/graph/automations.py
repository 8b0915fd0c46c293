"""How automations and scripts depend on each other: what sets off what, in which order, in circles, in conflict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import networkx as nx

from ingestor.home.graph.model import Edge, HomeGraph
from ingestor.home.graph.references import STARTED

#: Circles that are listed, and automations in one: the number of circles may grow without bound.
MAX_CYCLES: Final = 100
_MAX_LENGTH: Final = 8
_MAX_CHAIN: Final = 12
_RUNS: Final = ("script", "scene")


@dataclass(frozen=True, slots=True)
class Link:
    """`source` may set off `target`, through `by`: an entity, an event, a topic; a script that is called is its own."""

    source: str
    target: str
    by: str
    state: str | None
    #: What the source does, and what the target waits for, each where it stands in its configuration.
    detail: str
    #: How often it was seen to happen, and when last (Unix, microseconds); 0: it follows from the configuration alone.
    observed: int = 0
    last_us: int = 0


@dataclass(frozen=True, slots=True)
class Cycle:
    """Automations and scripts that set each other off in a circle. `observed`: seen to go round, at most so often."""

    routines: tuple[str, ...]
    links: tuple[Link, ...]
    observed: int = 0
    last_us: int = 0


@dataclass(frozen=True, slots=True)
class Conflict:
    """An entity that several automations write: which states each leads to (None: not known).

    `is_fight`: two of them want different states at the same time. A light that one turns on with the motion and
    another one off without it is none.
    """

    entity_id: str
    writers: dict[str, list[str | None]] = field(default_factory=dict)
    is_fight: bool = False


def links(graph: HomeGraph) -> list[Link]:
    """Return which automation or script may set off which other one, each pair and way once."""
    return graph.derived(_find_links)


def _find_links(graph: HomeGraph) -> list[Link]:
    found: dict[tuple[str, str, str], Link] = {}
    for node in graph.nodes("automation", "script"):
        for link in _links_of(graph, node.key):
            found.setdefault((link.source, link.target, link.by), link)
    configured = {(link.source, link.target) for link in found.values()}
    seen = [_seen_link(edge) for edge in graph.edges() if edge.kind == "starts"]
    return [*found.values(), *(link for link in seen if (link.source, link.target) not in configured)]


def _seen_link(edge: Edge) -> Link:
    (seen,) = edge.evidence
    return Link(edge.source, edge.target, "?", None, "seen, but not in a configuration", seen.count, seen.last_us)


def _seen(graph: HomeGraph, source: str, target: str) -> tuple[int, int]:
    """Return how often one was seen to set off another one, and when last."""
    starts = [edge for edge in graph.out(source, "starts") if edge.target == target]
    return (starts[0].evidence[0].count, starts[0].evidence[0].last_us) if starts else (0, 0)


def _links_of(graph: HomeGraph, source: str) -> Iterator[Link]:
    for edge in graph.out(source, "controls", "fires"):
        if not _is_configured(edge) and _is_done_by_called(graph, source, edge.target):
            continue
        for effect, states, detail in _effects(graph, edge):
            if _starts(graph.node(effect).kind, states):
                yield Link(source, effect, effect, None, detail, *_seen(graph, source, effect))
            for trigger in graph.out(effect, "triggers"):
                yield from _started(graph, source, (effect, states, detail), trigger)
    yield from _links_of_runs(graph, source)


def _links_of_runs(graph: HomeGraph, source: str) -> Iterator[Link]:
    """Yield who waits for a routine to run: a script's state says so, an automation's attributes."""
    is_script = graph.node(source).kind == "script"
    states: list[str | None] = ["on", "off"] if is_script else [STARTED]
    for trigger in graph.out(source, "triggers"):
        if is_script or any(waits.state == STARTED for waits in trigger.evidence):
            yield from _started(graph, source, (source, states, "it runs"), trigger)


def _starts(kind: str, states: list[str | None]) -> bool:
    """Tell whether a call runs what it is aimed at: a script unless it is stopped, an automation by its trigger."""
    if kind == "script":
        return any(state != "off" for state in states)
    return kind == "automation" and STARTED in states


def _is_configured(edge: Edge) -> bool:
    return any(one.source != "observed" for one in edge.evidence)


def _is_done_by_called(graph: HomeGraph, source: str, target: str, depth: int = 0) -> bool:
    """Tell whether a script or scene that a routine calls acts on a thing: what was seen of it is that one's doing."""
    called = [edge.target for edge in graph.out(source, "controls") if graph.node(edge.target).kind in _RUNS]
    for one in called:
        if any(edge.target == target and _is_configured(edge) for edge in graph.out(one, "controls")):
            return True
        if depth < _MAX_LENGTH and one != source and _is_done_by_called(graph, one, target, depth + 1):
            return True
    return False


def _effects(graph: HomeGraph, edge: Edge, depth: int = 0) -> Iterator[tuple[str, list[str | None], str]]:
    """Yield what a call reaches: its target, and the members of a group or what a scene puts in place."""
    states = [one.state for one in edge.evidence if one.source != "observed"] or [None]
    detail = edge.evidence[0].detail if edge.evidence else ""
    yield edge.target, states, detail
    if depth >= _MAX_LENGTH:
        return
    kind = graph.node(edge.target).kind
    if kind == "scene":
        for inner in graph.out(edge.target, "controls"):
            for effect, wanted, _ in _effects(graph, inner, depth + 1):
                yield effect, wanted, f"{detail} → {edge.target}"
    elif kind == "domain":
        for key in graph.derived(_awaited).get(edge.target, ()):
            yield key, states, f"{detail} → {edge.target}"
    elif kind not in _RUNS and edge.kind == "controls":
        for inner in graph.out(edge.target, "contains"):
            if "." in inner.target and ":" not in edge.target:
                yield inner.target, states, f"{detail} → {edge.target}"


def _awaited(graph: HomeGraph) -> dict[str, list[str]]:
    """Return by domain the entities that something is set off by."""
    found: dict[str, dict[str, None]] = {}
    for edge in graph.edges():
        if edge.kind == "triggers" and ":" not in edge.source:
            found.setdefault(f"domain:{edge.source.partition('.')[0]}", {})[edge.source] = None
    return {domain: list(keys) for domain, keys in found.items()}


def _started(graph: HomeGraph, source: str, effect: tuple[str, list[str | None], str], trigger: Edge) -> Iterator[Link]:
    by, states, detail = effect
    for waits in trigger.evidence:
        fitting = [one for one in states if one is None or waits.state is None or one == waits.state]
        if waits.source != "observed" and fitting:
            both = f"{detail}; {waits.detail}"
            seen = _seen(graph, source, trigger.target)
            yield Link(source, trigger.target, by, fitting[0] or waits.state, both, *seen)


def _dependencies(graph: HomeGraph) -> nx.DiGraph[str]:
    """Return the links as a graph of automations and scripts alone; of several between two, the one seen most."""
    found: nx.DiGraph[str] = nx.DiGraph()
    for link in sorted(links(graph), key=lambda link: link.observed):
        found.add_edge(link.source, link.target, link=link)
    return found


def cycles(graph: HomeGraph) -> list[Cycle]:
    """Return circles, the shortest first, at most `MAX_CYCLES`. One that was observed comes before one that was not."""
    return graph.derived(_find_cycles)


def _find_cycles(graph: HomeGraph) -> list[Cycle]:
    dependencies = graph.derived(_dependencies)
    found: list[Cycle] = []
    for group in nx.strongly_connected_components(dependencies):
        part = dependencies.subgraph(group)
        for routines in nx.simple_cycles(part, length_bound=_MAX_LENGTH):
            found.append(_cycle(part, routines))
            if len(found) >= MAX_CYCLES:
                break
    return sorted(found, key=lambda cycle: (-cycle.observed, len(cycle.routines), cycle.routines))[:MAX_CYCLES]


def _cycle(part: nx.DiGraph[str], routines: list[str]) -> Cycle:
    first = routines.index(min(routines))
    ordered = [*routines[first:], *routines[:first]]
    steps = [part.edges[one, other]["link"] for one, other in zip(ordered, [*ordered[1:], ordered[0]], strict=True)]
    seldom = min(steps, key=lambda step: step.observed)
    return Cycle(tuple(ordered), tuple(steps), seldom.observed, seldom.last_us)


def chains(graph: HomeGraph, routine: str) -> list[tuple[Link, ...]]:
    """Return the chains that an automation may set off, each as far as it goes (a circle ends where it closes)."""
    after = graph.derived(_after)
    found: list[tuple[Link, ...]] = []

    def follow(chain: tuple[Link, ...], seen: frozenset[str]) -> None:
        here = chain[-1].target if chain else routine
        further = [link for link in after.get(here, ()) if link.target not in seen]
        if chain and (not further or len(chain) >= _MAX_CHAIN):
            found.append(chain)
            return
        for link in further:
            if len(found) < MAX_CYCLES:
                follow((*chain, link), seen | {link.target})

    follow((), frozenset((routine,)))
    return found


def _after(graph: HomeGraph) -> dict[str, list[Link]]:
    found: dict[str, list[Link]] = {}
    for link in links(graph):
        found.setdefault(link.source, []).append(link)
    return found


def order(graph: HomeGraph) -> list[list[str]]:
    """Return automations and scripts in the order in which they can set each other off; a circle is one step."""
    return graph.derived(_find_order)


def _find_order(graph: HomeGraph) -> list[list[str]]:
    condensed = nx.condensation(graph.derived(_dependencies))
    return [sorted(condensed.nodes[step]["members"]) for step in nx.topological_sort(condensed)]


def conflicts(graph: HomeGraph) -> list[Conflict]:
    """Return entities that more than one automation or script writes, those that are fought over first."""
    return graph.derived(_find_conflicts)


def _find_conflicts(graph: HomeGraph) -> list[Conflict]:
    found = []
    for node in graph.nodes():
        if ":" in node.key or node.kind == "script":
            continue
        writers = {
            edge.source: _written(edge)
            for edge in graph.into(node.key, "controls")
            if graph.node(edge.source).kind in ("automation", "script") and _written(edge) != [STARTED]
        }
        if len(writers) > 1:
            found.append(Conflict(node.key, writers, _is_fight(graph, writers)))
    return sorted(found, key=lambda conflict: (not conflict.is_fight, -len(conflict.writers), conflict.entity_id))


def _written(edge: Edge) -> list[str | None]:
    """Return the states that a call leads to; what was merely seen does not say which."""
    return sorted({one.state for one in edge.evidence if one.source != "observed"} or {None}, key=str)


def _is_fight(graph: HomeGraph, writers: dict[str, list[str | None]]) -> bool:
    """Tell whether two want different states, and may want them at once.

    That is so where one change may start both - of the same entity, to the same or to any state - and where they
    set each other off.
    """
    # By what may start them, and the state that it must come to: what those want. Two that want the same are one.
    started: dict[tuple[str | int, str | None], set[frozenset[str]]] = {}
    circles = graph.derived(_circles)
    for writer, states in writers.items():
        wanted = frozenset(state for state in states if state)
        ways: list[tuple[str | int, str | None]] = [
            (edge.source, state) for edge in graph.into(writer, "triggers") for state in _waited_for(edge)
        ]
        if writer in circles:
            ways.append((circles[writer], None))
        for way in ways if wanted else ():
            started.setdefault(way, set()).add(wanted)
    return any(len(wants | started.get((by, None), set())) > 1 for (by, _), wants in started.items())


def _waited_for(trigger: Edge) -> set[str | None]:
    return {one.state for one in trigger.evidence if one.source != "observed"} or {None}


def _circles(graph: HomeGraph) -> dict[str, int]:
    """Return for each routine that can set itself off again a number of the knot of circles that it is in."""
    knots = nx.strongly_connected_components(graph.derived(_dependencies))
    return {key: number for number, knot in enumerate(knots) if len(knot) > 1 for key in knot}


def prepare(graph: HomeGraph) -> None:
    """Find what every question about automations needs, so that each is answered at once."""
    cycles(graph), conflicts(graph), order(graph)


def never_ran(graph: HomeGraph) -> list[str]:
    """Return automations that have not run since they are there, as Home Assistant and what was observed say."""
    return [key for key in never_seen(graph) if graph.node(key).data.get("has_run") is False]


def never_seen(graph: HomeGraph) -> list[str]:
    """Return automations that were not seen to run or to do anything, since observation began."""
    return sorted(node.key for node in graph.nodes("automation") if not _was_seen(graph, node.key))


def _was_seen(graph: HomeGraph, key: str) -> bool:
    edges = [*graph.into(key, "triggers", "starts"), *graph.out(key, "controls", "starts")]
    return any(one.source == "observed" for edge in edges for one in edge.evidence)
