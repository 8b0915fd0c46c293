"""What a process tells of itself with each heartbeat: where it runs, its version, since when, its memory."""

from __future__ import annotations

import functools
import os
import socket
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def about_self(children: Iterable[int] = ()) -> dict[str, Any]:
    """Return it as plain values; memory with that of `children` (process ids), 0 where the system does not tell."""
    pid = os.getpid()
    return {**_fixed(pid), "memory_bytes": sum(map(resident_bytes, (pid, *children)))}


@functools.cache
def _fixed(pid: int) -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": pid, "version": version("ha-ingestor"), "started_s": time.time()}


def resident_bytes(pid: int) -> int:
    """Return what a process holds in memory; 0 where it has ended, or the system has no /proc."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0
