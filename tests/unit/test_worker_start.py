"""How a worker node starts: in Celery's words, with the tasks of its queues and nothing that they do not use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import celeryconfig
from ingestor.queue import names
from ingestor.settings import Settings
from workers.modules import task_modules
from workers.worker import arguments, queues

ROOT = Path(__file__).resolve().parents[2]
#: What takes long to load, and what a step of the way does without until it needs it.
HEAVY = {"sqlalchemy", "jinja2", "prompt_toolkit", "flower", "influxdb_client", "fastapi", "typer", "rich"}


def settings(folder: Path, **more: Any) -> Settings:
    return Settings(data_dir=folder, **more)


def test_what_is_not_said_follows_from_the_settings(tmp_path: Path) -> None:
    chosen = settings(tmp_path, workers={"pools": {"write": {"prefetch": 7}}}, log={"level": "warning"})

    told = arguments(chosen, ["-Q", "write", "-n", "write-2@pi", "-c", "1"])

    assert told[told.index("--prefetch-multiplier") + 1] == "7"
    assert told[told.index("-l") + 1] == "warning"
    assert {"--without-gossip", "--without-mingle"} <= set(told)
    assert told[-6:] == ["-Q", "write", "-n", "write-2@pi", "-c", "1"]


def test_a_node_without_a_name_of_ours_works_too(tmp_path: Path) -> None:
    told = arguments(settings(tmp_path), ["-c", "1"])

    assert told[told.index("--prefetch-multiplier") + 1] == "2"
    assert queues(["-c", "1"]) is None
    assert queues(["-Q", "registry,history"]) == ["registry", "history"]


def test_a_node_has_the_tasks_of_its_queues() -> None:
    assert task_modules(celeryconfig.task_routes, ["write"]) == ["tasks.write"]
    assert task_modules(celeryconfig.task_routes, ["quality"]) == [
        "tasks.quality",
        "tasks.quality_hours",
        "tasks.reports",
    ]


def test_every_task_that_is_sent_is_in_a_module_that_a_node_of_its_queue_loads() -> None:
    sent = {name for name in map(str, vars(names).values()) if name.startswith("tasks.")}
    scheduled = {str(entry["task"]) for entry in celeryconfig.beat_schedule.values()}

    modules = {name.rpartition(".")[0] for name in sent | scheduled}

    assert modules == set(task_modules(celeryconfig.task_routes))


@pytest.mark.parametrize("queue", ["validate", "enrich", "write"])
def test_a_node_of_a_step_loads_nothing_large_that_it_may_never_need(queue: str, tmp_path: Path) -> None:
    program = (
        "import sys; from workers.app import build; import celery.bin.worker\n"
        f"build([{queue!r}]).loader.import_default_modules()\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    environ = {**os.environ, "HA_INGESTOR_DATA_DIR": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )

    assert "tasks" in done.stdout.split()
    assert not HEAVY & set(done.stdout.split())


def test_bad_settings_end_a_node_with_the_code_that_no_restart_mends(tmp_path: Path) -> None:
    environ = {**os.environ, "HA_INGESTOR_DATA_DIR": str(tmp_path), "HA_INGESTOR_BATCH__MAX_FRAMES": "0"}

    done = subprocess.run(
        [sys.executable, "-m", "workers.worker", "-Q", "write", "-n", "write@pi", "-c", "1"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "batch.max_frames" in done.stderr


def test_beat_loads_no_tasks_and_nothing_large(tmp_path: Path) -> None:
    program = "import sys; import workers.beat; workers.beat.program().init_loader(); print(*sys.modules)"
    environ = {**os.environ, "HA_INGESTOR_DATA_DIR": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )

    loaded = set(done.stdout.split())
    assert not set(task_modules(celeryconfig.task_routes)) & loaded
    assert not HEAVY & {name.partition(".")[0] for name in loaded}
