"""Sees to it that a process that was told to stop ends in its time, whatever it waits for; tells nobody to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import Final

import structlog
from billiard.process import active_children

#: A supervisor asks its workers after two seconds at most, and kills who is there after 6.5.
WORKER_ENDS_WITHIN_S: Final = 4.0

_log: Final = structlog.get_logger("workers")
_LAST_WORDS_S: Final = 0.3


def end_worker_within(seconds: float) -> None:
    """End this worker node with its children after so many seconds, if it has not ended by itself.

    Celery waits for tasks that wait for others, and says good-bye to a broker that may not answer, for as long as that
    takes. What a node had in hand is sent again by its journal.
    """
    limit = threading.Timer(seconds, _end_worker, (seconds,))
    limit.daemon = True
    limit.start()


def _end_worker(after_s: float) -> None:
    saying = threading.Thread(target=lambda: _log.warning("worker_stop_overdue", after_s=after_s), daemon=True)
    saying.start()
    saying.join(_LAST_WORDS_S)  # the log may be what it waits for
    for pid in [child.pid for child in active_children() if child.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(0)
