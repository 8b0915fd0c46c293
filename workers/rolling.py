"""Replaces the workers of an installation one node at a time, so that others work meanwhile; never waits itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from workers.child import Child

#: A stopping node finishes what it has in hand, 30 s at most by its hard time limit; then it is killed.
_STOP_WITHIN_S: Final = 35.0
#: The next node is not stopped before this one works again, or has had so long for it.
_READY_WITHIN_S: Final = 60.0


class Rolling:
    """One round through some processes; `step` is called until it is `over`."""

    def __init__(self, children: Iterable[Child], clock: Callable[[], float] = time.monotonic) -> None:
        self._waiting = [child for child in children if child.pid is not None]
        self._clock = clock
        self._current: Child | None = None
        self._old_pid: int | None = None
        self._since_s = clock()

    @property
    def over(self) -> bool:
        """Tell whether every process was replaced."""
        return self._current is None and not self._waiting

    def step(self) -> str | None:
        """Go on as far as can be gone now; return a sentence for the operator when something happened."""
        if self._current is None:
            return self._next()
        waited_s = self._clock() - self._since_s
        if self._current.pid == self._old_pid:
            if waited_s < _STOP_WITHIN_S:
                return None
            self._current.kill()
            self._old_pid = None
            return f"{self._current.spec.name} did not stop in time and was killed"
        if not self._current.ready and waited_s < _STOP_WITHIN_S + _READY_WITHIN_S:
            return None
        self._current = None
        return self._next() or "all workers were replaced"

    def _next(self) -> str | None:
        if not self._waiting:
            return None
        self._current = self._waiting.pop(0)
        self._old_pid = self._current.pid
        self._since_s = self._clock()
        self._current.replace()
        return f"replacing {self._current.spec.name}"
