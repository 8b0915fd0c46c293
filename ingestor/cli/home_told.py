"""How the commands about a home's graph tell what they found: rows for people, objects for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import typer

from ingestor.cli.output import print_json, print_table, say, shown
from ingestor.home.graph.model import ROUTINES
from ingestor.reading import graph as told
from ingestor.wording import number_of

if TYPE_CHECKING:
    from ingestor.home.graph.automations import Conflict, Cycle, Link
    from ingestor.home.graph.model import Edge, HomeGraph
    from ingestor.home.graph.questions import Branch, Impact, Use
    from ingestor.home.traces.model import Failing

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


def say_undecided(known: HomeGraph) -> None:
    """Say where a configuration tells only when it runs what it means."""
    if known.undecided:
        few = ", ".join(known.undecided[:_MOST_EVIDENCE])
        more = f" and {len(known.undecided) - _MOST_EVIDENCE} more" if len(known.undecided) > _MOST_EVIDENCE else ""
        say(f"decided only when it runs: {few}{more}")


def because(use: Use) -> str:
    """Return why a use is known."""
    return evidence_text(use.edge)


def evidence_text(edge: Edge) -> str:
    """Return why an edge is there, in words."""
    told = []
    for one in edge.evidence[:_MOST_EVIDENCE]:
        state = f" to {one.state}" if one.state else ""
        seen = f" {number_of(one.count, 'time')} since {day(one.first_us)}" if one.count else ""
        how = " (as rendered)" if one.source == "render_template" else ""
        told.append(f"seen{seen}" if one.source == "observed" else f"{one.detail}{how}{state}{seen}")
    more = len(edge.evidence) - _MOST_EVIDENCE
    return "; ".join(told) + (f"; {more} more" if more > 0 else "")


def day(time_us: int) -> str:
    """Return a day."""
    return datetime.fromtimestamp(time_us / _US, UTC).date().isoformat()


def lacking(uses: list[Use]) -> str:
    """Return what somebody lacks."""
    return ", ".join(sorted({use.edge.target if use.edge.source == use.user else use.edge.source for use in uses}))


def impact_text(known: HomeGraph, found: Impact) -> str:
    """Return in one sentence how much goes dark, and how many of what lack something."""
    dark = f"{number_of(len(found.dark), 'thing')} dark" if found.dark else "nothing goes dark"
    count = Counter(known.node(key).kind for key in found.affected)
    routines = sum(count.pop(kind, 0) for kind in ROUTINES)
    kinds = [(routines, "routine"), (count["helper"], "helper"), (count.total() - count["helper"], "other thing")]
    affected = ", ".join(number_of(many, what) for many, what in kinds if many)
    return f"{dark}, {affected} affected" if affected else f"{dark}, nothing else is affected"


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
    return f"{number_of(cycle.observed, 'time')}, last {day(cycle.last_us)}" if cycle.observed else ""


def order_rows(order: list[list[str]], links: list[Link]) -> list[list[str]]:
    """Return what can set others off or be set off, in that order, numbered; those of a circle have one number."""
    linked = {key for link in links for key in (link.source, link.target)}
    steps = [step for step in order if linked & set(step)]
    return [[str(number), ", ".join(step)] for number, step in enumerate(steps, 1)]


def failing_rows(failing: dict[str, Failing]) -> list[list[str]]:
    """Return what always fails, how often in a row, and why."""
    return [[key, str(one.runs), day(one.since_us), one.last_step, one.error] for key, one in failing.items()]


def print_chains(chains: list[tuple[Link, ...]], start: str, *, as_json: bool) -> None:
    """Print what a routine sets off."""
    if as_json:
        print_json([[told.link_object(link) for link in chain] for chain in chains])
        return
    rows = [[" → ".join((start, *(f"[{link.by}] {link.target}" for link in chain)))] for chain in chains]
    print_rows(rows, ("what it sets off",), f"{start} sets off nothing that is known")


def print_tree(branches: list[Branch]) -> None:
    """Print the tree, line by line: a home may have tens of thousands."""
    typer.echo("\n".join(line for branch in branches for line in _lines(branch, "", "")))


def _lines(branch: Branch, before: str, below: str) -> Iterator[str]:
    """Yield the lines of a branch: `before` stands before its own, `below` before those of what is in it."""
    node = branch.node
    key = f"  {node.key}" if node.name and node.kind != "nowhere" else ""
    yield before + shown(node.name or node.key) + key
    for number, one in enumerate(branch.branches, 1):
        is_last = number == len(branch.branches)
        yield from _lines(one, below + ("└── " if is_last else "├── "), below + ("    " if is_last else "│   "))
