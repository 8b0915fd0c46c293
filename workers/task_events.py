"""Task events for Flower at a bounded cost: gathered for half a second, and above some tasks a second a sample.

Celery publishes three events a task, each with a write of its own: at 40 batches a second over three steps that is
half the time of a worker's main process, and as much again in Flower. What a task failed with is always told, and all
counts are exact in `/metrics`; only the list of single tasks is a sample then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher

#: Tasks a second of one node that Flower is told about.
SHOWN_PER_S: Final = 5.0
_BURST: Final = 10.0
_FLUSH_EVERY_S: Final = 0.5
_GATHERED: Final = 500
#: Tasks under way that are shown: what is forgotten here is only not shown.
_MOST_SHOWN: Final = 2000
_RECEIVED: Final = "task-received"
_ENDED: Final = frozenset({"task-succeeded", "task-failed", "task-rejected", "task-revoked", "task-retried"})
_ALWAYS: Final = _ENDED - {"task-succeeded"}


class Sample:
    """Which tasks are shown: a token bucket decides when a task is received, and holds for all its events."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tokens = _BURST
        self._filled_at = clock()
        self._shown: dict[str, None] = {}

    def wants(self, event: str, task_id: str) -> bool:
        """Tell whether an event of a task is told."""
        if event == _RECEIVED:
            if not self._take():
                return False
            if len(self._shown) >= _MOST_SHOWN:
                self._shown.pop(next(iter(self._shown)))
            self._shown[task_id] = None
            return True
        shown = task_id in self._shown
        if event in _ENDED:
            self._shown.pop(task_id, None)
        return shown or event in _ALWAYS

    def _take(self) -> bool:
        now = self._clock()
        self._tokens = min(_BURST, self._tokens + (now - self._filled_at) * SHOWN_PER_S)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class SampledDispatcher(EventDispatcher):
    """Celery's dispatcher, that tells a sample of the tasks and writes what it gathered twice a second."""

    def __init__(self, *args: Any, on_send_buffered: Callable[[], None] | None = None, **options: Any) -> None:
        options["buffer_limit"] = _GATHERED
        super().__init__(*args, **options)
        self._sample = Sample()
        self._write_soon = on_send_buffered
        self._written_at = 0.0

    def send(self, type: str, *args: Any, **fields: Any) -> Any:  # noqa: A002 -- the name that Celery gave it
        """Send an event, or gather it, or leave it out."""
        is_task = type.startswith("task-")
        if is_task and not self._sample.wants(type, str(fields.get("uuid"))):
            return None
        sent = super().send(type, *args, **fields)
        gathers = bool(self.buffer_group)  # type: ignore[attr-defined]  # celery-types does not list it
        if gathers and (not is_task or time.monotonic() - self._written_at >= _FLUSH_EVERY_S):
            # A heartbeat every two seconds takes along what the last task left.
            self._written_at = time.monotonic()
            if self._write_soon is not None:
                self._write_soon()
        return sent


class SampledEvents(Events):
    """What `app.events` is for workers."""

    dispatcher_cls = "workers.task_events:SampledDispatcher"
