"""What a worker node's main process does beside working: tells how it is, and watches for wanted registry syncs."""

from __future__ import annotations

import functools
from typing import Any, Final

import redis
import structlog
from celery import Celery

from ingestor import bootstrap
from ingestor.home.requests import sync_due
from ingestor.intake.loop import Loop
from ingestor.queue import names
from ingestor.queue.about import about_self
from ingestor.queue.alive import AliveFile
from ingestor.queue.asking import ask_for
from ingestor.queue.heartbeat import Heartbeat
from ingestor.queue.pools import pool_of
from ingestor.queue.status_board import StatusBoard
from ingestor.queue.vitals import VitalsFile
from ingestor.settings import Settings
from workers.beat_inside import BeatInside
from workers.holding import Holding
from workers.pausing import PausableQueues
from workers.registry_watch import RegistryWatch
from workers.watchdog import Watchdog, copied, end_node

_log: Final = structlog.get_logger("workers")


class NodeLife:
    """Begins when a node is ready, ends when it shuts down. For the node's main process."""

    def __init__(self, settings: Settings, consumer: Any, queues: PausableQueues) -> None:
        self._settings = settings
        self._consumer = consumer
        self._queues = queues
        self._holding = Holding()
        state = bootstrap.open_state(settings)
        self._beat = BeatInside(consumer.app, self._end_badly) if self._has_beat() else None
        self._heartbeat = Heartbeat(
            StatusBoard(state),
            "worker",
            consumer.hostname,
            self._tell,
            also=self._beat.check if self._beat else None,
            alive=AliveFile(settings.data_dir),
            vitals=VitalsFile(settings.data_dir),
        )
        self._watchdog = Watchdog(consumer)
        # A connection of its own: it is used in another thread.
        self._watch = Loop("registry-watch", self._registry_watch(bootstrap.open_state(settings)).step)
        self._pausing = Loop("pausing", functools.partial(queues.step, consumer))

    def begin(self) -> None:
        """Start telling; where this node does registry work, also watch for requests."""
        self._heartbeat.__enter__()
        self._watchdog.start()
        self._pausing.start()
        if names.TaskType.REGISTRY.value in self._queues.served:
            self._watch.start()
        if self._beat is not None:
            self._beat.start()

    def end(self) -> None:
        """Stop what this began."""
        self._watch.stop(0.0)
        self._pausing.stop(0.0)
        if self._beat is not None:
            self._beat.stop()
        self._watchdog.stop()
        self._heartbeat.__exit__(None, None, None)

    def _end_badly(self) -> None:
        end_node(self._consumer)

    def _has_beat(self) -> bool:
        return bool(self._settings.workers.together) and set(names.TaskType) <= set(self._queues.served)

    def _tell(self) -> dict[str, Any]:
        pool = self._consumer.pool
        name: str = self._consumer.hostname
        state = self._consumer.controller.state
        active, processes = len(state.active_requests), int(pool.num_processes)
        held = copied(state.reserved_requests)
        return {
            **about_self(pool.info.get("processes") or ()),
            "type": pool_of(name),
            "host": name.partition("@")[2],
            "queues": self._queues.served,
            "paused": self._queues.paused(self._consumer),
            "processes": processes,
            "has_beat": self._beat is not None,
            "ready": self._hears_broker(),
            "tasks": sum(state.total_count.values()),
            **self._holding.look(
                [(str(request.id), str(request.name), str(request.argsrepr)) for request in held], active, processes
            ),
        }

    def _hears_broker(self) -> bool:
        """Tell whether the node has a connection, as far as it knows: one that is cut off in silence is found later."""
        connection = self._consumer.connection
        return bool(connection is not None and connection.connected)

    def _registry_watch(self, state: redis.Redis[bytes]) -> RegistryWatch:
        app: Celery = self._consumer.app
        debounce_s = self._settings.registry.debounce_s
        # A request that nobody could answer for a minute is made again by whoever misses the map.
        ask = functools.partial(ask_for, app, names.SYNC_REGISTRY, names.TaskType.REGISTRY, expires_s=60)
        return RegistryWatch(
            [home.name for home in self._settings.all_homes()],
            is_due=lambda home: sync_due(state, home, debounce_s),
            ask=ask,
            ask_all=functools.partial(ask_for, app, names.SYNC_ALL, names.TaskType.REGISTRY, expires_s=60),
        )
