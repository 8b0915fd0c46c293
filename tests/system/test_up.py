"""`ha-ingestor up` on a machine with nothing configured: the demo home, from its start to its stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.conftest import StartServer
from tests.dashboards import panels
from tests.servers_prometheus import Prometheus
from tests.system.stack import ROOT, Stack, wait_until


@dataclass(slots=True)
class Begun:
    """A stack that was started with nothing set, and what it showed of its home. How soon: `make bench` says."""

    stack: Stack
    events: list[dict[str, Any]]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Begun]:
    """One stack for all tests here; the last one stops it."""
    stack = Stack(tmp_path_factory.mktemp("up") / "data")
    try:
        stack.start()
        events = wait_until(
            lambda: [event for event in stack.events("--limit", "200") if event["tags"]["area"] != "-"],
            120,
            "events with areas",
        )
        yield Begun(stack, events)
    finally:
        if not stack.ended():
            stack.stop()


@pytest.fixture
def stack(begun: Begun) -> Stack:
    """The stack, as it runs."""
    return begun.stack


def test_a_newcomer_sees_the_demo_homes_events_with_areas(begun: Begun) -> None:
    stack, first = begun.stack, begun.events[0]

    assert {"area", "device"} <= first["tags"].keys()
    assert {"entity_id", "state", "event_id"} <= first["fields"].keys()
    for where in (stack.api, stack.flower, str(stack.folder), "ha-ingestor events"):
        assert where in stack.printed()


def test_health_metrics_and_celerys_own_tools_answer(stack: Stack) -> None:
    health = wait_until(lambda: (answer := stack.health()).get("status") == "ok" and answer, 60, "all healthy")
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


def test_a_real_prometheus_scrapes_it_and_every_rule_and_panel_can_be_evaluated(
    stack: Stack, start_server: StartServer
) -> None:
    folder = ROOT / "compose" / "prometheus"
    scrape = (folder / "prometheus.yml").read_text().replace("api:8080", stack.api.removeprefix("http://"))
    often = scrape.replace("scrape_timeout: 10s", "scrape_timeout: 5s").replace(": 15s", ": 5s")
    files = (("prometheus.yml", often), ("rules.yml", (folder / "rules.yml").read_text()))
    prometheus = start_server(Prometheus, files=files)

    def ask(path: str, **words: str) -> Any:
        return requests.get(f"{prometheus.url}/api/v1/{path}", params=words, timeout=10).json()

    def up() -> bool:
        found = ask("query", query='up{job="ha-ingestor"}')["data"]["result"]
        return bool(found) and found[0]["value"][1] == "1"

    wait_until(up, 60, "the target is up")

    def evaluated() -> list[dict[str, Any]]:
        rules = [rule for group in ask("rules")["data"]["groups"] for rule in group["rules"]]
        return rules if all(rule["health"] == "ok" for rule in rules) else []

    rules = wait_until(evaluated, 60, "every rule evaluated")
    assert len(rules) > 15
    written = wait_until(
        lambda: ask("query", query="ingestor_events_written_total")["data"]["result"], 60, "a counter of the workers"
    )
    assert float(written[0]["value"][1]) > 0
    for expression in panels(ROOT / "compose" / "grafana" / "dashboards", "prometheus"):
        assert ask("query", query=expression)["status"] == "success", expression


def test_flower_shows_every_pool_and_task_by_name(stack: Stack) -> None:
    login = ("admin", (stack.folder / "flower-password").read_text().strip())

    def workers() -> dict[str, Any]:
        answer = requests.get(f"{stack.flower}/api/workers?refresh=1", auth=login, timeout=10)
        return answer.json() if answer.ok else {}

    found = wait_until(lambda: len(answer := workers()) >= 4 and answer, 60, "four pools")
    tasks = requests.get(f"{stack.flower}/api/tasks?limit=50", auth=login, timeout=10).json()

    assert {name.split("@")[0] for name in found} >= {"validate", "enrich", "write", "rare"}
    assert {"tasks.validate.validate_batch", "tasks.write.write_batch"} <= {task["name"] for task in tasks.values()}
    assert any("events" in (task.get("args") or "") for task in tasks.values())
    assert requests.get(f"{stack.flower}/api/workers", timeout=10).status_code == 401


def test_what_flower_has_seen_is_there_after_its_restart(stack: Stack) -> None:
    login = ("admin", (stack.folder / "flower-password").read_text().strip())

    def ask(path: str) -> dict[str, Any]:
        try:
            answer = requests.get(f"{stack.flower}/api/{path}", auth=login, timeout=10)
        except requests.RequestException:
            return {}
        return answer.json() if answer.ok else {}

    seen = wait_until(lambda: {key for key, one in ask("tasks?limit=5").items() if one["succeeded"]}, 60, "tasks ended")
    (before,) = stack.pids("workers.flower")
    os.kill(before, signal.SIGTERM)
    wait_until(lambda: stack.pids("workers.flower") not in ([], [before]), 60, "Flower has a new process")

    told = wait_until(lambda: all(found := [ask(f"task/info/{one}") for one in seen]) and found, 60, "the same tasks")
    assert {one["state"] for one in told} == {"SUCCESS"}


def test_what_dies_is_started_again_and_it_is_said(stack: Stack) -> None:
    victim = stack.pids("-Q enrich")[0]

    os.kill(victim, signal.SIGKILL)

    wait_until(lambda: "worker-enrich was killed by SIGKILL; starting it again" in stack.printed(), 60, "the news")
    wait_until(lambda: "worker-enrich started again (restart 1)" in stack.printed(), 60, "the restart")
    now = time.time()
    wait_until(
        lambda: [event for event in stack.events("--limit", "1") if event["time_ns"] > now * 1e9], 60, "new events"
    )


def test_the_broker_killed_loses_nothing_and_is_started_again(stack: Stack) -> None:
    (broker,) = stack.pids("valkey-server")
    os.kill(broker, signal.SIGKILL)

    wait_until(lambda: "broker started again" in stack.printed(), 60, "the restart")
    now = time.time()
    wait_until(
        lambda: [event for event in stack.events("--limit", "1") if event["time_ns"] > now * 1e9], 60, "new events"
    )
    assert "pools_wait" not in stack.printed(), "what is logged at debug"


def test_everything_stops_within_ten_seconds_and_leaves_no_process(stack: Stack) -> None:
    family = stack.pids()
    code, took_s = stack.stop()

    assert code == 0, stack.printed()
    assert took_s < 10
    assert len(family) > 10
    assert not [pid for pid in family if psutil.pid_exists(pid)]


def test_bad_settings_are_all_told_at_once_with_exit_code_two(tmp_path: Path) -> None:
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
