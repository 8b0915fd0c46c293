"""`ha-ingestor health` and its light form tell from files alone who lives, who can work, and of which version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingestor.cli import probe
from ingestor.cli.main import build_app
from ingestor.queue.alive import AliveFile
from ingestor.queue.vitals import SILENT_S, VitalsFile, vitals_of

STARTED = {"host": "pi", "version": "1.2.3", "started_s": 1.0}


@pytest.fixture
def other_pid() -> Iterator[int]:
    """The id of a process that lives and does nothing."""
    idle = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield idle.pid
    idle.kill()
    idle.communicate()


def tell(folder: Path, process: str, name: str, pid: int | None = None, **entry: object) -> VitalsFile:
    file = VitalsFile(folder, pid)
    file.tell(process, name, {**STARTED, **entry})
    return file


def health(folder: Path, *words: str) -> tuple[int, str]:
    told = CliRunner().invoke(build_app(), ["--data-dir", str(folder), "health", *words])
    return told.exit_code, told.stdout


def test_each_process_is_found_by_its_kind_its_pool_and_its_name(tmp_path: Path, other_pid: int) -> None:
    tell(tmp_path, "worker", "enrich-2@pi", type="enrich", ready=True)
    tell(tmp_path, "listener", "home:websocket", other_pid, kind="websocket", connected=True)

    for words in ("worker", "enrich", "enrich-2", "enrich-2@pi"):
        assert [one.name for one in vitals_of(tmp_path, words)] == ["enrich-2@pi"], words
    for words in ("listener", "websocket", "home:websocket"):
        assert [one.name for one in vitals_of(tmp_path, words)] == ["home:websocket"], words
    assert vitals_of(tmp_path, "write") == []
    assert len(vitals_of(tmp_path)) == 2


def test_the_one_node_of_a_small_machine_is_meant_by_each_of_its_queues_and_by_the_beat_in_it(tmp_path: Path) -> None:
    tell(tmp_path, "worker", "all@pi", type="all", queues=["validate", "enrich", "upkeep"], has_beat=True, ready=True)

    for words in ("worker", "all@pi", "validate", "enrich", "upkeep", "beat"):
        assert [one.name for one in vitals_of(tmp_path, words)] == ["all@pi"], words
        assert health(tmp_path, words, "--ready")[0] == 0, words
    assert health(tmp_path, "flower")[0] == 1


def test_a_node_of_one_step_is_no_beat(tmp_path: Path) -> None:
    tell(tmp_path, "worker", "enrich@pi", type="enrich", queues=["enrich"], has_beat=False)

    assert vitals_of(tmp_path, "beat") == []


def test_beat_is_told_without_the_process_id_that_makes_its_entry_unique(tmp_path: Path) -> None:
    tell(tmp_path, "process", f"beat@pi:{os.getpid()}", kind="beat", ready=True)

    code, told = health(tmp_path, "beat", "--json")

    assert code == 0
    (one,) = json.loads(told)
    assert one == {
        "kind": "beat",
        "name": "beat@pi",
        "pid": os.getpid(),
        "alive": True,
        "ready": True,
        "version": "1.2.3",
        "started_s": 1.0,
        "detail": "",
    }


def test_who_lives_and_cannot_work_fails_only_where_that_is_asked(tmp_path: Path) -> None:
    tell(tmp_path, "listener", "home:websocket", kind="websocket", connected=False, last_error="no route to host")

    assert health(tmp_path, "listener")[0] == 0
    code, told = health(tmp_path, "listener", "--ready")

    assert code == 1
    assert "no route to host" in told


def test_a_listener_that_stands_by_is_ready(tmp_path: Path) -> None:
    tell(tmp_path, "listener", "home:websocket", kind="websocket", connected=False, standing_by=True)

    assert health(tmp_path, "listener", "--ready")[0] == 0


def test_a_process_that_beats_no_more_is_not_alive(tmp_path: Path) -> None:
    tell(tmp_path, "worker", "enrich@pi", type="enrich")

    (one,) = vitals_of(tmp_path, now_s=time.time() + SILENT_S + 1, wait=lambda _: None)

    assert not one.alive


def test_a_loop_that_stands_still_is_found_behind_a_heartbeat_that_goes_on(tmp_path: Path) -> None:
    AliveFile(tmp_path).beat()
    os.utime(AliveFile(tmp_path).path, (1, 1))
    tell(tmp_path, "process", f"api@pi:{os.getpid()}", kind="api")

    (one,) = vitals_of(tmp_path, wait=lambda _: None)

    assert not one.alive


def test_a_clock_that_was_stepped_makes_nobody_dead(tmp_path: Path) -> None:
    file = tell(tmp_path, "worker", "enrich@pi", type="enrich")

    def beat(_: float) -> None:
        file.tell("worker", "enrich@pi", {**STARTED, "type": "enrich"})

    (one,) = vitals_of(tmp_path, now_s=time.time() + 86_400, wait=beat)

    assert one.alive


def test_a_process_that_ended_without_a_word_is_not_there(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    tell(tmp_path, "worker", "enrich@pi", ended.pid, type="enrich")
    (tmp_path / "run" / "1.json").write_bytes(b"rubbish")

    assert vitals_of(tmp_path) == []
    assert health(tmp_path)[0] == 1


def test_what_changes_is_told_anew_and_what_does_not_is_a_beat(tmp_path: Path) -> None:
    file = tell(tmp_path, "worker", "enrich@pi", type="enrich", ready=True)
    path = tmp_path / "run" / f"{os.getpid()}.json"
    os.utime(path, (1, 1))

    file.tell("worker", "enrich@pi", {**STARTED, "type": "enrich", "ready": True, "tasks": 7})
    assert path.stat().st_mtime > 1
    file.tell("worker", "enrich@pi", {**STARTED, "type": "enrich", "ready": False})
    assert [one.ready for one in vitals_of(tmp_path)] == [False]

    file.remove()
    assert vitals_of(tmp_path) == []


def test_the_light_form_says_the_same_by_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HA_INGESTOR_DATA_DIR", raising=False)
    assert probe.main(["enrich"]) == 1
    monkeypatch.setenv("HA_INGESTOR_DATA_DIR", str(tmp_path))
    assert probe.main(["enrich"]) == 1
    tell(tmp_path, "worker", "enrich@pi", type="enrich", ready=False)

    assert probe.main(["enrich"]) == 0
    assert probe.main(["enrich", "--ready"]) == 1
    assert "enrich@pi is not ready" in capsys.readouterr().err
