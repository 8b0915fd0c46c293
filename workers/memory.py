"""Gives memory back that a rare task took for a moment: a report, an hour judged; the steps of a batch keep theirs."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Any, Final

from ingestor.queue.names import PIPELINE

#: Looking through the heap takes some milliseconds, and small rare tasks come every few seconds.
_EVERY_S: Final = 10.0
_STEPS: Final = tuple(f"tasks.{step.value}." for step in PIPELINE)


def trimmer() -> Callable[[], object]:
    """Return what has the C library give back what is free; where it is another one than GNU's, nothing."""
    trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return (lambda: None) if trim is None else (lambda: trim(0))


class GivesBack:
    """Gives back after rare tasks, once in a while. For one process."""

    def __init__(
        self, trim: Callable[[], object] | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trim = trim or trimmer()
        self._clock = clock
        self._next_s = 0.0

    def after(self, task: str) -> None:
        """Look whether there is anything to give back, a task of that name having ended."""
        if task.startswith(_STEPS) or self._clock() < self._next_s:
            return
        self._trim()
        self._next_s = self._clock() + _EVERY_S
