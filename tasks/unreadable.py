"""Queue messages that are none of ours, whatever the task: puts them into the quarantine; decodes none."""

from __future__ import annotations

import time
from typing import Final

import structlog
from celery import Task

from ingestor import errors, metrics
from ingestor.queue import message
from ingestor.storage.quarantine import Quarantined
from tasks.envelope import patiently
from tasks.resources import resources

#: A task's id begins with the id of its batch, a ULID.
BATCH_ID_LENGTH: Final = 26
_log: Final = structlog.get_logger("tasks")


def put_aside_unreadable(task: Task[..., None], body: bytes, error: errors.UnreadableMessage) -> bool:
    """Keep a queue message that is none of ours in the quarantine; False where it is not unreadable for ever.

    What a newer program wrote is let go: its journal sends it again, and by then it may find a worker of today.
    """
    if error.reason == message.NEWER_VERSION:
        _log.warning("message_of_newer_version", task=task.name, detail=error.detail)
        return False
    piece = Quarantined(
        batch_id=str(task.request.id)[:BATCH_ID_LENGTH],
        slot=-1,
        home="-",
        source="queue",
        reason=error.reason,
        detail=error.detail,
        raw=body,
        received_ns=time.time_ns(),
        kind=task.name,
        form="message",
    )
    patiently(lambda: resources().quarantine.put([piece]))
    metrics.counter("ingestor_rejections_total", reason=piece.reason).inc()
    return True
