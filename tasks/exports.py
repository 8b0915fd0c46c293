"""The tasks of export jobs: steps that enqueue themselves, and a look at what nobody works on."""

from __future__ import annotations

import functools
from typing import Final

import structlog
from celery import shared_task

from ingestor import bootstrap, errors
from ingestor.export.jobs.work import step
from ingestor.queue import names
from ingestor.queue.state import state_errors
from tasks.asking import ask_once
from tasks.resources import Resources, resources

_log: Final = structlog.get_logger("tasks")
#: Below a task's 20 s (rule 19): others want the node, too.
_STEP_S: Final = 6.0
#: One task of a job waits in the queue at most; this long, if it is lost.
_QUEUED_S: Final = 30


@shared_task(name=names.LOOK_FOR_EXPORTS)
def look_for_exports() -> None:
    """Enqueue a step for each job that nobody works on, and remove what is too old."""
    held = resources()
    shelf = bootstrap.open_export_shelf(held.settings)
    try:
        for job_id in shelf.expire():
            _log.info("export_expired", job=job_id)
        for job_id in shelf.waiting():
            _enqueue(held, job_id)
    except (errors.IngestorError, OSError) as error:
        _log.warning("exports_not_looked_for", error=str(error), kind=type(error).__name__)


@shared_task(name=names.EXPORT_STEP)
def work_on(job_id: str) -> None:
    """Work a step on an export job; more to do is enqueued."""
    held = resources()
    try:
        with state_errors():
            held.state.delete(_queued_key(job_id))
        open_store = functools.partial(bootstrap.open_store, held.settings)
        if step(bootstrap.open_export_shelf(held.settings), job_id, open_store, for_s=_STEP_S):
            _enqueue(held, job_id)
    except errors.NotFound:
        _log.info("export_removed", job=job_id)
    except errors.Transient as error:
        # What is read is on the disk; the look tries again.
        _log.warning("export_waits", job=job_id, error=str(error), kind=type(error).__name__)


def _enqueue(held: Resources, job_id: str, in_s: float = 0.0) -> None:
    key = _queued_key(job_id)
    ask_once(held.state, key, names.EXPORT_STEP, names.TaskType.HISTORY, job_id, in_s=in_s, expires_s=_QUEUED_S)


def _queued_key(job_id: str) -> str:
    return f"ha_ingestor:export:{job_id}:queued"
