"""Where export jobs are kept: a folder each, with the job as JSON, its slices, its file. Deletes what is too old."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from ingestor import errors
from ingestor.events.decoding import UNREADABLE
from ingestor.export.jobs.job import OPEN, ExportJob
from ingestor.export.jobs.join import FILE
from ingestor.settings_export import ExportSettings

_ID: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
_JOB: Final = "job.json"
_LOCK: Final = "lock"
#: A job whose file was removed is remembered for so long: who asks for it is told that it is gone.
_REMEMBERED_US: Final = 7 * 86_400_000_000


class ExportShelf:
    """The jobs of an installation; for any number of processes on one disk."""

    def __init__(self, folder: Path, settings: ExportSettings) -> None:
        self._folder = folder
        self._settings = settings

    def add(self, job: ExportJob) -> None:
        """Keep a new job. Raises Conflict where there are too many, or the disk has no room for more."""
        self.require_room()
        most = self._settings.max_jobs
        if sum(job.state != "expired" for job in self.all()) >= most:
            raise errors.Conflict(f"{most} export jobs are kept already: remove one (export.max_jobs)")
        self.folder_of(job.job_id).mkdir(parents=True, mode=0o700)
        self.save(job)

    def require_room(self) -> None:
        """Raise Conflict where jobs take too much of the disk, or it is nearly full."""
        used = self.used_bytes()
        if used >= self._settings.max_bytes:
            raise errors.Conflict(
                f"export jobs take {used:,} bytes, and may take {self._settings.max_bytes:,} (export.max_bytes): "
                "remove one, or ask for a shorter time"
            )
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(self._folder).free
        if free < self._settings.keep_free_bytes:
            raise errors.Conflict(
                f"the disk of {self._folder} has {free:,} bytes left, of which {self._settings.keep_free_bytes:,}"
                " are to stay free (export.keep_free_bytes)"
            )

    def used_bytes(self) -> int:
        """Return what all jobs take on the disk."""
        total = 0
        for path in self._folder.glob("*/*"):
            with contextlib.suppress(OSError):
                total += path.stat().st_size
        return total

    def all(self) -> list[ExportJob]:
        """Return all jobs, the newest first."""
        found = [self._read(path) for path in self._folder.glob(f"*/{_JOB}") if _ID.fullmatch(path.parent.name)]
        return sorted((job for job in found if job is not None), key=lambda job: (-job.created_us, job.job_id))

    def read(self, job_id: str) -> ExportJob:
        """Return a job. Raises NotFound."""
        job = self._read(self.folder_of(job_id) / _JOB)
        if job is None:
            raise errors.NotFound(f"there is no export job {job_id!r:.40}")
        return job

    def save(self, job: ExportJob) -> None:
        """Keep how far a job is. Raises NotFound where somebody has removed it."""
        folder = self.folder_of(job.job_id)
        beside = folder / f"{_JOB}.{os.getpid()}.new"
        try:
            beside.write_bytes(msgspec.json.encode(job))
            beside.replace(folder / _JOB)
        except FileNotFoundError:
            raise errors.NotFound(f"the export job {job.job_id} was removed") from None

    def remove(self, job_id: str) -> None:
        """Remove a job with all that it has; whoever works on it stops. Raises NotFound."""
        self.read(job_id)
        folder = self.folder_of(job_id)
        gone = folder.with_name(f".{job_id}-{secrets.token_hex(4)}")
        with contextlib.suppress(FileNotFoundError):
            folder.rename(gone)  # nobody finds half of it
        shutil.rmtree(gone, ignore_errors=True)

    def expire(self, now_us: int | None = None) -> list[str]:
        """Remove files that are too old, and forget jobs that ended long ago; return the ids of the former."""
        now_us = time.time_ns() // 1000 if now_us is None else now_us
        for half_removed in self._folder.glob(".*"):
            shutil.rmtree(half_removed, ignore_errors=True)
        expired = []
        for job in self.all():
            if job.state in ("ready", "failed") and job.expires_us <= now_us:
                self.clear(job)
                job.state, job.size = "expired", 0
                self.save(job)
                expired.append(job.job_id)
            elif job.state == "expired" and job.expires_us + _REMEMBERED_US <= now_us:
                self.remove(job.job_id)
        return expired

    def clear(self, job: ExportJob, *, parts_alone: bool = False) -> None:
        """Delete the slices of a job, and its file."""
        for path in self.folder_of(job.job_id).iterdir():
            if path.name not in (_JOB, _LOCK) and not (parts_alone and path.name == FILE):
                path.unlink(missing_ok=True)

    def expires_us(self) -> int:
        """Return when a job that ends now is removed."""
        return time.time_ns() // 1000 + int(self._settings.keep_hours * 3600e6)

    def folder_of(self, job_id: str) -> Path:
        """Return the folder of a job. Raises NotFound for what is no id: it may come from a queue."""
        if not _ID.fullmatch(job_id):
            raise errors.NotFound(f"there is no export job {job_id!r:.40}")
        return self._folder / job_id

    @contextmanager
    def at_work(self, job_id: str) -> Iterator[bool]:
        """Work on a job alone; yield False where another process does. Who dies lets it go. Raises NotFound."""
        try:
            file = (self.folder_of(job_id) / _LOCK).open("a")
        except FileNotFoundError:
            raise errors.NotFound(f"there is no export job {job_id!r:.40}") from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def waiting(self) -> list[str]:
        """Return the ids of jobs that nobody works on, the oldest first."""
        found = []
        for job in reversed(self.all()):
            if job.state in OPEN:
                with contextlib.suppress(errors.NotFound), self.at_work(job.job_id) as mine:
                    if mine:
                        found.append(job.job_id)
        return found

    def _read(self, path: Path) -> ExportJob | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=ExportJob)
        except (OSError, *UNREADABLE):
            return None


def new_id() -> str:
    """Return an id for a job."""
    return secrets.token_hex(8)
