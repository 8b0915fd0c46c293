"""The command line into a pipe whose reader has enough."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.program import run_into


def run_unread(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose standard output nobody reads any more."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        return run_into(write_end, folder, *arguments)
    finally:
        os.close(write_end)


@pytest.mark.parametrize("arguments", [["--help"], ["config", "show"], ["config", "show", "--json"]])
def test_a_reader_that_has_enough_is_no_failure(tmp_path: Path, arguments: list[str]) -> None:
    done = run_unread(tmp_path, *arguments)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_failure_into_such_a_pipe_stays_one(tmp_path: Path) -> None:
    done = run_unread(tmp_path, "quarantine", "show", "17")

    assert done.returncode == 1
    assert "there is no piece 17" in done.stderr
