"""The index of what was written, within one process: for tests and for trying things out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from ingestor.storage.written import CLAIM, Mark

#: Two generations cover the window, a third is being filled. Each costs a look-up of every key: few are better.
GENERATIONS: Final = 3


class MemoryWrittenIndex:
    """Generations of marks, the newest first; the oldest is forgotten as a whole."""

    def __init__(self, *, window_s: float = 600, most: int = 250_000, clock: Callable[[], float] = time.time) -> None:
        self._width_s = window_s / (GENERATIONS - 1)
        self._most = max(1, most // GENERATIONS)
        self._clock = clock
        self._homes: dict[str, list[tuple[float, dict[bytes, Mark]]]] = {}

    def look(self, home: str, keys: Sequence[bytes]) -> list[Mark | None]:
        """Return what is remembered for each key."""
        return [self._find(home, key) for key in keys]

    def claim(self, home: str, marks: Sequence[Mark]) -> list[Mark | None]:
        """Remember points that are about to be written; return what was there before, claims included."""
        return [self._record(home, mark._replace(richness=CLAIM)) for mark in marks]

    def record(self, home: str, marks: Sequence[Mark]) -> list[Mark | None]:
        """Remember points that the store has taken; return what was written there before."""
        found = [self._record(home, mark) for mark in marks]
        return [before if before and before.richness != CLAIM else None for before in found]

    def count(self) -> int:
        """Return how many marks are remembered."""
        return sum(len(marks) for home in self._homes for _, marks in self._live(home))

    def _record(self, home: str, mark: Mark) -> Mark | None:
        before = self._find(home, mark.key)
        if before is None or (before.identity == mark.identity and before.richness < mark.richness):
            first = mark.batch if before is None or before.richness == CLAIM else before.batch
            self._current(home)[mark.key] = mark._replace(batch=first)
        return before

    def _find(self, home: str, key: bytes) -> Mark | None:
        return next((marks[key] for _, marks in self._live(home) if key in marks), None)

    def _live(self, home: str) -> list[tuple[float, dict[bytes, Mark]]]:
        oldest = self._clock() - self._width_s * GENERATIONS
        return [generation for generation in self._homes.get(home, []) if generation[0] > oldest]

    def _current(self, home: str) -> dict[bytes, Mark]:
        now = self._clock()
        live = self._live(home)
        if not live or now - live[0][0] >= self._width_s or len(live[0][1]) >= self._most:
            live.insert(0, (now, {}))
        self._homes[home] = live[:GENERATIONS]
        return live[0][1]
