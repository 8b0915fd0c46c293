"""How the commands about a home's graph tell what they found: rows for people, objects for programs."""
# ruff: noqa: PLC0415 -- rich is loaded when a tree is printed

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ingestor.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from ingestor.home.graph.automations import Conflict, Cycle, Link
    from ingestor.home.graph.model import Edge, HomeGraph
    from ingestor.home.graph.questions import Branch, Use

_US: Final = 1_000_000
_MOST_EVIDENCE: Final = 3


def print_rows(rows: list[list[str]], columns: tuple[str, ...], nothing: str) -> None:
    """Print a table; where there is nothing to print, say so."""
    if rows:
        print_table(columns, rows)
    else:
        say(nothing)


def say_hidden(known: HomeGraph) -> None:
    """Say what could not be read."""
    if known.hidden:
        few = ", ".join(known.hidden[:_MOST_EVIDENCE])
        more = f" and {len(known.hidden) - _MOST_EVIDENCE} more" if len(known.hidden) > _MOST_EVIDENCE else ""
        say(f"not seen: {few}{more} (an administrator's token shows configurations)")


def because(use: Use) -> str:
    """Return why a use is known."""
    return evidence_text(use.edge)


def evidence_text(edge: Edge) -> str:
    """Return why an edge is there, in words."""
    told = []
    for one in edge.evidence[:_MOST_EVIDENCE]:
        state = f" to {one.state}" if one.state else ""
        seen = f" {one.count} times since {day(one.first_us)}" if one.count else ""
        told.append(f"{one.detail}{state}{seen}" if one.source == "configured" else f"seen{seen}")
    more = len(edge.evidence) - _MOST_EVIDENCE
    return "; ".join(told) + (f"; {more} more" if more > 0 else "")


def day(time_us: int) -> str:
    """Return a day."""
    return datetime.fromtimestamp(time_us / _US, UTC).date().isoformat()


def lacking(uses: list[Use]) -> str:
    """Return what somebody lacks."""
    return ", ".join(sorted({use.edge.target if use.edge.source == use.user else use.edge.source for use in uses}))


def writers(conflict: Conflict) -> str:
    """Return who writes an entity, and which state each leads to."""
    return ", ".join(
        f"{one} ({'/'.join(state or '?' for state in states)})" for one, states in conflict.writers.items()
    )


def circle(cycle: Cycle) -> str:
    """Return the routines of a circle, back to the first."""
    return " → ".join((*cycle.routines, cycle.routines[0]))


def times(cycle: Cycle) -> str:
    """Return how often a circle was seen to go round."""
    return f"{cycle.observed} times, last {day(cycle.last_us)}" if cycle.observed else ""


def print_chains(chains: list[tuple[Link, ...]], start: str, *, as_json: bool) -> None:
    """Print what a routine sets off."""
    if as_json:
        print_json([[link_object(link) for link in chain] for chain in chains])
        return
    rows = [[" → ".join((start, *(f"[{link.by}] {link.target}" for link in chain)))] for chain in chains]
    print_rows(rows, ("what it sets off",), f"{start} sets off nothing that is known")


def print_tree(branches: list[Branch]) -> None:
    """Print the tree."""
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    def grow(tree: Tree, branch: Branch) -> None:
        node = branch.node
        told = Text(node.name or node.key)
        if node.name and node.kind != "nowhere":
            told.append(f"  {node.key}", style="dim")
        below = tree.add(told)
        for one in branch.branches:
            grow(below, one)

    root = Tree("home", hide_root=True)
    for branch in branches:
        grow(root, branch)
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 250).print(root)


def branch_object(branch: Branch) -> dict[str, Any]:
    """Return a branch as the JSON object that is printed."""
    node = branch.node
    inside = [branch_object(one) for one in branch.branches]
    return {"id": node.key, "kind": node.kind, "name": node.name, **({"contains": inside} if inside else {})}


def use_object(use: Use) -> dict[str, Any]:
    """Return a use as the JSON object that is printed."""
    return {"what": use.user, "edge": use.how, **edge_object(use.edge)}


def edge_object(edge: Edge) -> dict[str, Any]:
    """Return an edge as the JSON object that is printed."""
    return {
        "source": edge.source,
        "target": edge.target,
        "evidence": [msgspec.structs.asdict(one) for one in edge.evidence],
    }


def link_object(link: Link) -> dict[str, Any]:
    """Return a link as the JSON object that is printed."""
    return {slot: getattr(link, slot) for slot in link.__slots__}


def conflict_object(conflict: Conflict) -> dict[str, Any]:
    """Return a conflict as the JSON object that is printed."""
    return {"entity_id": conflict.entity_id, "fight": conflict.is_fight, "writers": conflict.writers}


def cycle_object(cycle: Cycle) -> dict[str, Any]:
    """Return a circle as the JSON object that is printed."""
    return {
        "routines": cycle.routines,
        "observed": cycle.observed,
        "last_us": cycle.last_us,
        "links": [link_object(link) for link in cycle.links],
    }
