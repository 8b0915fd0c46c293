"""What each process tells of itself in a file beside its data, for whoever asks on this machine; needs no server.

`<pid>.json` is written when what it says changes, and touched with each heartbeat: so its age is a sign of life, too.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from ingestor.queue.alive import AliveFile

FOLDER: Final = "run"
#: A heartbeat may wait so long for a state server that does not answer (the supervisor's limit is the same).
SILENT_S: Final = 40.0
#: Two beats, and some: for who seems silent by a clock that was stepped meanwhile.
_SECOND_LOOK_S: Final = 3.0
_TOLD: Final = (
    *("kind", "type", "host", "version", "started_s", "ready", "connected", "standing_by", "last_error"),
    *("queues", "has_beat"),
)


class VitalsFile:
    """The file of this process; a disk that is full or gone keeps nobody from working."""

    def __init__(self, data_dir: Path, pid: int | None = None) -> None:
        self._path = data_dir / FOLDER / f"{os.getpid() if pid is None else pid}.json"
        self._written = b""

    def tell(self, kind: str, name: str, entry: Mapping[str, Any]) -> None:
        """Say how this process is: what its heartbeat puts on the status board, but for what changes all the time."""
        told = {key: entry[key] for key in _TOLD if key in entry}
        packed = msgspec.json.encode({**told, "name": name, "process": kind})
        with contextlib.suppress(OSError):
            if packed == self._written and self._path.exists():
                os.utime(self._path)
                return
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = self._path.with_suffix(".new")
            draft.write_bytes(packed)
            draft.replace(self._path)
            self._written = packed

    def remove(self) -> None:
        """Take the file away: this process ends."""
        with contextlib.suppress(OSError):
            self._path.unlink()


@dataclass(frozen=True, slots=True)
class Vitals:
    """A process of this machine. `alive`: it shows signs of life; `ready`: it can do its work."""

    kind: str
    name: str
    pid: int
    alive: bool
    ready: bool
    version: str
    started_s: float
    detail: str
    names: frozenset[str]


def vitals_of(
    data_dir: Path, wanted: str = "all", *, wait: Callable[[float], object] = time.sleep, now_s: float | None = None
) -> list[Vitals]:
    """Return the processes of a data folder that are meant by a kind, a pool, a queue, a name or "all".

    Who was silent for too long by the clock gets a second look: clocks may be stepped, and a file that changes lives.
    """
    found = [one for one in _read(data_dir, time.time() if now_s is None else now_s) if wanted in one.names]
    silent = {one.pid: _beats(data_dir, one.pid) for one in found if not one.alive}
    if not silent:
        return found
    wait(_SECOND_LOOK_S)
    moved = {pid for pid, before in silent.items() if _moved(before, _beats(data_dir, pid))}
    return [replace(one, alive=True) if one.pid in moved else one for one in found]


def _read(data_dir: Path, now_s: float) -> Iterator[Vitals]:
    for path in sorted((data_dir / FOLDER).glob("*.json")):
        with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError):  # it ended meanwhile; somebody else's file
            told = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
            if _is_there(pid := int(path.stem)):
                yield _vitals(pid, told, alive=all(_is_fresh(at_ns, now_s) for at_ns in _beats(data_dir, pid)))


def _beats(data_dir: Path, pid: int) -> tuple[int, ...]:
    """Return what changes with each beat: of the heartbeat, and of the loop that does the work where it shows one."""
    with contextlib.suppress(OSError):
        told = (data_dir / FOLDER / f"{pid}.json").stat().st_mtime_ns
        worked = AliveFile(data_dir, pid).read()
        return (told,) if worked is None else (told, worked)
    return ()


def _moved(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    return len(before) == len(after) > 0 and all(one != other for one, other in zip(before, after, strict=True))


def _is_fresh(at_ns: int, now_s: float) -> bool:
    return abs(now_s - at_ns / 1e9) < SILENT_S


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _vitals(pid: int, told: Mapping[str, Any], *, alive: bool) -> Vitals:
    process, full_name = str(told.get("process", "?")), str(told.get("name", "?"))
    kind = str(told.get("kind", "?")) if process == "process" else process
    name = full_name.rpartition(":")[0] if process == "process" else full_name  # the process id makes the key unique
    stands_by = bool(told.get("standing_by"))
    ready = bool(told.get("connected") or stands_by) if kind == "listener" else bool(told.get("ready", True))
    detail = "stands by" if stands_by else "" if ready else str(told.get("last_error") or "")
    names = {"all", kind, name, name.partition("@")[0], str(told.get("type", kind)), str(told.get("kind", kind))}
    # A small machine has one node for all queues, with beat in it: whoever asks for one of them means that node.
    names.update(map(str, _listed(told.get("queues"))), {"beat"} if told.get("has_beat") is True else ())
    started_s = told.get("started_s")
    return Vitals(
        kind,
        name,
        pid,
        alive,
        ready,
        str(told.get("version", "?")),
        float(started_s) if isinstance(started_s, int | float) else 0.0,
        detail,
        frozenset(names),
    )


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
