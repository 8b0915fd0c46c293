"""Celery's consumer, that no message can end: what it stumbles over is rejected and said; runs nothing of it.

Celery leaves its loop for an exception that it does not expect, gives the message back to the queue as it goes, and
meets it again after its restart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import structlog
from celery.worker.consumer import Consumer

from ingestor import metrics

_log: Final = structlog.get_logger("workers")


class StrictConsumer(Consumer):
    """Rejects what cannot be a task of ours."""

    #: What the transport raises; celery-types does not list them.
    connection_errors: tuple[type[Exception], ...]
    channel_errors: tuple[type[Exception], ...]

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        """Return what takes a message from the queue."""
        receive = super().create_task_handler(*args, **options)
        # The connection's errors are the loop's own business, and so is the end of the worker (no Exception).
        loops_own: tuple[type[BaseException], ...] = (*self.connection_errors, *self.channel_errors)

        def receive_or_reject(message: Any) -> Any:
            try:
                return receive(message)
            except loops_own:
                raise
            except Exception as error:  # noqa: BLE001 -- a forged message may fail anywhere in Celery
                self._reject(message, error)

        return receive_or_reject

    def _reject(self, message: Any, error: Exception) -> None:
        metrics.counter("ingestor_messages_refused_total").inc()
        _log.error("message_refused", error=f"{type(error).__name__}: {error}"[:300])
        message.reject_log_error(_log, self.connection_errors)
