"""Celery's settings: what must hold between them, whatever their values are."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from typing import Any

import annotated_types
import pytest
from redbeat.schedulers import RedBeatConfig

import celeryconfig
import tasks
from ingestor.pipeline import enrich
from ingestor.queue import names
from ingestor.queue.app import make_app
from ingestor.settings import StorageSettings, WorkerSettings
from tasks.envelope import PATIENCE_S

VISIBLE_AGAIN_S = celeryconfig.broker_transport_options["visibility_timeout"]


@pytest.fixture(scope="module")
def own_tasks() -> dict[str, Any]:
    app = make_app("memory://")
    for module in pkgutil.iter_modules(tasks.__path__):
        importlib.import_module(f"tasks.{module.name}")
    app.finalize()
    return {name: task for name, task in app.tasks.items() if name.startswith("tasks.")}


def upper_limit(group: Any, field: str) -> float:
    limits = [rule.le for rule in group.model_fields[field].metadata if isinstance(rule, annotated_types.Le)]
    assert limits, f"{field} has no upper limit"
    return float(limits[0])  # type: ignore[arg-type]  # `SupportsLe` is a number here


def test_redbeat_is_told_all_that_it_would_else_take_from_the_broker_s_settings() -> None:
    app = make_app("redis://127.0.0.1:1/0")
    app.conf.redbeat_redis_url = "redis://127.0.0.1:1/0"  # as the workers' application says it

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = RedBeatConfig(app)

    assert found.redbeat_redis_options == {}


def test_every_task_has_limits_below_half_the_visibility_timeout(own_tasks: dict[str, Any]) -> None:
    assert {names.VALIDATE_BATCH, names.ENRICH_BATCH, names.WRITE_BATCH, names.FILL_GAPS} <= set(own_tasks)

    for name, task in own_tasks.items():
        soft = task.soft_time_limit or celeryconfig.task_soft_time_limit
        hard = task.time_limit or celeryconfig.task_time_limit

        assert 0 < soft < hard < VISIBLE_AGAIN_S / 2, name


def test_no_countdown_goes_beyond_the_visibility_timeout() -> None:
    longest_s = max(
        upper_limit(WorkerSettings, "unknown_wait_s"),
        enrich._UNKNOWN_RETRY_S,
        enrich._NO_MAP_RETRY_S,
    )

    assert longest_s < VISIBLE_AGAIN_S


def test_a_task_that_waits_for_peers_gives_up_before_its_time_is_up() -> None:
    last_call_s = upper_limit(StorageSettings, "timeout_s")

    assert PATIENCE_S + 1.0 + last_call_s <= celeryconfig.task_soft_time_limit
