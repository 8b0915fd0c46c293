"""Nodes and edges of a home's graph, and what is known of each; finds nothing by itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

import msgspec

T = TypeVar("T")
Configured = Literal["contains", "parent", "via", "provided_by", "uses", "triggers", "controls", "reads", "fires"]
#: The last three are only ever observed: a routine set off another one, two changed together, one was lost with one.
EdgeKind = Configured | Literal["starts", "together", "lost_with"]
#: Domains whose entities are a kind of node of their own; those of helpers, and all others.
ROUTINES: Final = frozenset(("automation", "script", "scene"))
HELPERS: Final = frozenset(
    (
        *("input_boolean", "input_number", "input_select", "input_text", "input_datetime", "input_button"),
        *("counter", "timer", "schedule", "group", "todo", "zone"),
    )
)

#: Whoever goes by all entities of the home.
ALL_DOMAINS: Final = "domain:*"
#: Kinds that exist by being named: Home Assistant has no list of them.
_NAMED_ONLY: Final = frozenset(("event", "topic", "blueprint", "user", "domain"))


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """Why an edge is there.

    "configured" (`detail` says where), "render_template" (where a template stands of which Home Assistant said what it
    depends on), or "observed" (so often, from when to when).
    """

    source: Literal["configured", "render_template", "observed"]
    detail: str
    count: int = 0
    first_us: int = 0
    last_us: int = 0
    #: The state that starts a run, or that a call leads to; None: any, or not known.
    state: str | None = None


@dataclass(slots=True)
class Node:
    """One thing. `key` is an entity_id, or `kind:id` for what is no entity. `missing`: named, but the home has none."""

    key: str
    kind: str
    name: str = ""
    missing: bool = False
    data: dict[str, Any] = field(default_factory=dict)


class Edge(msgspec.Struct):
    """`source` contains/triggers/controls/... `target`; `provided_by`: the source is provided by the target."""

    source: str
    target: str
    kind: EdgeKind
    evidence: list[Evidence]


class HomeGraph:
    """The graph of one home, with what follows from it kept once it was asked for. Not to be changed after that."""

    def __init__(self, home: str) -> None:
        self.home = home
        #: What could not be read, in words: an analyst must know what the graph leaves out.
        self.hidden: list[str] = []
        #: Where a configuration says only when it runs what it means.
        self.undecided: list[str] = []
        self._nodes: dict[str, Node] = {}
        self._edges: dict[tuple[str, str, str], Edge] = {}
        self._out: dict[str, list[Edge]] = {}
        self._into: dict[str, list[Edge]] = {}
        self._derived: dict[Callable[[HomeGraph], Any], Any] = {}

    def add(self, node: Node) -> None:
        """Add a node, or fill one that so far was only named."""
        self._nodes[node.key] = node

    def link(self, source: str, target: str, kind: EdgeKind, *evidence: Evidence) -> None:
        """Add an edge, or evidence to it. An end that is not there becomes a missing node."""
        for key in (source, target):
            if key not in self._nodes:
                kind_of_it = kind_of(key)
                self.add(Node(key, kind_of_it, missing=kind_of_it not in _NAMED_ONLY))
        edge = self._edges.get((source, target, kind))
        if edge is None:
            edge = self._edges[source, target, kind] = Edge(source, target, kind, list(evidence))
            self._out.setdefault(source, []).append(edge)
            self._into.setdefault(target, []).append(edge)
            return
        edge.evidence.extend(one for one in evidence if one not in edge.evidence)

    def derived(self, find: Callable[[HomeGraph], T]) -> T:
        """Return what a function finds in this graph; it is asked once."""
        if find not in self._derived:
            self._derived[find] = find(self)
        found: T = self._derived[find]
        return found

    def node(self, key: str) -> Node:
        """Return a node. Raises KeyError."""
        return self._nodes[key]

    def __contains__(self, key: str) -> bool:
        return key in self._nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def nodes(self, *kinds: str) -> Iterator[Node]:
        """Yield nodes of these kinds, or all."""
        return (node for node in self._nodes.values() if not kinds or node.kind in kinds)

    def edges(self) -> Collection[Edge]:
        """Return all edges."""
        return self._edges.values()

    def out(self, key: str, *kinds: EdgeKind) -> list[Edge]:
        """Return the edges that begin at a node."""
        return [edge for edge in self._out.get(key, ()) if not kinds or edge.kind in kinds]

    def into(self, key: str, *kinds: EdgeKind) -> list[Edge]:
        """Return the edges that end at a node."""
        return [edge for edge in self._into.get(key, ()) if not kinds or edge.kind in kinds]

    def label(self, key: str) -> str:
        """Return how people call a node."""
        return self._nodes[key].name or key


def kind_of(key: str) -> str:
    """Return the kind of a node by its key."""
    head, separator, _ = key.partition(":")
    if separator and "." not in head:
        return head
    domain = key.partition(".")[0]
    if domain in ROUTINES or domain == "person":
        return domain
    return "helper" if domain in HELPERS else "entity"
