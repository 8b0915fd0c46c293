"""What is left of an intake whose journal is switched off: a batch counts as done once it is sent. For tests alone.

Nothing is sent again then: what the queue loses is lost. The chaos harness proves by it that it sees losses.
"""

from __future__ import annotations

import queue
from collections.abc import Mapping
from typing import Any

from ingestor.queue.done import DoneMark, DoneMarks
from ingestor.queue.producer import TaskSender


class Forgetful:
    """Stands before a sender of tasks and a mailbox of done marks: what the one has sent, the other reports as done."""

    def __init__(self, tasks: TaskSender, done: DoneMarks, target: str) -> None:
        self._tasks = tasks
        self._done = done
        self._target = target
        self._sent: queue.SimpleQueue[str] = queue.SimpleQueue()

    def send(
        self, task: str, queue: str, body: bytes, *, task_id: str, shown: str, kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Send a task; its batch is done with that. Raises BrokerUnavailable."""
        self._tasks.send(task, queue, body, task_id=task_id, shown=shown, kwargs=kwargs)
        self._sent.put(task_id.rpartition("-")[0])

    def close(self) -> None:
        """Give back the connection."""
        self._tasks.close()

    def put(self, journal: str, mark: DoneMark) -> None:
        """Leave a mark for a journal."""
        self._done.put(journal, mark)

    def take(self, journal: str, limit: int = 1000) -> list[DoneMark]:
        """Return a mark that says "all done" for each batch that was sent; those of the workers are thrown away."""
        self._done.take(journal, limit)
        sent = [self._sent.get() for _ in range(min(limit, self._sent.qsize()))]
        return [DoneMark(batch_id, self._target, 0, []) for batch_id in sent]
