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
from ingestor.queue.asking import ask_for
from tasks.resources import resources

T = TypeVar("T")

#: How long a task waits for peers, all together, before it puts its batch back. A last call may take 12 s more
#: (storage.timeout_s), and that is still below the soft time limit (25 s).
PATIENCE_S: Final = 11.0
#: A store that is back must not wait for us: while it is away looking costs one call of the state server.
_LONGEST_PAUSE_S: Final = 1.0
#: Until when (monotonic seconds) the task at work may wait.
_until_s: ContextVar[float] = ContextVar("until_s", default=float("inf"))

#: What the task at work has for the next step, where that is taken in the same process: task name and message.
_following: ContextVar[list[tuple[str, bytes]] | None] = ContextVar("following", default=None)

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
    what goes wrong otherwise is logged, and the journal sends the batch again. What was handed on within this process
    is taken on behind it, in the same task: all its steps share the time of one.
    """
    following: list[tuple[str, bytes]] = []
    until = _until_s.set(min(_until_s.get(), time.monotonic() + PATIENCE_S))
    handed = _following.set(following)
    try:
        with _step(task, step, body, following) as fields:
            yield fields
        for task_name, next_body in following:
            _take_on(task_name, next_body)
    finally:
        _following.reset(handed)
        _until_s.reset(until)


@contextmanager
def _step(
    task: Task[..., None], step: names.TaskType, body: bytes, following: list[tuple[str, bytes]]
) -> Iterator[dict[str, Any]]:
    started = time.perf_counter()
    _count_wait(task, step)
    fields: dict[str, Any] = {"task": task.request.id}
    try:
        yield fields
    except (errors.Transient, errors.StoreRefused) as error:
        following.clear()  # all of it comes again
        _give_back(task, step, body)
        metrics.counter("ingestor_batches_put_back_total", step=step.value, cause=type(error).__name__).inc()
        _log.warning("batch_put_back", step=step.value, error=str(error), **fields)
        _trace(task, step, started, fields, error)
        return
    except SoftTimeLimitExceeded:
        metrics.counter("ingestor_task_failures_total", step=step.value, cause="SoftTimeLimitExceeded").inc()
        _log.error("batch_timed_out", step=step.value, **fields)
        raise
    except Exception as error:
        metrics.counter("ingestor_task_failures_total", step=step.value, cause=type(error).__name__).inc()
        _log.exception("batch_failed", step=step.value, **fields)
        _trace(task, step, started, fields, error)
        raise
    took_s = time.perf_counter() - started
    _trace(task, step, started, fields)
    metrics.histogram("ingestor_step_seconds", step=step.value).observe(took_s)
    _log.info(f"batch_{_DONE[step]}", took_ms=round(took_s * 1000, 1), **fields)


def _trace(
    task: Task[..., None],
    step: names.TaskType,
    started: float,
    fields: dict[str, Any],
    error: Exception | None = None,
) -> None:
    """Make a span of the step where batches are traced; of a message that nobody can read, none."""
    spans = resources().spans
    if spans is None or "batch" not in fields:
        return
    ended_ns = time.time_ns()
    began_ns = ended_ns - int((time.perf_counter() - started) * 1e9)
    told = {name: value for name, value in fields.items() if name != "batch"}
    told["node"] = task.request.hostname
    said = None if error is None else str(error)[:300]
    spans.step(step.value, fields["batch"], began_ns, ended_ns, told, error=said)


def _count_wait(task: Task[..., None], step: names.TaskType) -> None:
    """Count how long the batch waited for a worker. Anybody can put anything into a header."""
    sent_s = getattr(task.request, "sent_s", None)
    if isinstance(sent_s, float):
        metrics.histogram("ingestor_queue_wait_seconds", step=step.value).observe(max(0.0, time.time() - sent_s))


def _take_on(task_name: str, body: bytes) -> None:
    """Do the next step here and now."""
    try:
        current_app.tasks[task_name](body)
    except SoftTimeLimitExceeded:
        raise
    except Exception:  # noqa: BLE001 -- the step's own envelope has said what it was, and this step has done its part
        _log.debug("next_step_failed", task=task_name)


_DONE: Final = {
    names.TaskType.VALIDATE: "validated",
    names.TaskType.ENRICH: "enriched",
    names.TaskType.WRITE: "written",
}


def _give_back(task: Task[..., None], step: names.TaskType, body: bytes) -> None:
    try:
        put_back(task, step, body)
    except errors.BrokerUnavailable as error:
        # The journal sends it again.
        _log.warning("batch_not_put_back", step=step.value, error=str(error))


def put_back(task: Task[..., None], step: names.TaskType, body: bytes) -> None:
    """Put a batch back to the end of its queue, so that the worker can end this task in its time."""
    request = task.request
    shown = getattr(request, "argsrepr", None)
    ask_for(current_app, task.name, step, body, kwargs=dict(request.kwargs or {}), argsrepr=shown)


def hand_on(step: names.TaskType, task_name: str, batch: Any, *, countdown_s: float = 0.0) -> None:
    """Hand a batch on: to the next step's queue, or in this process (`workers.together`). Raises BrokerUnavailable."""
    told = f"batch {batch.batch_id} {len(batch.events)} events {batch.source} {batch.home}"
    body = message.encode_events(batch)
    if not countdown_s:
        following = _following.get()
        held = resources()
        if following is not None and held.settings.workers.together and not held.pauses.has(step):
            following.append((task_name, body))
            return
        # Celery's own `send_task` takes twice the time: 0.75 ms, and it is spent for each batch and step.
        resources().producer.send(task_name, step.value, body, task_id=str(uuid.uuid4()), shown=f"({told!r},)")
        return
    ask_for(current_app, task_name, step, body, argsrepr=f"({told!r},)", countdown_s=countdown_s)
