"""Builds a graph together with what questions need that concern all of it, so that each is answered at once."""

from __future__ import annotations

from collections.abc import Iterable

from ingestor.events.observed import ObservedEdge
from ingestor.home.graph import automations, questions
from ingestor.home.graph.build import Objects, build_graph
from ingestor.home.graph.model import HomeGraph


def ready_graph(home: str, objects: Objects, observed: Iterable[ObservedEdge] = ()) -> HomeGraph:
    """Return the graph of a home, with its circles, conflicts, order and tree found."""
    graph = build_graph(home, objects, observed)
    automations.prepare(graph)
    questions.tree(graph)
    return graph
