"""From which of its queues a worker node takes: from those that nobody paused. What it has in hand it finishes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

import structlog
from celery import Celery

from ingestor import errors
from ingestor.queue.names import TaskType
from ingestor.queue.pauses import Pauses

_log: Final = structlog.get_logger("workers")
_LOOK_EVERY_S: Final = 0.5


class PausableQueues:
    """The queues of this node. `begin` before it takes anything; `step` again and again, in a thread."""

    def __init__(self, pauses: Pauses, last_known: Callable[[], Collection[TaskType]]) -> None:
        self._pauses = pauses
        self._last_known = last_known
        self.served: list[str] = []

    def begin(self, app: Celery) -> None:
        """Learn which queues the node is for; leave out those that are paused."""
        queues: Any = app.amqp.queues
        self.served = list(queues.consume_from)
        queues.select(self.served)  # also where no queue was named: only what is selected can be left out
        paused = self._paused_at_first()
        for name in self.served:
            if name in paused:
                _log.warning("queue_paused", queue=name)
                queues.deselect(name)

    def step(self, consumer: Any) -> float:
        """Have the node's loop follow what is paused now; return the seconds until the next look."""
        try:
            paused = self._pauses.read()
        except errors.IngestorError as error:
            _log.debug("pauses_wait", error=str(error))
            return _LOOK_EVERY_S
        for name in self.served:
            if _takes(consumer, name) == (name in paused):
                # Consumers belong to the loop's thread: it does it, at its next turn.
                consumer.call_soon(_follow, consumer, name, name in paused)
        return _LOOK_EVERY_S

    def paused(self, consumer: Any) -> list[str]:
        """Return the queues that the node does not take from."""
        return [name for name in self.served if name not in consumer.app.amqp.queues.consume_from]

    def _paused_at_first(self) -> set[str]:
        try:
            return {kind.value for kind in self._pauses.read()}
        except errors.IngestorError:
            return {kind.value for kind in self._last_known()}


def _takes(consumer: Any, name: str) -> bool:
    tasks = consumer.task_consumer
    return name in consumer.app.amqp.queues.consume_from and (tasks is None or tasks.consuming_from(name))


def _follow(consumer: Any, name: str, paused: bool) -> None:
    if consumer.task_consumer is None or _takes(consumer, name) != paused:
        return  # done already, or the connection is being made anew: the next look sees
    try:
        if paused:
            consumer.cancel_task_queue(name)
        else:
            consumer.add_task_queue(name)
    except Exception as error:  # noqa: BLE001 -- it would end the loop; a lost connection is met there, and made anew
        _log.warning("pause_not_followed", queue=name, error=f"{type(error).__name__}: {error}"[:300])
        return
    _log.warning("queue_paused" if paused else "queue_resumed", queue=name)
