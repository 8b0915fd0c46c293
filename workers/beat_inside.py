"""Beat as a thread of a worker node, for machines where a process of its own is too much; decides not what is due."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from celery import Celery, signals
from celery.beat import Service

from workers.pulse import SILENT_S

_log: Final = structlog.get_logger("workers")
_STOP_WITHIN_S: Final = 2.0


class ServiceOfNode(Service):
    """Celery's beat in a process that is a worker node; whoever hears of it can tell."""


class BeatInside:
    """The same scheduler with the same lock as `ha-ingestor beat`. `fail` is called once it cannot go on."""

    def __init__(
        self, app: Celery, fail: Callable[[], None], *, silent_s: float = SILENT_S, service: Any | None = None
    ) -> None:
        # Left to itself a service takes the scheduler that has no lock, and keeps a file in the working folder.
        self._service = service or ServiceOfNode(app, scheduler_cls=app.conf.beat_scheduler)
        self._fail = fail
        self._silent_s = silent_s
        self._ticked_s: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beat", daemon=True)

    def start(self) -> None:
        """Begin: at first it waits for the lock, which another may hold."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more, and give the lock back; returns within 2 s."""
        self._stop.set()
        self._thread.join(_STOP_WITHIN_S)

    @property
    def acts(self) -> bool:
        """Whether it has the lock, and sends what is due."""
        return self._ticked_s is not None

    def check(self) -> None:
        """Fail where it has not ticked for too long: one that hangs would be missed by nobody else."""
        ticked_s = self._ticked_s
        if ticked_s is not None and not self._stop.is_set() and time.monotonic() - ticked_s > self._silent_s:
            _log.error("beat_hangs", silent_s=round(time.monotonic() - ticked_s))
            self._fail()

    def _run(self) -> None:
        try:
            _ = self._service.scheduler  # RedBeat is imported by making it, and only then hears of the next line
            signals.beat_init.send(sender=self._service)  # RedBeat takes the lock at it
            wait_s = 0.0
            while not self._stop.wait(max(0.0, wait_s)):
                self._ticked_s = time.monotonic()
                wait_s = self._service.scheduler.tick()
            self._service.scheduler.close()
        except Exception:  # noqa: BLE001 -- whatever ends it must end its node, which is then started afresh
            _log.exception("beat_ended")
            if not self._stop.is_set():
                self._fail()
