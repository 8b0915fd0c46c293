"""The API's health and metrics on a real broker, and how its checks behave when servers do not."""

from __future__ import annotations

import logging
import re
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import redis
from fastapi.testclient import TestClient

from ingestor import bootstrap, bootstrap_quality, logs
from ingestor.api.app import create_app
from ingestor.api.gauges import MOST_SAMPLES
from ingestor.api.health import HealthWatch, WorkersCheck, checks_for
from ingestor.api.side_by_side import NotWell
from ingestor.events.counts import Counts, Page, hour_of
from ingestor.queue.app import make_app
from ingestor.queue.asking import ask_for
from ingestor.queue.heartbeat import heartbeat_of
from ingestor.queue.names import TaskType
from ingestor.queue.status_board import StatusBoard
from ingestor.settings import Settings
from ingestor.storage.quarantine import Quarantined
from ingestor.storage.reconciled import HourState, ReconciledHour
from tests.servers import wait_until
from tests.servers_brokers import RedisServer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(tmp_path: Path, redis_server: RedisServer) -> Settings:
    url = redis_server.url.removesuffix("/0") + "/7"
    redis.Redis.from_url(url).flushdb()
    return Settings.model_validate(
        {"data_dir": tmp_path, "broker": {"url": url}, "homeassistant": {"url": "http://ha.local", "token": "x"}}
    )


@pytest.fixture
def board(settings: Settings) -> StatusBoard:
    return StatusBoard(redis.Redis.from_url(settings.state_url))


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    # Patient: it is to say how the parts are, and on a busy machine opening a database takes its time.
    watch = HealthWatch(checks_for(settings), timeout_s=60)
    with TestClient(create_app(settings, watch=watch)) as client:
        yield client


def put_all(board: StatusBoard) -> None:
    for kind in ("validate", "enrich", "write"):
        board.put("worker", f"{kind}@host", {"type": kind, "processes": 2, "tasks": 7})
    board.put(
        "listener",
        "home:websocket",
        {
            "home": "home",
            "kind": "websocket",
            "connected": True,
            "intake": {"pending_batches": 3, "bytes_on_disk": 4096, "counts": {"written": 40, "duplicate": 2}},
        },
    )


def test_health_names_each_component_and_is_well_when_all_are(client: TestClient, board: StatusBoard) -> None:
    put_all(board)

    answer = client.get("/api/health")

    components = answer.json()["components"]
    needed = ["broker", "state", "store", "database", "listeners", "workers"]
    assert list(components) == [*needed, "events", "weather_api", "pauses"]
    assert (answer.status_code, answer.json()["status"]) == (200, "ok"), components
    assert client.get("/readyz").status_code == 200


def test_health_says_why_a_listener_is_not_connected(client: TestClient, board: StatusBoard) -> None:
    put_all(board)
    entry = {"home": "home", "kind": "websocket", "connected": False, "last_error": "the token is refused"}
    board.put("listener", "home:websocket", entry, last=True)

    detail = client.get("/api/health").json()["components"]["listeners"]["detail"]

    assert detail == "not connected: websocket of home (the token is refused)"


def test_a_listener_that_is_not_connected_is_unhealthy_but_ready(client: TestClient, board: StatusBoard) -> None:
    put_all(board)
    board.put("listener", "home:websocket", {"home": "home", "kind": "websocket", "connected": False})

    answer = client.get("/api/health")

    assert answer.status_code == 503
    assert answer.json()["components"]["listeners"]["detail"] == "not connected: websocket of home"
    assert client.get("/readyz").status_code == 200


def test_lost_events_and_missing_points_degrade_health_and_leave_it_ready(
    settings: Settings, client: TestClient, board: StatusBoard
) -> None:
    put_all(board)
    hour_s = hour_of(time.time_ns())
    counts = Counts(frames=9, settled=9, received=8, written=8, lost=1)
    bootstrap.open_ledger(settings).add([Page("book", 1, "home", "mqtt", "home-mqtt", {hour_s: counts}, {})])
    missing = ReconciledHour("cabin", (hour_s - 86_400) * 1_000_000, HourState.MISSING, missing=3)
    bootstrap_quality.open_reconciled_hours(settings).save(missing)

    answer = client.get("/api/health")

    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    events = answer.json()["components"]["events"]
    assert not events["ok"]
    assert events["detail"] == (
        "1 event of home lost in the last 24 hours (see `ha-ingestor ledger` and `gaps`);"
        " 3 points of cabin missing for good (see `ha-ingestor reconcile`)"
    )
    assert client.get("/readyz").status_code == 200


