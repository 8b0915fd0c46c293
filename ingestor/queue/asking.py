"""Asking for a task by its name, once: whoever asks knows what to do where the broker is away."""

from __future__ import annotations

import time
from typing import Any

from celery import Celery

from ingestor.queue import names
from ingestor.queue.producer import broker_errors, connect, drop


def ask_for(
    app: Celery,
    task: str,
    queue: names.TaskType,
    *args: Any,
    expires_s: float | None = None,
    countdown_s: float = 0.0,
    **options: Any,
) -> None:
    """Enqueue a task. Raises BrokerUnavailable: Celery and its transports raise many kinds of errors there."""
    with broker_errors():
        app.send_task(
            task,
            args=list(args),
            queue=queue.value,
            expires=expires_s,
            countdown=countdown_s or None,
            headers={"sent_s": time.time() + countdown_s},  # ingestor/queue/oldest.py
            **options,
        )


def ask_quickly(app: Celery, task: str, queue: names.TaskType, *args: Any, expires_s: float | None = None) -> None:
    """Enqueue a task on a connection of its own, which gives up at once where the broker is away (Celery's take 6 s).

    Raises BrokerUnavailable. For who asks seldom, and has somebody waiting.
    """
    with broker_errors():
        connection = connect(app)
    try:
        ask_for(app, task, queue, *args, expires_s=expires_s, connection=connection, retry=False)
    finally:
        drop(connection)
