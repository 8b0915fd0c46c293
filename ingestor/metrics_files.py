"""The files that `metrics` counts into: reading them all, and folding those of dead processes into one.

A counter must never fall (rule 27: deleting the files of dead workers made 2030 into 2000). So the numbers of the
dead are added to an archive first. An archive is a folder `archive-N` with the sums and the list of files in them;
the file `archive` names the valid one and is replaced in one step, so that a kill at any moment counts nothing twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from ingestor.metrics import PREFIX

_POINTER: Final = "archive"
_CONTENTS: Final = "folded.json"
_KINDS: Final = ("counter", "histogram")


class FolderCollector:
    """Gives Prometheus the sums over all processes, living and dead."""

    def __init__(self, folder: Path, registry: CollectorRegistry | None = None) -> None:
        self._folder = folder
        if registry is not None:
            registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Return every metric, added up."""
        if not self._folder.is_dir():
            return []
        with _locked(self._folder, fcntl.LOCK_SH):
            archive = _archive(self._folder)
            living = [path for path in _counting(self._folder) if path.name not in _folded(archive)]
            dead = sorted(archive.glob("*.db")) if archive else []
            merged: Iterable[Metric] = MultiProcessCollector.merge(  # type: ignore[no-untyped-call]  # it has no types
                [str(path) for path in (*dead, *living)]
            )
            # A library in one of our processes (Flower) may count into these files too; that is not ours to tell.
            return [metric for metric in merged if metric.name.startswith(PREFIX)]

    def describe(self) -> Iterable[Metric]:
        """Return nothing: what there is depends on the files."""
        return []


def fold_dead(folder: Path) -> int:
    """Add the files of dead processes to the archive, then delete them; return how many were folded."""
    if not folder.is_dir():
        return 0
    with _locked(folder, fcntl.LOCK_EX):
        archive = _archive(folder)
        _clean(folder, archive)
        with _dead_files(folder) as dead:
            if dead:
                archive = _write_archive(folder, archive, dead)
                _clean(folder, archive)
            return len(dead)


@contextmanager
def _locked(folder: Path, mode: int) -> Iterator[None]:
    with (folder / "fold.lock").open("a") as handle:
        fcntl.flock(handle, mode)
        yield


@contextmanager
def _dead_files(folder: Path) -> Iterator[list[Path]]:
    """Yield the files whose process holds its lock no more; no new process of that name gets in meanwhile."""
    handles: list[int] = []
    try:
        names = {path.stem for path in folder.glob("*.alive")} | {_process(path) for path in _counting(folder)}
        dead = {name for name in names if _take_lock(folder / f"{name}.alive", handles)}
        yield [path for path in _counting(folder) if _process(path) in dead]
        for name in dead:
            (folder / f"{name}.alive").unlink(missing_ok=True)
    finally:
        for handle in handles:
            os.close(handle)


def _process(path: Path) -> str:
    return path.stem.partition("_")[2]


def _take_lock(path: Path, handles: list[int]) -> bool:
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return False
    handles.append(handle)
    return True


def _counting(folder: Path) -> list[Path]:
    return [path for kind in _KINDS for path in sorted(folder.glob(f"{kind}_*.db"))]


def _archive(folder: Path) -> Path | None:
    try:
        return folder / (folder / _POINTER).read_text("utf-8").strip()
    except FileNotFoundError:
        return None


def _folded(archive: Path | None) -> frozenset[str]:
    return frozenset(json.loads((archive / _CONTENTS).read_text("utf-8"))) if archive else frozenset()


def _clean(folder: Path, archive: Path | None) -> None:
    """Delete what the valid archive holds, and archives that are not valid; a kill may have left them."""
    for name in _folded(archive):
        (folder / name).unlink(missing_ok=True)
    if archive and _folded(archive):
        _write_text(archive / _CONTENTS, "[]")
    for stale in folder.glob("archive-*"):
        if stale != archive:
            shutil.rmtree(stale, ignore_errors=True)


def _write_archive(folder: Path, old: Path | None, dead: list[Path]) -> Path:
    number = int(old.name.rpartition("-")[2]) + 1 if old else 1
    new = folder / f"archive-{number}"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    for kind in _KINDS:
        files = [path for path in dead if path.name.startswith(kind)]
        _write_sums(new / f"{kind}_archive.db", [*(old.glob(f"{kind}_*.db") if old else ()), *files])
    _write_text(new / _CONTENTS, json.dumps([path.name for path in dead]))
    _write_text(folder / _POINTER, new.name)
    return new


def _write_sums(target: Path, files: list[Path]) -> None:
    sums: dict[str, float] = defaultdict(float)
    for path in files:
        for key, value, *_ in MmapedDict.read_all_values_from_file(str(path)):  # type: ignore[no-untyped-call]  # it has no types
            sums[key] += value
    if not sums:
        return
    store: Any = MmapedDict(str(target))  # type: ignore[no-untyped-call]  # it has no types
    for key, total in sums.items():
        store.write_value(key, total, 0.0)
    store.close()


def _write_text(path: Path, text: str) -> None:
    """Replace a file in one step."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text, "utf-8")
    fresh.replace(path)