def test_a_step_without_a_worker_is_neither_healthy_nor_ready(client: TestClient, board: StatusBoard) -> None:
    put_all(board)
    board.forget("worker", "enrich@host")

    answer = client.get("/api/health")

    assert answer.status_code == 503
    assert answer.json()["components"]["workers"]["detail"] == "no worker for enrich"
    assert client.get("/readyz").status_code == 503


def test_workers_that_answer_but_take_nothing_are_not_well(settings: Settings, board: StatusBoard) -> None:
    now = [1000.0]
    check = WorkersCheck(settings, clock=lambda: now[0])
    put_all(board)
    redis.Redis.from_url(settings.state_url).rpush("write", b"a batch", b"another")

    assert check() == "every step has a worker"
    now[0] += 61
    with pytest.raises(NotWell, match=r"took nothing for 60 s: write \(2 batches wait\)"):
        check()
    board.put("worker", "write@host", {"type": "write", "queues": ["write"], "processes": 1, "tasks": 8})
    assert check() == "every step has a worker"


def test_without_a_broker_health_says_so_and_the_process_still_lives(tmp_path: Path) -> None:
    dead = Settings.model_validate({"data_dir": tmp_path, "broker": {"url": "redis://127.0.0.1:1/0"}})
    with TestClient(create_app(dead)) as client:
        answer = client.get("/api/health")

        assert answer.status_code == 503
        assert not answer.json()["components"]["broker"]["ok"]
        assert answer.json()["components"]["database"]["ok"]
        assert client.get("/livez").status_code == 200
        assert client.get("/metrics").status_code == 200


def test_a_check_that_hangs_is_cut_off_and_not_started_twice(settings: Settings) -> None:
    release, starts = threading.Event(), []

    def hang() -> str:
        starts.append(1)
        release.wait(20)
        return "late"

    watch = HealthWatch({"slow": hang, "quick": lambda: "fine"}, timeout_s=0.2)
    with TestClient(create_app(settings, watch=watch)) as client:
        first = client.get("/api/health").json()["components"]
        watch._kept_at = -10.0
        client.get("/api/health")
        release.set()

    assert first["slow"] == {"name": "slow", "ok": False, "detail": "no answer within 0.2 s", "took_ms": 200.0}
    assert first["quick"]["ok"]
    assert len(starts) == 1


def test_checks_are_kept_for_those_who_ask_at_once(settings: Settings) -> None:
    asked: list[int] = []

    def count() -> str:
        asked.append(1)
        return "fine"

    watch = HealthWatch({"counted": count})
    with TestClient(create_app(settings, watch=watch)) as client:
        for path in ("/api/health", "/readyz", "/api/health"):
            client.get(path)

    assert len(asked) == 1


def test_metrics_add_up_all_processes_and_tell_queues_and_journals(
    settings: Settings, client: TestClient, board: StatusBoard
) -> None:
    put_all(board)
    program = (
        "import sys; from pathlib import Path; from ingestor import metrics; metrics.start(Path(sys.argv[1]));"
        "metrics.counter('ingestor_events_written_total', home='home', source='websocket').inc(20);"
        "metrics.histogram('ingestor_lag_seconds').observe(0.03)"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program, str(settings.data_dir / "metrics")], cwd=ROOT, check=True)
    redis.Redis.from_url(settings.state_url).rpush("write", b"a batch")
    app = make_app(settings.broker_url)
    ask_for(app, "tasks.upkeep.keep_house", TaskType.UPKEEP, countdown_s=-3600)
    ask_for(app, "tasks.upkeep.keep_house", TaskType.UPKEEP)

    text = client.get("/metrics").text

    assert 'ingestor_events_written_total{home="home",source="websocket"} 40.0' in text
    assert 'ingestor_lag_seconds_bucket{le="0.05"} 2.0' in text
    assert 'ingestor_queue_batches{queue="write"} 1.0' in text
    assert 'ingestor_journal_batches{home="home",listener="websocket"} 3.0' in text
    assert 'ingestor_worker_processes{type="enrich"} 2.0' in text
    (oldest,) = re.findall(r'ingestor_queue_oldest_seconds{queue="upkeep"} ([0-9.]+)', text)
    assert 3600 <= float(oldest) < 3700
    assert 'ingestor_queue_oldest_seconds{queue="write"}' not in text  # what is no message of ours tells no time
    assert 'ingestor_queue_paused{queue="write"} 0.0' in text
    assert 'ingestor_unread_part{part="board"} 0.0' in text


