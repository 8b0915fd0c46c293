"""The log of a process: bounded, whatever it says and whatever becomes of the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import structlog

from ingestor import logs
from ingestor.settings import LogSettings
from workers.process_log import ProcessLog, ProcessStream


def test_the_newest_lines_are_kept_in_files_of_bounded_size(tmp_path: Path) -> None:
    log = ProcessLog(tmp_path / "x.log", most_bytes=100)

    for number in range(1_000):
        log.write(f"line {number}\n")

    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["x.log", "x.log.1", "x.log.2"]
    assert all(file.stat().st_size <= 100 for file in files)
    lines = [line for file in reversed(files) for line in file.read_text().splitlines()]
    assert lines == [f"line {number}" for number in range(1_000 - len(lines), 1_000)]
    assert len(lines) > 15


def test_a_line_that_the_disk_does_not_take_is_dropped_and_the_next_one_is_tried(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    log = ProcessLog(folder / "x.log")

    log.write("lost\n")
    folder.mkdir()
    log.write("kept\n")

    assert (folder / "x.log").read_text() == "kept\n"


@pytest.mark.usefixtures("logging_stays_as_it_was")
def test_a_process_without_a_pipe_logs_to_its_file_from_the_level_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream: Any = ProcessStream(ProcessLog(tmp_path / "supervisor.log"))
    logs.set_up(LogSettings(), stream=stream)

    structlog.get_logger("workers").debug("pools_wait", error="away")
    structlog.get_logger("workers").warning("broker_relief", used_bytes=7)

    (line,) = map(json.loads, (tmp_path / "supervisor.log").read_text().splitlines())
    assert (line["event"], line["used_bytes"]) == ("broker_relief", 7)
    assert capsys.readouterr() == ("", "")
