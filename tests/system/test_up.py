"""`ha-ingestor up` on a machine with nothing configured: the demo home, from its start to its stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil
import requests

from tests.system.stack import ROOT, Stack, wait_until

StackFactory = Callable[..., Stack]


def test_a_newcomer_sees_the_demo_homes_events_with_areas_within_thirty_seconds(stack_factory: StackFactory) -> None:
    started = time.monotonic()

    stack = stack_factory()
    events = wait_until(
        lambda: [event for event in stack.events("--limit", "200") if event["tags"]["area"] != "-"],
        30,
        "events with areas",
    )

    assert time.monotonic() - started < 30
    assert {"area", "device"} <= events[0]["tags"].keys()
    assert {"entity_id", "state", "event_id"} <= events[0]["fields"].keys()
    for where in (stack.api, stack.flower, str(stack.folder), "ha-ingestor events"):
        assert where in stack.printed()


def test_everything_stops_within_ten_seconds_and_leaves_no_process(stack_factory: StackFactory) -> None:
    stack = stack_factory()
    wait_until(lambda: stack.events("--limit", "1"), 30, "a first event")

    family = stack.pids()
    code, took_s = stack.stop()

    assert code == 0, stack.printed()
    assert took_s < 10
    assert len(family) > 10
    assert not [pid for pid in family if psutil.pid_exists(pid)]


def test_what_dies_is_started_again_and_it_is_said(stack_factory: StackFactory) -> None:
    stack = stack_factory()
    wait_until(lambda: stack.events("--limit", "1"), 30, "a first event")
    victim = stack.pids("-Q enrich")[0]

    os.kill(victim, signal.SIGKILL)

    wait_until(lambda: "worker-enrich was killed by SIGKILL; starting it again" in stack.printed(), 10, "the news")
    wait_until(lambda: "worker-enrich started again (restart 1)" in stack.printed(), 10, "the restart")
    now = time.time()
    wait_until(
        lambda: [event for event in stack.events("--limit", "1") if event["time_ns"] > now * 1e9], 40, "new events"
    )


def test_the_broker_killed_loses_nothing_and_is_started_again(stack_factory: StackFactory) -> None:
    stack = stack_factory()
    wait_until(lambda: stack.events("--limit", "1"), 30, "a first event")

    (broker,) = stack.pids("valkey-server")
    os.kill(broker, signal.SIGKILL)

    wait_until(lambda: "broker started again" in stack.printed(), 15, "the restart")
    now = time.time()
    wait_until(
        lambda: [event for event in stack.events("--limit", "1") if event["time_ns"] > now * 1e9], 60, "new events"
    )


def test_health_metrics_and_celerys_own_tools_answer(stack_factory: StackFactory) -> None:
    stack = stack_factory()
    wait_until(lambda: stack.events("--limit", "1"), 30, "a first event")

    health = wait_until(lambda: (answer := stack.health()).get("status") == "ok" and answer, 30, "all healthy")
    metrics = requests.get(f"{stack.api}/metrics", timeout=5).text
    live = requests.get(f"{stack.api}/livez", timeout=5)
    ready = requests.get(f"{stack.api}/readyz", timeout=5)
    inspected = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "workers", "inspect", "ping", "--json"],
        cwd=ROOT,
        env=stack.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert health["components"]
    assert "ingestor_lag_seconds_bucket" in metrics
    assert (live.status_code, ready.status_code) == (200, 200)
    pools = {name.split("@")[0] for name in json.loads(inspected.stdout)}
    assert {"validate", "enrich", "write", "rare"} <= pools


def test_flower_shows_every_pool_and_task_by_name(stack_factory: StackFactory) -> None:
    stack = stack_factory()
    wait_until(lambda: stack.events("--limit", "1"), 30, "a first event")
    login = ("admin", (stack.folder / "flower-password").read_text().strip())

    def workers() -> dict[str, Any]:
        answer = requests.get(f"{stack.flower}/api/workers?refresh=1", auth=login, timeout=10)
        return answer.json() if answer.ok else {}

    found = wait_until(lambda: len(answer := workers()) >= 4 and answer, 40, "four pools")
    tasks = requests.get(f"{stack.flower}/api/tasks?limit=50", auth=login, timeout=10).json()

    assert {name.split("@")[0] for name in found} >= {"validate", "enrich", "write", "rare"}
    assert {"tasks.validate.validate_batch", "tasks.write.write_batch"} <= {task["name"] for task in tasks.values()}
    assert any("events" in (task.get("args") or "") for task in tasks.values())
    assert requests.get(f"{stack.flower}/api/workers", timeout=10).status_code == 401


def test_bad_settings_are_all_told_at_once_with_exit_code_two(stack_factory: StackFactory, tmp_path: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ingestor", "up"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HA_INGESTOR_API__PORT": "http",
            "HA_INGESTOR_BATCH__MAX_FRAMES": "0",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert "api.port" in done.stderr
    assert "batch.max_frames" in done.stderr