def test_metrics_tell_every_process_with_version_memory_and_restarts(
    settings: Settings, client: TestClient, board: StatusBoard
) -> None:
    put_all(board)
    told = {"ready": False, "restarts": {"worker-enrich": 2}}
    with heartbeat_of(board, "supervisor", settings.data_dir, lambda: told):
        wait_until(lambda: len(board.read()) >= 6, timeout_s=60, what="heartbeats of the API and the supervisor")

        text = client.get("/metrics").text

    host = socket.gethostname()
    assert f'ingestor_process_ready{{kind="supervisor",process="supervisor@{host}"}} 0.0' in text
    assert f'ingestor_process_ready{{kind="api",process="api@{host}"}} 1.0' in text
    assert f'process="api@{host}",version="{version("ha-ingestor")}"}} 1.0' in text
    assert 'ingestor_process_ready{kind="listener",process="home:websocket"} 1.0' in text
    assert 'ingestor_process_restarts{process="worker-enrich"} 2.0' in text
    (memory,) = re.findall(r'ingestor_process_memory_bytes{kind="api",[^}]*} ([0-9.e+]+)', text)
    assert 20e6 < float(memory) < 2e9


def test_metrics_tell_the_causes_in_quarantine_and_no_forged_names_can_fill_them(
    settings: Settings, client: TestClient, board: StatusBoard
) -> None:
    pieces = [
        Quarantined("b", slot, "home", "mqtt", "invalid_json", "cut", b"%d" % slot, 1, "topic", f"topic/{slot % 30}")
        for slot in range(60)
    ]
    bootstrap.open_quarantine(settings).put(pieces)
    for number in range(1_500):
        board.put("listener", f"forged{number}:{'x' * 500}", {"connected": True})
    ledger = bootstrap.open_ledger(settings)
    counts = Counts(frames=1, settled=1, received=1, written=1)
    hour_s = hour_of(time.time_ns())
    ledger.add([Page(f"b{n}", 1, f"forged{n}", "mqtt", "j", {hour_s: counts}, {}) for n in range(300)])

    text = client.get("/metrics").text

    causes = [line for line in text.splitlines() if line.startswith("ingestor_quarantine_pieces_by_cause{")]
    assert len(causes) == 20
    assert all('reason="invalid_json"} 2.0' in line for line in causes)
    for name in ("ingestor_listener_connected", "ingestor_ledger_events"):
        lines = [line for line in text.splitlines() if line.startswith(f"{name}{{")]
        assert len(lines) == MOST_SAMPLES
        assert max(map(len, lines)) < 600


def test_a_level_of_the_log_reaches_a_running_process_by_its_heartbeat_and_ends(
    settings: Settings, board: StatusBoard, logging_stays_as_it_was: None
) -> None:
    logs.set_up(settings.log)
    root = logging.getLogger()

    with heartbeat_of(board, "beat", settings.data_dir):
        board.want_level("listener", "error", 60)
        board.want_level("beat", "debug", 4)
        wait_until(lambda: root.level == logging.DEBUG, timeout_s=60, what="the level of the log")
        wait_until(lambda: root.level == logging.INFO, timeout_s=60, what="its own level again")


@pytest.mark.parametrize("path", ["/api/version", "/openapi.json", "/api/v1/events"])
def test_everything_but_health_needs_the_key_that_the_first_start_made(
    settings: Settings, client: TestClient, path: str
) -> None:
    kept = settings.data_dir / "api-key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    assert client.get(path).status_code == 401
    assert client.get(path, headers={"X-API-Key": kept.read_text().strip()}).status_code != 401


@pytest.mark.parametrize(("need_key", "status"), [(False, 200), (True, 401)])
def test_health_is_open_and_metrics_where_no_key_was_asked_for(tmp_path: Path, need_key: bool, status: int) -> None:
    dead = {"broker": {"url": "redis://127.0.0.1:1/0"}, "api": {"metrics_need_key": need_key}}
    watch = HealthWatch({"fine": lambda: "fine"})
    with TestClient(create_app(Settings.model_validate({"data_dir": tmp_path, **dead}), watch=watch)) as client:
        assert [client.get(path).status_code for path in ("/", "/livez", "/api/health")] == [200, 200, 200]
        assert client.get("/metrics").status_code == status


def test_the_landing_page_is_json_for_programs_and_html_for_people(client: TestClient) -> None:
    links: dict[str, Any] = client.get("/").json()["links"]

    page = client.get("/", headers={"accept": "text/html"})

    assert page.headers["content-type"].startswith("text/html")
    assert all(f'href="{path}"' in page.text for path in links)
