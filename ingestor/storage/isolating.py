"""Finds the points that a store fails over by halving what it is sent, and refuses them alone; decides on no batch.

Only for a batch that failed for long while others passed (`ingestor.storage.suspects`). Sending a good point again does
no harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from ingestor import errors
from ingestor.events.point import Point
from ingestor.storage.port import PointSink, Rejection, WriteResult

REASON: Final = "store_fails"
#: A task has 25 s; what is not found by then is refused together: it can be replayed from the quarantine.
_LONGEST_S: Final = 8.0
#: A point alone is sent so often before it is blamed: a store may fail now and then for reasons of its own.
_TRIES: Final = 3
_PAUSE_S: Final = 0.2


class IsolatingStore:
    """Writes points to a store; those that it fails over are refused, with the store's words."""

    def __init__(
        self,
        store: PointSink,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._clock = clock
        self._pause = pause

    def write(self, points: Sequence[Point]) -> WriteResult:
        """Store points. Raises StoreUnavailable and StoreRefused, but not for what the store only fails over."""
        until_s = self._clock() + _LONGEST_S
        waiting = [(0, len(points))]
        refused: list[Rejection] = []
        repaired = 0
        while waiting:
            first, last = waiting.pop()
            try:
                result = self._ask(points[first:last], until_s)
            except errors.StoreUnavailable as error:
                if not error.broken:
                    raise
                if last - first > 1 and self._clock() < until_s:
                    middle = (first + last) // 2
                    waiting += [(middle, last), (first, middle)]
                else:
                    refused += [_rejection(index, last - first, error) for index in range(first, last)]
            else:
                refused += [Rejection(first + one.index, one.reason, one.detail) for one in result.rejected]
                repaired += result.repaired
        return WriteResult(len(points) - len(refused), refused, repaired)

    def _ask(self, part: Sequence[Point], until_s: float) -> WriteResult:
        for _ in range(_TRIES - 1 if len(part) == 1 else 0):
            try:
                return self._store.write(part)
            except errors.StoreUnavailable as error:
                if not error.broken or self._clock() > until_s:
                    raise
                self._pause(_PAUSE_S)
        return self._store.write(part)


def _rejection(index: int, together: int, error: errors.StoreUnavailable) -> Rejection:
    among = "" if together == 1 else f" together with {together - 1} others"
    return Rejection(index, REASON, f"the store takes other events and fails over this one{among}: {error}")
