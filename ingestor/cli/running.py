"""Finds the supervisor of a data folder by its lock; tells it nothing."""

from __future__ import annotations

import fcntl
from pathlib import Path


def supervisor_pid(data_dir: Path) -> int | None:
    """Return the process id of the `up` that holds this data folder; None where none runs."""
    try:
        with (data_dir / "supervisor.lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read())
    except (OSError, ValueError):
        pass
    return None
