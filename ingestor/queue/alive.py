"""A file that a process touches while it lives, so that whoever watches it needs no server; judges nothing.

The time in it means nothing: clocks may be stepped. Only that it changes is a sign of life.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

_FOLDER: Final = "run"


class AliveFile:
    """The sign of life of one process; a disk that is full or gone keeps nobody from working."""

    def __init__(self, data_dir: Path, pid: int | None = None) -> None:
        self.path = data_dir / _FOLDER / f"{os.getpid() if pid is None else pid}.alive"

    def beat(self) -> None:
        """Show that this process lives."""
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.touch(mode=0o600)

    def read(self) -> int | None:
        """Return a number that changes with every beat; None where there was none yet."""
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return None

    def remove(self) -> None:
        """Take the file away: its process has ended."""
        with contextlib.suppress(OSError):
            self.path.unlink()
