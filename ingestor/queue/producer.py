"""Sending tasks, and nothing else: no results, no retries; quick to say that the broker is away."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from amqp.exceptions import AMQPError
from celery import Celery
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from ingestor import errors, redis_sentinel

_CONNECT_S: Final = 3.0
#: Longest wait for the broker's answer: it must stay well below the time after which a batch is sent again.
_ANSWER_S: Final = 5.0
_QUICK: Final = {
    "socket_connect_timeout": _CONNECT_S,
    "socket_timeout": _ANSWER_S,
    "read_timeout": _ANSWER_S,
    "write_timeout": _ANSWER_S,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}


class TaskSender(Protocol):
    """Something that puts a task into a queue."""

    def send(
        self, task: str, queue: str, body: bytes, *, task_id: str, shown: str, kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Send a task whose only argument is `body`; Flower shows `shown` instead. Raises BrokerUnavailable."""
        ...

    def close(self) -> None:
        """Give back the connection."""
        ...


@dataclass(frozen=True, slots=True)
class SentTask:
    """A task as it was sent."""

    task: str
    queue: str
    body: bytes
    task_id: str
    shown: str
    kwargs: dict[str, Any]


@dataclass(slots=True)
class MemoryTaskSender:
    """Tasks within one process, for tests; `away` makes the broker unavailable."""

    sent: list[SentTask] = field(default_factory=list)
    away: bool = False

    def send(
        self, task: str, queue: str, body: bytes, *, task_id: str, shown: str, kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Keep the task."""
        if self.away:
            raise errors.BrokerUnavailable
        self.sent.append(SentTask(task, queue, body, task_id, shown, dict(kwargs or {})))

    def close(self) -> None:
        """Do nothing."""


class Producer:
    """Sends through Celery, on one connection that is made anew after any failure. For one thread."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Any = None
        self._producer: Any = None

    def send(
        self, task: str, queue: str, body: bytes, *, task_id: str, shown: str, kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Send a task; it is with the broker when this returns (AMQP: confirmed). Raises BrokerUnavailable.

        After an error the task may be there all the same: everything that receives one may run twice.
        """
        message = self._app.amqp.create_task_message(
            task_id,
            task,
            args=(body,),
            kwargs=dict(kwargs or {}),
            argsrepr=shown,
            kwargsrepr=repr(dict(kwargs or {})),
            ignore_result=True,
        )
        message.headers["sent_s"] = time.time()  # ingestor/queue/oldest.py
        try:
            with broker_errors():
                self._app.amqp.send_task_message(
                    self._connected(),
                    task,
                    message,
                    queue=queue,
                    serializer="msgpack",
                    retry=False,
                    timeout=_ANSWER_S,
                    confirm_timeout=_ANSWER_S,
                )
        except errors.BrokerUnavailable:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection."""
        drop(self._connection)
        self._connection = self._producer = None

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = connect(self._app)
            self._producer = self._app.amqp.Producer(self._connection, auto_declare=False)
        return self._producer


def connect(app: Celery) -> Any:
    """Return an open connection of its own that fails quickly; the caller closes it."""
    connection: Any = app.connection_for_write(connect_timeout=_CONNECT_S, transport_options=_QUICK)
    try:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=_ANSWER_S)
    except Exception:
        drop(connection)
        raise
    return connection


def drop(connection: Any) -> None:
    """Close a connection that may be broken already."""
    if connection is None:
        return
    with contextlib.suppress(Exception):
        # AMQP says good-bye and waits for the answer; `collect` does not. For other transports it would change
        # the time-out of every socket in the process.
        if hasattr(connection.transport, "_collect"):
            connection.collect()
        else:
            connection.release()


@contextlib.contextmanager
def broker_errors() -> Iterator[None]:
    """Turn what kombu and its transports raise into BrokerUnavailable."""
    try:
        yield
    except (OSError, EOFError, KombuError, AMQPError, RedisError) as error:
        raise errors.BrokerUnavailable(redis_sentinel.told(error)) from error
