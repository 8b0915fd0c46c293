"""Tasks that ask for others: at once or later, once for all who ask, or not at all where the broker is away."""

from __future__ import annotations

from typing import Any, Final

import redis
import structlog
from celery import current_app

from ingestor import errors
from ingestor.queue import names
from ingestor.queue.asking import ask_for
from ingestor.queue.state import state_errors

_log: Final = structlog.get_logger("tasks")


def ask_if_possible(task: str, queue: names.TaskType, *args: Any, expires_s: float | None = None) -> None:
    """Enqueue what beat makes up for if it is not done: a broker that is away is only worth a line in the log."""
    try:
        ask_for(current_app, task, queue, *args, expires_s=expires_s)
    except errors.BrokerUnavailable as error:
        _log.warning("task_not_asked_for", task=task, error=str(error))


def ask_once(
    state: redis.Redis[bytes], key: str, task: str, queue: names.TaskType, home: str, *, in_s: float, expires_s: int
) -> None:
    """Enqueue a task for a home unless one is enqueued already: `key` stands in the state server until it begins.

    Raises BrokerUnavailable and StateUnavailable; whoever asks next may then enqueue it.
    """
    with state_errors():
        first = state.set(key, 1, nx=True, ex=expires_s)
    if not first:
        return
    try:
        ask_for(current_app, task, queue, home, countdown_s=in_s, expires_s=expires_s)
    except errors.BrokerUnavailable:
        with state_errors():
            state.delete(key)
        raise
