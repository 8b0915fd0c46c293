"""The Celery application as workers run it: configuration, task modules, and what a process sets up when it starts."""

from __future__ import annotations

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import (
    setup_logging,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutting_down,
)

from ingestor import bootstrap, logs, metrics
from ingestor.queue.app import make_app
from tasks import resources
from workers.node import NodeLife

_TASK_MODULES = (
    "tasks.validate",
    "tasks.enrich",
    "tasks.write",
    "tasks.registry",
    "tasks.history",
    "tasks.quality",
    "tasks.upkeep",
    "tasks.weather",
)


def build() -> Celery:
    """Return the configured application. Raises InvalidSettings."""
    settings = bootstrap.settings()
    app = make_app(settings.broker_url)
    app.conf.include = _TASK_MODULES
    app.events_cls = "workers.task_events:SampledEvents"
    app.conf.redbeat_redis_url = settings.state_url
    app.conf.beat_schedule["sync-registries"]["schedule"] = settings.registry.sync_every_s
    metrics.start(settings.data_dir / "metrics")
    return app


@setup_logging.connect
def _set_up_logs(**_: Any) -> None:
    settings = bootstrap.settings()
    logs.set_up(settings.log)


@worker_ready.connect
def _node_ready(sender: Any, **_: Any) -> None:
    life = NodeLife(bootstrap.settings(), sender)
    life.begin()
    worker_shutting_down.connect(lambda **__: life.end(), weak=False)


@worker_process_init.connect
def _start_process(**_: Any) -> None:
    """A forked child opens connections of its own, and does not look through what it has for ever for garbage."""
    resources.forget()
    gc.freeze()
    # A batch is some ten thousand objects that all go at its end: with Python's 700 it is collected dozens of times.
    gc.set_threshold(50_000, 20, 50)


@worker_process_shutdown.connect
def _end_process(pid: int | None = None, **_: Any) -> None:
    metrics.mark_dead(pid or os.getpid())
