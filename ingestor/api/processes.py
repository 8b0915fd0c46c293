"""Every process that tells how it is: its kind, version, place, memory and whether it can do its work; ends none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: What of a board is a process.
_KINDS: Final = ("listener:", "worker:", "process:")


@dataclass(frozen=True, slots=True)
class ProcessSeen:
    """A process as its last heartbeat told; one that told nothing for ten seconds is not seen."""

    kind: str
    name: str
    host: str
    pid: int
    version: str
    ready: bool
    started_s: float
    memory_bytes: int
    restarts: Mapping[str, int]


def seen_in(board: Mapping[str, Mapping[str, Any]]) -> list[ProcessSeen]:
    """Return the processes on a status board; what somebody else put there counts as little as it says."""
    found = []
    for key, entry in board.items():
        kind, _, name = key.partition(":")
        if kind == "process":
            kind, name = str(entry.get("kind", "?")), name.rpartition(":")[0]  # the process id makes the key unique
        if key.startswith(_KINDS):
            found.append(_seen(kind, name, entry))
    return found


def _seen(kind: str, name: str, entry: Mapping[str, Any]) -> ProcessSeen:
    restarts = entry.get("restarts")
    return ProcessSeen(
        kind,
        name,
        str(entry.get("host", "?")),
        int(_number(entry, "pid")),
        str(entry.get("version", "?")),
        bool(entry.get("connected")) if kind == "listener" else bool(entry.get("ready", True)),
        _number(entry, "started_s"),
        int(_number(entry, "memory_bytes")),
        {str(one): int(times) for one, times in restarts.items()} if isinstance(restarts, dict) else {},
    )


def _number(entry: Mapping[str, Any], key: str) -> float:
    value = entry.get(key)
    return value if isinstance(value, int | float) else 0
