"""Bounds what the processes of a host may use of the processors, by cgroups (version 1); measures nothing."""

from __future__ import annotations

import contextlib
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psutil

_CPU = Path("/sys/fs/cgroup/cpu")
_PERIOD_US = 100_000
#: Weight of the whole demonstration among what else runs on this machine; 1,024 is what everybody has.
_WEIGHT = 20_480


class CannotBoundError(Exception):
    """This machine or this user cannot bound processors; carries what was said."""


class Shares:
    """A group for the demonstration and one in it for each host. Leaving the block takes the groups away."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._top = _CPU / f"scale-{os.getpid()}"
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            for folder in (self._top, *(self._top / name for name in self._names)):
                folder.mkdir()
                self._stack.callback(folder.rmdir)
            (self._top / "cpu.shares").write_text(str(_WEIGHT))
        except OSError as error:
            self._stack.close()
            raise CannotBoundError(f"{self._top}: {error.strerror} (root and cgroups of version 1)") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def take(self, name: str, pid: int) -> None:
        """Put a process into a host's group, with all that it started; what it starts later follows."""
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(ProcessLookupError):
                (self._top / name / "cgroup.procs").write_text(str(one.pid))

    def bound(self, name: str, share: float | None) -> None:
        """Allow a host so much of one processor; None: all there is."""
        quota_us = -1 if share is None else int(share * _PERIOD_US)
        (self._top / name / "cpu.cfs_quota_us").write_text(str(quota_us))
