"""What was observed, within one process: for tests and for trying things out."""

from __future__ import annotations

from collections.abc import Sequence

from ingestor.events.observed import EntityPattern, ObservedEdge, ObservedPage
from ingestor.storage.observed import MAX_EDGES, MAX_PATTERNS, Learned, summed


class MemoryObserved:
    """Edges and patterns in dicts."""

    def __init__(self, *, max_edges: int = MAX_EDGES, max_patterns: int = MAX_PATTERNS) -> None:
        self._max_edges = max_edges
        self._max_patterns = max_patterns
        self._pages: dict[str, int] = {}
        self._edges: dict[str, dict[tuple[str, str, str], ObservedEdge]] = {}
        self._learned: dict[str, dict[str, Learned]] = {}

    def add(self, pages: Sequence[ObservedPage]) -> None:
        """Add pages, each once."""
        for page in pages:
            if page.number > self._pages.get(page.worker, 0):
                self._pages[page.worker] = page.number
                self._add(page)

    def _add(self, page: ObservedPage) -> None:
        edges = self._edges.setdefault(page.home, {})
        for edge in page.edges:
            key = (edge.kind, edge.source, edge.target)
            edges[key] = summed(edges.get(key), edge)
        learned = self._learned.setdefault(page.home, {})
        for activity in page.activity:
            for entity_id, events in activity.events.items():
                learned.setdefault(entity_id, Learned()).learn(activity, events)

    def load(self, home: str) -> list[ObservedEdge]:
        """Return all edges of a home, the commonest first."""
        edges = self._edges.get(home, {}).values()
        return sorted(edges, key=lambda edge: (-edge.count, edge.kind, edge.source, edge.target))

    def pattern(self, home: str, entity_id: str) -> EntityPattern | None:
        """Return the pattern of an entity."""
        learned = self._learned.get(home, {}).get(entity_id)
        return learned.pattern(entity_id) if learned else None

    def patterns(self, home: str) -> list[EntityPattern]:
        """Return the patterns of all entities of a home."""
        return [learned.pattern(name) for name, learned in self._learned.get(home, {}).items()]

    def trim(self) -> None:
        """Let go what is more than is kept of a home."""
        for edges in self._edges.values():
            for kind in {edge.kind for edge in edges.values()}:
                some = sorted((edge.last_us, key) for key, edge in edges.items() if edge.kind == kind)
                for _, key in some[: -self._max_edges]:
                    del edges[key]
        for learned in self._learned.values():
            for _, name in sorted((one.last_us, name) for name, one in learned.items())[: -self._max_patterns]:
                del learned[name]
