"""What a worker node's main process does beside working: tells how it is, and watches for wanted registry syncs."""

from __future__ import annotations

import os
import threading
from typing import Any, Final

import structlog
from celery import Celery

from ingestor import bootstrap, errors
from ingestor.home.requests import sync_due
from ingestor.queue import names
from ingestor.queue.alive import AliveFile
from ingestor.queue.heartbeat import Heartbeat
from ingestor.queue.status_board import StatusBoard
from ingestor.settings import Settings
from workers.watchdog import Watchdog

_log: Final = structlog.get_logger("workers")
_WATCH_EVERY_S: Final = 0.25


class NodeLife:
    """Begins when a node is ready, ends when it shuts down. For the node's main process."""

    def __init__(self, settings: Settings, consumer: Any) -> None:
        self._settings = settings
        self._consumer = consumer
        self._stop = threading.Event()
        state = bootstrap.open_state(settings)
        self._heartbeat = Heartbeat(
            StatusBoard(state), "worker", consumer.hostname, self._tell, alive=AliveFile(settings.data_dir)
        )
        self._watchdog = Watchdog(consumer)
        self._watch = threading.Thread(target=self._watch_registry, name="registry-watch", daemon=True)

    def begin(self) -> None:
        """Start telling; where this node does registry work, also watch for requests."""
        self._heartbeat.__enter__()
        self._watchdog.start()
        if names.TaskType.REGISTRY.value in self._queues():
            self._watch.start()

    def end(self) -> None:
        """Stop."""
        self._stop.set()
        self._watchdog.stop()
        self._heartbeat.__exit__(None, None, None)

    def _queues(self) -> list[str]:
        return [queue.name for queue in self._consumer.task_consumer.queues]

    def _tell(self) -> dict[str, Any]:
        pool = self._consumer.pool
        name: str = self._consumer.hostname
        return {
            "type": name.partition("@")[0],
            "host": name.partition("@")[2],
            "pid": os.getpid(),
            "queues": self._queues(),
            "processes": pool.num_processes,
            "tasks": sum(self._consumer.controller.state.total_count.values()),
        }

    def _watch_registry(self) -> None:
        state = bootstrap.open_state(self._settings)
        app: Celery = self._consumer.app
        # At the start every home is read once; one that is not there yet is asked for again by its listener.
        app.send_task(names.SYNC_ALL, queue=names.TaskType.REGISTRY.value, expires=60)
        while not self._stop.wait(_WATCH_EVERY_S):
            for home in self._settings.all_homes():
                try:
                    if sync_due(state, home.name, self._settings.registry.debounce_s):
                        _enqueue_sync(app, home.name)
                        self._stop.wait(1.0)  # the task takes the request back when it begins
                except errors.IngestorError as error:
                    _log.debug("registry_watch_waits", error=str(error))
                except app.connection_for_write().recoverable_connection_errors as error:
                    _log.debug("registry_watch_waits", error=str(error))


def _enqueue_sync(app: Celery, home: str) -> None:
    # A request that nobody could answer for a minute is made again by whoever misses the map.
    app.send_task(names.SYNC_REGISTRY, args=[home], queue=names.TaskType.REGISTRY.value, expires=60)
