"""The worker nodes under a supervisor: as many of each pool as are wanted; decides not how many."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Final

from ingestor.queue.pools import POOLS
from workers.child import Child, Spec

#: A node that is not wanted any more finishes what it has in hand; then it is killed, and journals send that again.
_STOP_WITHIN_S: Final = 35.0
_PREFIX: Final = "worker-"
#: Who has not shown a sign of life after so long does not keep others from starting: its broker may be away.
_STARTS_WITHIN_S: Final = 15.0


class Crew:
    """Starts and stops nodes among the children of a supervisor; for its thread. `spec_of` names a pool's n-th node.

    `at_once`: how many start at the same time. With more than there are processors all of them would be late.
    """

    def __init__(
        self,
        children: list[Child],
        spec_of: Callable[[str, int], Spec],
        start: Callable[[Spec], Child],
        clock: Callable[[], float] = time.monotonic,
        at_once: int = max(2, os.cpu_count() or 1),
    ) -> None:
        self._children = children
        self._spec_of = spec_of
        self._start = start
        self._clock = clock
        self._at_once = at_once
        self._starting: list[tuple[Child, float]] = []
        self._leaving: dict[str, tuple[Child, float]] = {}

    def step(self, wanted: Mapping[str, int]) -> list[str]:
        """Bring the nodes nearer to what is wanted; return sentences for the operator."""
        said = self._see_off()
        for pool, number in wanted.items():
            there = self._numbers(pool)
            for missing in [one for one in range(1, number + 1) if one not in there]:
                spec = self._spec_of(pool, missing)
                if spec.name not in self._leaving and self._may_start():
                    child = self._start(spec)
                    self._starting.append((child, self._clock()))
                    self._children.append(child)
                    said.append(f"started {spec.name}")
            for one in sorted((one for one in there if one > number), reverse=True):
                child = there[one]
                child.ask_to_stop()
                self._leaving[child.spec.name] = (child, self._clock())
                said.append(f"stopping {child.spec.name}: it is not wanted any more")
        return said

    def running(self) -> dict[str, int]:
        """Return how many nodes of each pool have shown a sign of life."""
        return {pool: sum(child.ready for child in self._numbers(pool).values()) for pool in POOLS}

    def _may_start(self) -> bool:
        """Tell whether another one may start now; who is not at work yet is asked at the next step again."""
        since_s = self._clock() - _STARTS_WITHIN_S
        self._starting = [
            (child, at_s)
            for child, at_s in self._starting
            if at_s > since_s and child.pid is not None and not child.ready
        ]
        return len(self._starting) < self._at_once

    def _numbers(self, pool: str) -> dict[int, Child]:
        """Return the nodes of a pool that stay, by their numbers."""
        found = {}
        for child in self._children:
            kind, number = _pool_and_number(child.spec.name)
            if kind == pool and child.spec.name not in self._leaving:
                found[number] = child
        return found

    def _see_off(self) -> list[str]:
        said = []
        for name, (child, since_s) in list(self._leaving.items()):
            late = self._clock() - since_s > _STOP_WITHIN_S
            if child.pid is not None and not late:
                continue
            child.kill()
            self._children.remove(child)
            del self._leaving[name]
            said.append(f"{name} did not stop in time and was killed" if late else f"{name} stopped")
        return said


def _pool_and_number(name: str) -> tuple[str, int]:
    kind, _, number = name.removeprefix(_PREFIX).rpartition("-")
    if not name.startswith(_PREFIX):
        return "", 0
    return (kind, int(number)) if kind and number.isdigit() else (name.removeprefix(_PREFIX), 1)
