"""The graph of a home, kept while nothing of the home changes: building one takes a second for a large home."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final

from ingestor import bootstrap
from ingestor.api.means import Means
from ingestor.home.graph.model import HomeGraph
from ingestor.reading.graph import read_graph

#: What was observed is counted on all the time; it may be so old.
_KEEP_S: Final = 60.0
_MOST_HOMES: Final = 4


@dataclass(frozen=True, slots=True)
class _Kept:
    graph: HomeGraph
    built_us: int
    until_s: float


class Graphs:
    """The graphs of the homes that were asked for last. For many threads."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def of(self, home: str) -> HomeGraph:
        """Return the graph of a home as it is; blocks. Raises NotFound, StoreUnavailable."""
        kept = self._kept.get(home)
        if kept is not None and time.monotonic() < kept.until_s and not self._changed(home, kept):
            return kept.graph
        with self._lock:  # one builds, whoever else asks takes its turn
            built_us = time.time_ns() // 1000
            graph = read_graph(self._means.settings, self._means.metadata(), home)
            if len(self._kept) >= _MOST_HOMES:
                self._kept.clear()
            self._kept[home] = _Kept(graph, built_us, time.monotonic() + _KEEP_S)
            return graph

    def _changed(self, home: str, kept: _Kept) -> bool:
        objects = bootstrap.open_objects(self._means.settings, self._means.metadata())
        return objects.changed_since(home, kept.built_us) > 0
