"""A thread that does one step after another until it is stopped; it outlives a step that fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

_log: Final = structlog.get_logger(__name__)
_AFTER_FAILURE_S: Final = 1.0


class Loop:
    """Calls `step` again and again; it returns the longest pause in seconds until its next turn."""

    def __init__(self, name: str, step: Callable[[], float]) -> None:
        self._name = name
        self._step = step
        self._awake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """End the present pause."""
        self._awake.set()

    def stop(self, timeout_s: float) -> None:
        """Let the present step end, and no other begin."""
        self._stopping = True
        self._awake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping:
            pause_s = self._one_step()
            if pause_s > 0:
                self._awake.wait(pause_s)
            self._awake.clear()

    def _one_step(self) -> float:
        try:
            return self._step()
        except Exception:  # noqa: BLE001 -- the listener lives by this thread: it must outlive what nobody thought of
            _log.exception("step_failed", thread=self._name)
            return _AFTER_FAILURE_S
