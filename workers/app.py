"""The Celery application as workers run it: configuration, task modules, and what a process sets up when it starts."""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import os
from collections.abc import Collection
from typing import Any

from celery import Celery
from celery.signals import (
    beat_init,
    celeryd_after_setup,
    setup_logging,
    task_postrun,
    task_prerun,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutting_down,
)

from ingestor import bootstrap, logs, logs_level, metrics, redis_sentinel
from ingestor.queue.app import make_app
from ingestor.queue.heartbeat import heartbeat_of
from ingestor.queue.pauses import COPY, Pauses
from ingestor.queue.state import connect_state
from ingestor.settings_following import follower
from tasks import resources
from workers.beat_inside import ServiceOfNode
from workers.ending import WORKER_ENDS_WITHIN_S, end_worker_within
from workers.memory import GivesBack
from workers.modules import task_modules
from workers.node import NodeLife
from workers.pausing import PausableQueues

#: What tasks load at their first use, for the children of a small machine to share.
_LOADED_LATER = (
    "ingestor.enrichment.log_errors",
    "ingestor.enrichment.weather",
    "ingestor.events.mqtt_templates",
    "ingestor.home.facts_redis",
    "ingestor.storage.ledger_sql",
    "ingestor.storage.observed_sql",
    "ingestor.storage.quarantine_sql",
    "ingestor.storage.written_redis",
    "sqlalchemy.dialects.sqlite",
)


def build(queues: Collection[str] | None = None) -> Celery:
    """Return the configured application, with the tasks of these queues alone, or of all. Raises InvalidSettings."""
    settings = bootstrap.settings()
    app = make_app(settings.broker_url)
    app.conf.include = task_modules(app.conf.task_routes, queues)
    app.events_cls = "workers.task_events:SampledEvents"
    app.conf.redbeat_redis_url = settings.state_url
    if redis_sentinel.parse(settings.state_url) is not None:
        # RedBeat takes the connection that is there already.
        vars(app)["redbeat_redis"] = connect_state(settings.state_url, text=True)
    app.conf.beat_schedule["sync-registries"]["schedule"] = settings.registry.sync_every_s
    if settings.workers.together and not settings.flower.enabled:
        app.conf.worker_send_task_events = False  # nobody listens
    metrics.start(settings.data_dir / "metrics")
    return app


@setup_logging.connect
def _set_up_logs(**_: Any) -> None:
    settings = bootstrap.settings()
    follower()  # from now on
    logs.set_up(settings.log)


@worker_init.connect
def _before_children(**_: Any) -> None:
    """Load once what each child would load, and leave it alone: what a garbage collector walks through is copied."""
    if bootstrap.settings().workers.together:
        for name in _LOADED_LATER:
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    gc.enable()  # off while a node loads (workers/worker.py)


@functools.cache
def _queues() -> PausableQueues:
    settings = bootstrap.settings()
    # A connection that gives up soon: who starts must not wait for a state server that is away.
    state = bootstrap.open_state(settings, hurried=True)
    return PausableQueues(Pauses(state), Pauses(state, settings.data_dir / COPY).last_known)


@celeryd_after_setup.connect
def _queues_known(instance: Any, **_: Any) -> None:
    """A node that is started takes nothing from a queue that is paused."""
    _queues().begin(instance.app)


@worker_ready.connect
def _node_ready(sender: Any, **_: Any) -> None:
    life = NodeLife(bootstrap.settings(), sender, _queues())
    life.begin()
    worker_shutting_down.connect(lambda **__: life.end(), weak=False)


@worker_shutting_down.connect
def _stopping(**_: Any) -> None:
    """Also a node that is not ready, because its broker is away, ends in time."""
    end_worker_within(WORKER_ENDS_WITHIN_S)


@task_prerun.connect
def _before_a_task(**_: Any) -> None:
    """A child takes the level of the log that its node's main process has heard of, and settings that have changed."""
    logs_level.level().heed()
    if changed := follower().look():
        resources.adopt(follower().apply(bootstrap.settings()))
        if "log.level" in changed:
            logs_level.level().own(follower().level())


@functools.cache
def _gives_back() -> GivesBack:
    return GivesBack()


@task_postrun.connect
def _after_a_task(task: Any, **_: Any) -> None:
    _gives_back().after(task.name)


@beat_init.connect
def _beat_begins(sender: Any, **_: Any) -> None:
    """Tell how beat is, for as long as its process lives; also while it waits for another one to end."""
    settings = bootstrap.settings()

    def read() -> dict[str, Any]:
        scheduler = vars(sender).get("scheduler")  # not made by asking for it: that is beat's own business
        return {"ready": scheduler is None or scheduler.reaches_broker}

    # A process has one file: with beat in it, it is the node's (`health beat` finds it by that).
    data_dir = None if isinstance(sender, ServiceOfNode) else settings.data_dir
    life = heartbeat_of(bootstrap.open_status_board(settings), "beat", data_dir, read)
    life.__enter__()
    atexit.register(life.__exit__, None, None, None)


@worker_process_init.connect
def _start_process(**_: Any) -> None:
    """A forked child opens connections of its own, and does not look through what it has for ever for garbage."""
    resources.forget()
    gc.freeze()
    # A batch is some ten thousand objects that all go at its end: with Python's 700 it is collected dozens of times.
    gc.set_threshold(50_000, 20, 50)


@worker_process_shutdown.connect
def _end_process(pid: int | None = None, **_: Any) -> None:
    spans = resources.resources().spans
    if spans is not None:
        spans.flush()
    metrics.mark_dead(pid or os.getpid())
