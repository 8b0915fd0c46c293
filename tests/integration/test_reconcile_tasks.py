"""Reconciliation as it runs: the task in a real worker, the gap filled by the tasks of history, the command."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ingestor import bootstrap, bootstrap_quality
from ingestor.cli.main import run
from ingestor.demo.home import DemoHome
from ingestor.demo.running import running_demo
from ingestor.events.counts import Page
from ingestor.home.model import Snapshot
from ingestor.home.publication import RedisMaps
from ingestor.queue import names
from ingestor.queue.app import make_app
from ingestor.queue.state import connect_state
from ingestor.queue.status_board import StatusBoard
from ingestor.settings import Settings
from ingestor.settings_sources import load_settings
from ingestor.storage.port import HOUR_US, StoredState
from ingestor.storage.reconciled import ReconciledHour
from tests.integration.reconcile_home import HOME, Line, Listener, past_home
from tests.servers import wait_until
from tests.servers_brokers import RedisServer

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")

ROOT = Path(__file__).resolve().parents[2]
#: Two full hours that are over for long.
BEGIN_US = (time.time_ns() // 1000 - 4 * HOUR_US) // HOUR_US * HOUR_US


@dataclass
class Bench:
    """An installation of which 30 states of its first hour are lost, and nobody knows."""

    settings: Settings
    lost: list[StoredState]

    def tell(self, **intake: Any) -> None:
        """A listener says how it is; its word lasts for 10 s."""
        board = StatusBoard(connect_state(self.settings.state_url))
        board.put("listener", f"{HOME}:websocket", {"connected": True, "intake": intake})

    def hours(self) -> list[ReconciledHour]:
        return bootstrap_quality.open_reconciled_hours(self.settings).list(home=HOME)

    def first(self) -> ReconciledHour | None:
        return next((hour for hour in self.hours() if hour.hour_us == BEGIN_US), None)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_server: Any) -> Iterator[Bench]:
    broker: RedisServer = start_server(RedisServer)
    home = past_home(begin_us=BEGIN_US)
    with running_demo(home) as demo:
        monkeypatch.chdir(tmp_path)
        for name, value in {
            "DATA_DIR": str(tmp_path / "data"),
            "BROKER__URL": broker.url,
            "HOMEASSISTANT__URL": demo.url,
            "HOMEASSISTANT__TOKEN": demo.token,
            "WORKERS__UNKNOWN_WAIT_S": "0",
        }.items():
            monkeypatch.setenv(f"HA_INGESTOR_{name}", value)
        settings = load_settings().settings
        store = bootstrap.open_store(settings)
        line = Line(store)
        listener = Listener(home, line)
        demo.control.call(DemoHome.begin)
        listener.live(demo.control, 4500)
        states = sorted(store.states_between(HOME, BEGIN_US * 1000, (BEGIN_US + HOUR_US) * 1000, 1_000_000))
        store.close()
        lost = states[5 : 5 + 30 * (len(states) // 32) : len(states) // 32]
        _delete(tmp_path / "data" / "events.sqlite", lost)
        counted = {hour_us // 1_000_000: points for hour_us, points in line.counted.items()}
        bootstrap.open_ledger(settings).add([Page("book", 1, HOME, "websocket", "journal", {}, counted)])
        RedisMaps(connect_state(broker.url)).publish(Snapshot(HOME, 1, 0, {}), ())
        yield Bench(settings, lost)


def _delete(path: Path, states: list[StoredState]) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for state in states:
            connection.execute(
                "DELETE FROM states WHERE time_ns = ? AND series_id IN (SELECT id FROM series WHERE series = ?)",
                (state.time_ns, state.series),
            )
    connection.close()


@pytest.fixture
def worker(bench: Bench, tmp_path: Path) -> Iterator[Path]:
    """A real worker for every queue; yields its log."""
    log = tmp_path / "worker.log"
    queues = ",".join([*names.PIPELINE, *names.RARE])
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "workers", "worker", "-Q", queues, "-n", "all@%h"),
                *("-P", "prefork", "-c", "2", "--without-gossip", "--without-mingle", "-l", "info"),
            ],
            cwd=ROOT,
            env={**os.environ, "HA_INGESTOR_LOG__FORMAT": "json"},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until(lambda: "ready." in log.read_text(), timeout_s=60, what="worker")
            yield log
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def test_the_tasks_find_what_is_lost_read_it_back_and_find_nothing_missing_then(bench: Bench, worker: Path) -> None:
    app = make_app(bench.settings.broker_url)
    seen: set[str] = set()

    def complete() -> bool:
        bench.tell(pending_batches=0)
        app.send_task(names.RECONCILE_ALL, queue=names.TaskType.QUALITY.value)
        app.send_task(names.LOOK_FOR_GAPS, queue=names.TaskType.HISTORY.value)
        time.sleep(0.5)
        hour = bench.first()
        seen.add(hour.state.value if hour else "none")
        return hour is not None and hour.ended

    try:
        wait_until(complete, timeout_s=60, what="the hour")
    except TimeoutError as error:
        raise AssertionError(f"{error}, {bench.first()}\n{worker.read_text()[-5000:]}") from error

    hour = bench.first()
    assert hour is not None
    assert (hour.state.value, hour.missing, hour.repaired) == ("complete", 0, len(bench.lost)), hour
    assert (hour.attempts, "repairing" in seen) == (1, True)
    store = bootstrap.open_store(bench.settings)
    stored = {
        state[:4] for state in store.states_between(HOME, BEGIN_US * 1000, (BEGIN_US + HOUR_US) * 1000, 1_000_000)
    }
    store.close()
    assert {state[:4] for state in bench.lost} <= stored


def test_the_command_compares_what_is_due_and_prints_what_it_found(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.tell(pending_batches=2, oldest_pending_s=6 * 3600)
    waits = _reconcile(capsys, "--run")
    bench.tell(pending_batches=2, oldest_pending_s=0.1)

    found = _reconcile(capsys, "--run", "--since", "2d")

    first = next(hour for hour in found["hours"] if hour["hour_us"] == BEGIN_US)
    assert {hour["why"] for hour in waits["hours"]} == {"2 batches of home:websocket are not written yet"}
    assert (first["state"], first["missing"]) == ("repairing", len(bench.lost))
    assert first["expected"] - first["stored"] == len(bench.lost)
    assert sum(first["entities"].values()) == len(bench.lost)
    assert [hour["state"] for hour in found["hours"] if hour["hour_us"] > BEGIN_US] == ["complete"] * (
        len(found["hours"]) - 1
    )
    (home,) = found["homes"]
    assert (home["home"], home["until_us"], home["waiting"]) == (HOME, BEGIN_US, 1)
    assert run(["reconcile"]) == 0
    printed = capsys.readouterr()
    assert f"{len(bench.lost)} changes (" in printed.out
    assert "home: reconciled up to" in printed.err


def _reconcile(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    assert run(["reconcile", "--json", *options]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found
