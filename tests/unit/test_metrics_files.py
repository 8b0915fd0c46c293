"""Counters over many processes never fall, whoever dies and whenever the folding stops."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingestor import metrics, metrics_files
from ingestor.metrics_declared import DECLARED, EVENT_COUNTERS
from ingestor.metrics_gauges import GAUGES

_COUNTS = """
import sys
from pathlib import Path
from ingestor import metrics
metrics.start(Path(sys.argv[1]))
metrics.counter("ingestor_events_written_total", home="home", source="websocket").inc(int(sys.argv[2]))
metrics.histogram("ingestor_step_seconds", step="write").observe(0.02)
print("counted", flush=True)
sys.stdin.read()
"""


class Counting:
    """A process that has counted and waits to be ended."""

    def __init__(self, folder: Path, amount: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _COUNTS, str(folder), str(amount)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "counted\n"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


Start = Callable[[int], Counting]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Counting] = []

    def start_one(amount: int) -> Counting:
        started.append(Counting(tmp_path, amount))
        return started[-1]

    yield start_one
    for one in started:
        one.kill()


def totals(folder: Path) -> dict[str, float]:
    return {
        sample.name + str(sample.labels.get("le", "")): sample.value
        for metric in metrics_files.FolderCollector(folder).collect()
        for sample in metric.samples
    }


def written(folder: Path) -> float:
    return totals(folder)["ingestor_events_written_total"]


def test_no_counter_falls_when_a_process_dies_and_its_files_are_folded(tmp_path: Path, start: Start) -> None:
    dead = start(2000)
    start(30)
    dead.kill()

    folded = metrics_files.fold_dead(tmp_path)

    assert folded == 2
    assert written(tmp_path) == 2030
    assert len(list(tmp_path.glob("counter_*.db"))) == 1


def test_a_living_process_goes_on_counting_into_its_own_file(tmp_path: Path, start: Start) -> None:
    living = start(30)

    assert metrics_files.fold_dead(tmp_path) == 0
    assert written(tmp_path) == 30
    living.kill()
    assert metrics_files.fold_dead(tmp_path) == 2
    assert written(tmp_path) == 30


def test_folding_again_and_again_adds_up(tmp_path: Path, start: Start) -> None:
    for amount in (1, 20, 300):
        start(amount).kill()
        metrics_files.fold_dead(tmp_path)

    assert written(tmp_path) == 321
    assert totals(tmp_path)["ingestor_step_seconds_count"] == 3
    assert totals(tmp_path)["ingestor_step_seconds_bucket0.01"] == 0
    assert totals(tmp_path)["ingestor_step_seconds_bucket0.025"] == 3
    assert [path.name for path in tmp_path.glob("archive-*")] == ["archive-3"]


@pytest.mark.parametrize("killed_after", ["nothing", "write", "pointer"])
def test_a_kill_while_folding_counts_nothing_twice_and_loses_nothing(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch, killed_after: str
) -> None:
    start(5).kill()
    metrics_files.fold_dead(tmp_path)
    start(7).kill()

    monkeypatch.setattr(metrics_files, "_write_archive", stopping(metrics_files._write_archive, killed_after))
    with pytest.raises(KeyboardInterrupt):
        metrics_files.fold_dead(tmp_path)
    monkeypatch.undo()

    assert written(tmp_path) == 12
    metrics_files.fold_dead(tmp_path)
    assert written(tmp_path) == 12


WriteArchive = Callable[[Path, Path | None, list[Path]], Path]


def stopping(write_archive: WriteArchive, killed_after: str) -> WriteArchive:
    """Return a writer that is killed at some moment."""

    def stop(folder: Path, old: Path | None, dead: list[Path]) -> Path:
        before = (folder / "archive").read_text()
        if killed_after != "nothing":
            write_archive(folder, old, dead)
        if killed_after == "write":
            (folder / "archive").write_text(before)
        raise KeyboardInterrupt

    return stop


def test_a_forked_child_counts_apart_from_its_parent(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from ingestor import metrics
metrics.start(Path(sys.argv[1]))
metrics.counter("ingestor_tie_breaks_total").inc(1)
child = os.fork()
metrics.counter("ingestor_tie_breaks_total").inc(10)
if child:
    os.waitpid(child, 0)
"""

    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)

    assert totals(tmp_path)["ingestor_tie_breaks_total"] == 21
    metrics_files.fold_dead(tmp_path)
    assert totals(tmp_path)["ingestor_tie_breaks_total"] == 21
    assert not list(tmp_path.glob("*.alive"))


def test_what_a_library_counts_in_our_processes_is_not_told_as_ours(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from prometheus_client import Counter
from ingestor import metrics
metrics.start(Path(sys.argv[1]))
metrics.counter("ingestor_tie_breaks_total").inc()
Counter("flower_events_total", "A library's.").inc()
"""

    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)

    assert set(totals(tmp_path)) == {"ingestor_tie_breaks_total"}


def test_an_undeclared_metric_a_wrong_kind_and_wrong_labels_raise() -> None:
    uses: list[tuple[str, dict[str, str]]] = [
        ("ingestor_nobody_declared_total", {}),
        ("ingestor_step_seconds", {"step": "write"}),
        ("ingestor_events_written_total", {"home": "home"}),
    ]
    for name, labels in uses:
        with pytest.raises(metrics.UndeclaredMetric):
            metrics.counter(name, **labels)


def test_every_declared_metric_follows_the_naming_of_prometheus() -> None:
    for declared in DECLARED:
        assert declared.name.startswith(metrics.PREFIX)
        assert declared.name.endswith("_total") == (declared.kind == "counter")
        assert declared.kind == "counter" or declared.name.endswith("_seconds")
        assert declared.help.endswith(".")


def test_every_declared_metric_is_counted_somewhere_and_told_once() -> None:
    root = Path(__file__).resolve().parents[2]
    parts = [*root.glob("ingestor/**/*.py"), *root.glob("tasks/*.py"), *root.glob("workers/*.py")]
    code = "".join(path.read_text("utf-8") for path in parts if not path.name.startswith("metrics_"))
    names = [one.name for one in (*DECLARED, *GAUGES)]

    assert len(set(names)) == len(names)
    assert [name for name in names if f'"{name}"' not in code and name not in EVENT_COUNTERS.values()] == []
    assert all(one.unit and one.help.endswith(".") for one in (*DECLARED, *GAUGES))


def test_a_folder_that_is_not_there_has_no_metrics(tmp_path: Path) -> None:
    assert totals(tmp_path / "absent") == {}
    assert metrics_files.fold_dead(tmp_path / "absent") == 0
    assert list(tmp_path.iterdir()) == []
