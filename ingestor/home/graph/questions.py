"""What people ask of the graph: where things stand, what is related, what uses it, what fails with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from ingestor import errors
from ingestor.home.graph.model import ALL_DOMAINS, Edge, EdgeKind, HomeGraph, Node

#: What is gone when its source is gone.
_CARRIES: Final[tuple[EdgeKind, ...]] = ("contains", "parent", "via")
#: What is gone when its target is gone.
_RESTS_ON: Final[tuple[EdgeKind, ...]] = ("provided_by",)
#: Uses of a thing: by whom, and in which direction.
_USED_INTO: Final[tuple[EdgeKind, ...]] = ("reads", "controls", "uses")
_USED_OUT: Final[tuple[EdgeKind, ...]] = ("triggers",)
#: Kinds of entities that have others as members.
_GROUPS: Final = frozenset(("helper", "entity"))
#: Who is told to lack something.
_LACKING: Final = frozenset(("automation", "script", "scene", "helper", "entity"))
#: Nodes that hold others but do not carry them: a label, an area and a floor may go, what is in them stays.
_ONLY_HOLD: Final = frozenset(("label", "area", "floor", "helper"))


@dataclass(slots=True)
class Branch:
    """A node of the tree and what is in it."""

    node: Node
    branches: list[Branch] = field(default_factory=list)


class Use(msgspec.Struct, frozen=True, gc=False):
    """`user` uses the thing in this way, and why that is known."""

    user: str
    how: EdgeKind
    edge: Edge

    @property
    def observed(self) -> int:
        """How often it was seen."""
        return sum(one.count for one in self.edge.evidence)

    @property
    def configured(self) -> bool:
        """Tell whether a configuration says so."""
        return any(one.source != "observed" for one in self.edge.evidence)


@dataclass(frozen=True, slots=True)
class Impact:
    """What a failure does. `dark`: gone, each with the path from what failed; `affected`: who uses what is gone.

    `seen`: what was seen to go unavailable right after it or something in it, though nothing says that it must.
    """

    failed: str
    dark: dict[str, tuple[str, ...]]
    affected: dict[str, list[Use]]
    seen: list[Edge]


def find(graph: HomeGraph, text: str, *kinds: str) -> Node:
    """Return the node that a person means: a key, an id without its kind, or a name. Raises NotFound: what there is."""
    if text in graph:
        return graph.node(text)
    wanted = text.casefold()
    named = [
        node for node in graph.nodes(*kinds) if wanted in (node.key.partition(":")[2].casefold(), node.name.casefold())
    ]
    if len(named) == 1:
        return named[0]
    if named:
        several = ", ".join(sorted(node.key for node in named)[:5])
        raise errors.NotFound(f"{text!r} is the name of {len(named)} things: say which of {several}")
    near = sorted(
        node.key for node in graph.nodes(*kinds) if wanted in node.key.casefold() or wanted in node.name.casefold()
    )
    hint = f"; there is {', '.join(near[:5])}" if near else "; `ha-ingestor home tree` shows what there is"
    raise errors.NotFound(f"the home has no {text!r}{hint}")


def _by_name(graph: HomeGraph) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for node in graph.nodes():
        for name in {node.key.partition(":")[2].casefold(), node.name.casefold()} - {""}:
            found.setdefault(name, []).append(node)
    return found


def tree(graph: HomeGraph) -> list[Branch]:
    """Return floors with their areas, devices and entities; then areas without a floor, and what stands nowhere."""
    return graph.derived(_find_tree)


def _find_tree(graph: HomeGraph) -> list[Branch]:
    placed: set[str] = set()
    floors = [_branch(graph, node, placed) for node in _sorted(graph.nodes("floor"))]
    areas = [_branch(graph, node, placed) for node in _sorted(graph.nodes("area")) if node.key not in placed]
    devices = [_branch(graph, node, placed) for node in _sorted(graph.nodes("device")) if node.key not in placed]
    loose = [Branch(node) for node in _sorted(graph.nodes("entity", "helper", "person")) if node.key not in placed]
    rest = [_nowhere("devices", devices), _nowhere("entities", loose)]
    return [*floors, *areas, *(branch for branch in rest if branch.branches)]


def _nowhere(what: str, branches: list[Branch]) -> Branch:
    return Branch(Node(f"nowhere:{what}", "nowhere", f"{what.capitalize()} without an area"), branches)


def _sorted(nodes: Iterable[Node]) -> list[Node]:
    return sorted((node for node in nodes if not node.missing), key=lambda node: (node.name or node.key).casefold())


def _branch(graph: HomeGraph, node: Node, placed: set[str]) -> Branch:
    placed.add(node.key)
    below = [edge.target for edge in graph.out(node.key, "contains", "parent") if edge.target not in placed]
    if node.kind == "area":
        # An entity with an area of its own stands there, not where its device stands.
        below.sort(key=lambda key: graph.node(key).kind == "device")
    branches = [
        _branch(graph, graph.node(key), placed)
        for key in below
        if key not in placed and not graph.node(key).missing and not _stands_elsewhere(graph, key, node)
    ]
    return Branch(node, sorted(branches, key=lambda one: (one.node.name or one.node.key).casefold()))


def _stands_elsewhere(graph: HomeGraph, key: str, parent: Node) -> bool:
    if parent.kind in ("area", "floor"):
        return False
    areas = [edge.source for edge in graph.into(key, "contains") if graph.node(edge.source).kind == "area"]
    return bool(areas) and "." in key


def related(graph: HomeGraph, key: str) -> dict[str, list[Use]]:
    """Return everything that is one step away, by the kind of thing."""
    found: dict[str, list[Use]] = {}
    for edge in graph.out(key):
        found.setdefault(graph.node(edge.target).kind, []).append(Use(edge.target, edge.kind, edge))
    for edge in graph.into(key):
        found.setdefault(graph.node(edge.source).kind, []).append(Use(edge.source, edge.kind, edge))
    return {kind: sorted(uses, key=lambda use: use.user) for kind, uses in sorted(found.items())}


def around(graph: HomeGraph, key: str) -> set[str]:
    """Return all that Home Assistant's own `search/related` would name, and more: also what is related over a step.

    What is in it, who uses any of that, what it names itself, and where all this stands and comes from.
    """
    inside = _closure({key}, lambda here: [edge.target for edge in graph.out(here, "contains", "parent")])
    inside |= _closure({key}, lambda here: [edge.source for edge in graph.into(here, "provided_by")])
    inside |= _closure(inside, lambda here: [edge.target for edge in graph.out(here, "contains", "parent")])
    users = {use.user for one in inside for use in _uses(graph, one)}
    named = {edge.target for edge in graph.out(key, "controls", "reads", "uses", "fires")}
    named |= {edge.source for edge in graph.into(key, "triggers")}
    named |= {edge.target for one in named if graph.node(one).kind == "scene" for edge in graph.out(one, "controls")}
    outside = _closure({key, *named, *inside}, lambda here: _holders(graph, here))
    return (inside | users | named | outside) - {key}


def _holders(graph: HomeGraph, key: str) -> list[str]:
    holders = [edge.source for edge in graph.into(key, "contains", "parent")]
    return holders + [edge.target for edge in graph.out(key, "provided_by")]


def _closure(start: set[str], step: Callable[[str], list[str]]) -> set[str]:
    found, waiting = set(start), list(start)
    while waiting:
        further = [key for key in step(waiting.pop()) if key not in found]
        found.update(further)
        waiting.extend(further)
    return found


def uses(graph: HomeGraph, key: str) -> list[Use]:
    """Return every use of a thing, configured or observed: who would notice if it were deleted or renamed."""
    return sorted(_uses(graph, key), key=lambda use: (not use.configured, -use.observed, use.user))


def _uses(graph: HomeGraph, key: str) -> Iterator[Use]:
    for edge in graph.into(key):
        if edge.kind in _USED_INTO or (edge.kind == "contains" and graph.node(edge.source).kind in _GROUPS):
            yield Use(edge.source, edge.kind, edge)
    for edge in graph.out(key, *_USED_OUT):
        yield Use(edge.target, edge.kind, edge)
    if ":" not in key:
        # Who goes by all entities, or by all of a domain, goes by this one too.
        for group in (f"domain:{key.partition('.')[0]}", ALL_DOMAINS):
            yield from _uses(graph, group) if group in graph else ()


def path(graph: HomeGraph, start: str, end: str) -> list[Edge]:
    """Return the edges of a shortest way from one thing to another, whichever way each points; none: there is no way.

    Of ways of one length that is taken whose things come first by their keys.
    """
    before: dict[str, Edge] = {}
    waiting = deque([start])
    seen = {start}
    while waiting and end not in seen:
        here = waiting.popleft()
        edges = [*graph.out(here), *graph.into(here)]
        for further, edge in sorted(((_other_end(edge, here), edge) for edge in edges), key=lambda one: one[0]):
            if further not in seen:
                seen.add(further)
                before[further] = edge
                waiting.append(further)
    found: list[Edge] = []
    while end != start and end in before:
        found.append(before[end])
        end = _other_end(before[end], end)
    return found[::-1]


def _other_end(edge: Edge, key: str) -> str:
    return edge.target if edge.source == key else edge.source


def impact(graph: HomeGraph, key: str) -> Impact:
    """Return what goes dark if this fails, step by step, and which routines then lack something."""
    dark: dict[str, tuple[str, ...]] = {key: ()}
    waiting = deque([key])
    while waiting:
        here = waiting.popleft()
        for further in _falls_with(graph, here):
            if further not in dark:
                dark[further] = (*dark[here], here)
                waiting.append(further)
    affected: dict[str, list[Use]] = {}
    for gone in dark:
        for use in _uses(graph, gone):
            if use.user not in dark and graph.node(use.user).kind in (
                "automation",
                "script",
                "scene",
                "helper",
                "entity",
            ):
                affected.setdefault(use.user, []).append(use)
    seen = [edge for gone in dark for edge in graph.out(gone, "lost_with") if edge.target not in dark]
    del dark[key]
    return Impact(key, dark, affected, seen)


def _falls_with(graph: HomeGraph, key: str) -> list[str]:
    kind = graph.node(key).kind
    carried = [] if kind in _ONLY_HOLD else [edge.target for edge in graph.out(key, *_CARRIES)]
    if kind in ("automation", "script", "scene", "person", "entity"):
        carried = []
    rests = [edge.source for edge in graph.into(key, *_RESTS_ON)]
    needs = [
        edge.source
        for edge in graph.into(key, "uses")
        if kind == "integration" and edge.source.startswith("integration:")
    ]
    return [*carried, *rests, *needs]
