"""What is round every pipeline task: time, log line, patience with peers that are away; knows no step."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar

import structlog
from celery import Task, current_app
from celery.exceptions import SoftTimeLimitExceeded
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from ingestor import errors, metrics
from ingestor.queue import message, names
from tasks.resources import resources

T = TypeVar("T")

#: How long a task waits for peers, all together, before it puts its batch back. A last call may take 12 s more
#: (storage.timeout_s), and that is still below the soft time limit (25 s).
PATIENCE_S: Final = 11.0
#: A store that is back must not wait for us: while it is away looking costs one call of the state server.
_LONGEST_PAUSE_S: Final = 1.0
#: Until when (monotonic seconds) the task at work may wait.
_until_s: ContextVar[float] = ContextVar("until_s", default=float("inf"))

_log = structlog.get_logger("tasks")


def patiently(call: Callable[[], T], *, limit_s: float = PATIENCE_S) -> T:
    """Call until it succeeds, with jittered back-off while a peer is away; after the limit raise its error."""
    try:
        return call()
    except (errors.Transient, errors.StoreRefused):
        return _with_patience(call, limit_s)


def _with_patience(call: Callable[[], T], limit_s: float) -> T:
    # Several calls of one task share its time: three waits of 15 s each would break its limit.
    limit_s = min(limit_s, max(0.0, _until_s.get() - time.monotonic()))
    retrying = Retrying(
        retry=retry_if_exception_type((errors.Transient, errors.StoreRefused)),
        wait=wait_random_exponential(multiplier=0.1, max=_LONGEST_PAUSE_S),
        stop=stop_after_delay(limit_s),
        before_sleep=_say_waiting,
    )
    try:
        return retrying(call)
    except RetryError as gave_up:
        raise gave_up.last_attempt.exception() or gave_up from gave_up


def _say_waiting(state: Any) -> None:
    error = state.outcome.exception()
    metrics.counter("ingestor_task_waits_total", peer=type(error).__name__).inc()
    if state.attempt_number == 1:
        _log.warning("waiting", error=str(error), kind=type(error).__name__)


@contextmanager
def envelope(task: Task[..., None], step: names.TaskType, body: bytes) -> Iterator[dict[str, Any]]:
    """Time a step, write its one log line, and see to it that its batch is not lost while a peer is away.

    Yields a dict for the fields of the log line. A batch whose peer stays away goes back to the end of its queue;
    what goes wrong otherwise is logged, and the journal sends the batch again.
    """
    started = time.perf_counter()
    fields: dict[str, Any] = {}
    until = _until_s.set(time.monotonic() + PATIENCE_S)
    try:
        yield fields
    except (errors.Transient, errors.StoreRefused) as error:
        put_back(task, step, body)
        _log.warning("batch_put_back", step=step.value, error=str(error), **fields)
        return
    except SoftTimeLimitExceeded:
        _log.error("batch_timed_out", step=step.value, **fields)
        raise
    except Exception:
        metrics.counter("ingestor_task_failures_total", step=step.value).inc()
        _log.exception("batch_failed", step=step.value, **fields)
        raise
    finally:
        _until_s.reset(until)
    took_s = time.perf_counter() - started
    metrics.histogram("ingestor_step_seconds", step=step.value).observe(took_s)
    _log.info(f"batch_{_DONE[step]}", took_ms=round(took_s * 1000, 1), **fields)


_DONE: Final = {
    names.TaskType.VALIDATE: "validated",
    names.TaskType.ENRICH: "enriched",
    names.TaskType.WRITE: "written",
}


def put_back(task: Task[..., None], step: names.TaskType, body: bytes) -> None:
    """Put a batch back to the end of its queue, so that the worker can end this task in its time."""
    request = task.request
    current_app.send_task(
        task.name,
        args=[body],
        kwargs=dict(request.kwargs or {}),
        queue=step.value,
        argsrepr=getattr(request, "argsrepr", None),
    )


def hand_on(step: names.TaskType, task_name: str, batch: Any, *, countdown_s: float = 0.0) -> None:
    """Enqueue a batch for the next step. Raises BrokerUnavailable where the broker does not take it."""
    told = f"batch {batch.batch_id} {len(batch.events)} events {batch.source} {batch.home}"
    body = message.encode_events(batch)
    if not countdown_s:
        # Celery's own `send_task` takes twice the time: 0.75 ms, and it is spent for each batch and step.
        resources().producer.send(task_name, step.value, body, task_id=str(uuid.uuid4()), shown=f"({told!r},)")
        return
    try:
        current_app.send_task(task_name, args=[body], queue=step.value, argsrepr=f"({told!r},)", countdown=countdown_s)
    except current_app.connection_for_write().recoverable_connection_errors as error:
        raise errors.BrokerUnavailable(f"{type(error).__name__}: {error}") from error
