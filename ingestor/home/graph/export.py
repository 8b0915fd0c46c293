"""The graph in the forms that other tools read: JSON (node-link), GraphML, DOT and Mermaid; changes nothing."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import networkx as nx

from ingestor.home.graph.model import Edge, HomeGraph

#: What a Mermaid page draws unless it is told otherwise; a diagram itself may not ask for more.
MERMAID_EDGES: Final = 500
MERMAID_SIGNS: Final = 50_000
#: Signs that a line of DOT or Mermaid cannot hold in a name.
_QUOTES: Final = str.maketrans({'"': "'", "`": "'", "\n": " ", "\r": " ", "\\": "/"})


def as_json(graph: HomeGraph) -> str:
    """Return nodes and edges with their evidence, in networkx's node-link form."""
    nodes = [
        {"id": node.key, "kind": node.kind, "name": node.name, "missing": node.missing, **node.data}
        for node in graph.nodes()
    ]
    edges = [
        {
            "source": edge.source,
            "target": edge.target,
            "key": edge.kind,
            "evidence": [msgspec.structs.asdict(one) for one in edge.evidence],
        }
        for edge in graph.edges()
    ]
    about = {"home": graph.home, "hidden": graph.hidden, "undecided": graph.undecided}
    whole = {"directed": True, "multigraph": True, "graph": about, "nodes": nodes, "edges": edges}
    return msgspec.json.format(msgspec.json.encode(whole), indent=1).decode()


def as_graphml(graph: HomeGraph) -> str:
    """Return GraphML, as Gephi, yEd and networkx read it: kind, name and the evidence as text."""
    plain: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for node in graph.nodes():
        plain.add_node(_xml(node.key), kind=node.kind, name=_xml(node.name), missing=node.missing)
    for number, edge in enumerate(graph.edges()):
        plain.add_edge(
            _xml(edge.source),
            _xml(edge.target),
            # GraphML takes it as the edge's id, of which there may be no two.
            key=f"e{number}",
            kind=edge.kind,
            evidence=_xml(_told(edge)),
            count=_count(edge),
        )
    out = io.BytesIO()
    nx.write_graphml(plain, out)
    return out.getvalue().decode()


def as_dot(graph: HomeGraph) -> str:
    """Return DOT, as Graphviz reads it."""
    lines = ["digraph home {", "  rankdir=LR;", "  node [shape=box];"]
    for node in graph.nodes():
        style = ", style=dashed" if node.missing else ""
        lines.append(f'  "{_quoted(node.key)}" [label="{_quoted(node.name or node.key)}\\n{node.kind}"{style}];')
    lines += [
        f'  "{_quoted(edge.source)}" -> "{_quoted(edge.target)}" [label="{_short(edge)}"];' for edge in graph.edges()
    ]
    return "\n".join([*lines, "}", ""])


def as_mermaid(graph: HomeGraph) -> str:
    """Return a Mermaid flowchart, as Markdown pages show it."""
    names = {node.key: f"n{number}" for number, node in enumerate(graph.nodes())}
    lines = ["flowchart LR"]
    lines += [f'  {names[node.key]}["{_quoted(node.name or node.key)}<br/>{node.kind}"]' for node in graph.nodes()]
    lines += [f'  {names[edge.source]} -->|"{_short(edge)}"| {names[edge.target]}' for edge in graph.edges()]
    return "\n".join([*lines, ""])


def is_too_large_for_pages(graph: HomeGraph, mermaid: str) -> bool:
    """Tell whether a page with Mermaid's usual limits refuses to draw this."""
    return len(graph.edges()) > MERMAID_EDGES or len(mermaid) > MERMAID_SIGNS


FORMATS: Final[Mapping[str, Callable[[HomeGraph], str]]] = {
    "json": as_json,
    "graphml": as_graphml,
    "dot": as_dot,
    "mermaid": as_mermaid,
}


def part(graph: HomeGraph, keys: set[str]) -> HomeGraph:
    """Return the graph of these nodes alone."""
    smaller = HomeGraph(graph.home)
    smaller.hidden, smaller.undecided = graph.hidden, graph.undecided
    for key in keys:
        smaller.add(graph.node(key))
    for edge in graph.edges():
        if edge.source in keys and edge.target in keys:
            smaller.link(edge.source, edge.target, edge.kind, *edge.evidence)
    return smaller


def _count(edge: Edge) -> int:
    return sum(one.count for one in edge.evidence)


def _short(edge: Edge) -> str:
    count = _count(edge)
    return f"{edge.kind} {count}x" if count else edge.kind


def _told(edge: Edge) -> str:
    return "; ".join(f"{one.source}: {one.detail}" + (f" {one.count}x" if one.count else "") for one in edge.evidence)


def _quoted(text: str) -> str:
    return text.translate(_QUOTES)


def _xml(text: Any) -> str:
    """Return text without the signs that XML cannot hold at all."""
    return "".join(sign for sign in str(text) if sign in "\t\n\r" or " " <= sign <= "\ud7ff" or sign >= "\ue000")
