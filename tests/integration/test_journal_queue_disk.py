"""The journal on a real disk that is full: a small tmpfs, mounted where the machine lets us."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestor import errors
from ingestor.events.frame import Frame
from ingestor.intake.batcher import Batcher
from ingestor.intake.journal.journal import Journal
from ingestor.queue import message
from ingestor.settings import BatchSettings, JournalSettings
from tests.servers import wait_until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = shutil.which("mount")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", str(folder)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_stops_nothing_for_ever_and_loses_nothing_that_was_journaled(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_000_000))
    journal = Journal(small_disk / "home-mqtt", JournalSettings())
    batcher = Batcher("home", "mqtt", journal, BatchSettings(max_frames=1))
    batcher.start()
    told: list[int] = []
    taken = 0

    try:
        while taken < 400:
            batcher.add(Frame("topic", taken, os.urandom(100_000)), functools.partial(told.append, taken))
            taken += 1
    except errors.JournalFull:
        pass  # memory is full too: the policy of whoever calls
    wait_until(lambda: batcher.status().last_error is not None, timeout_s=60, what="the full disk is noticed")
    before = len(told)
    ballast.unlink()
    wait_until(lambda: len(told) > before, timeout_s=60, what="journaling goes on")
    batcher.close()
    journal.close()

    again = Journal(small_disk / "home-mqtt", JournalSettings())
    found = []
    while (given := again.next_unsent()) is not None:
        found += [frame.received_ns for frame in message.decode_raw(given[1]).frames]
    again.close()
    assert 0 < before < len(told) < taken < 400
    assert found == told == sorted(told)
    assert batcher.status().lost == taken - len(told)
