"""Joins the slices of an export job to its file: `python -m ingestor.export.jobs.join FOLDER`, a process of its own.

No form can be begun anew in its middle, and joining may take longer than a task may. It says how far it is in a file
beside the slices, and ends when nobody has looked there for a minute.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from ingestor import errors
from ingestor.events.decoding import UNREADABLE
from ingestor.events.point import StoredEvent
from ingestor.export.files import file_of
from ingestor.export.forms import form_of
from ingestor.export.jobs.job import ExportJob
from ingestor.export.jobs.slices import read_slices

FILE: Final = "file"
_LOCK: Final = "join-lock"
_WANTED: Final = "join-wanted"
_TOLD: Final = "joined.json"
_UNWANTED_AFTER_S: Final = 60.0
_NICENESS: Final = 5
_LOOKED_AT_S: Final = 2.0


class Joined(msgspec.Struct):
    """How far it is: rows in the file; `done` with its size and digest, or why it cannot be."""

    rows: int = 0
    done: bool = False
    size: int = 0
    digest: str = ""
    error: str = ""


def joined(folder: Path) -> Joined:
    """Return how far it is."""
    try:
        return msgspec.json.decode((folder / _TOLD).read_bytes(), type=Joined)
    except (OSError, *UNREADABLE):
        return Joined()


def want(folder: Path) -> None:
    """Say that somebody still wants it."""
    (folder / _WANTED).touch()


def is_joining(folder: Path) -> bool:
    """Tell whether a process is at it."""
    with (folder / _LOCK).open("a") as lock:
        return not _taken(lock.fileno())


def start(folder: Path) -> None:
    """Begin to join; returns at once, and outlives whoever called."""
    with (folder / "join.log").open("ab") as log:
        # Not waited for: it tells by its lock and its file how it is, to whoever takes over as well.
        subprocess.Popen(  # noqa: S603 -- our own program
            [sys.executable, "-m", "ingestor.export.jobs.join", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def join(folder: Path, job: ExportJob) -> Joined:
    """Make the file of a job whose slices are all there. Raises OSError, UnreadableMessage."""
    told, digest = Joined(), hashlib.blake2b(digest_size=16)
    part = folder / f"{FILE}.part"
    with part.open("wb") as out:
        for piece in file_of(_slices(folder, job, told), form_of(job.form), packed=job.packed):
            out.write(piece)
            digest.update(piece)
            told.size += len(piece)
        out.flush()
        os.fsync(out.fileno())
    part.replace(folder / FILE)
    told.done, told.digest = True, digest.hexdigest()
    return told


def _slices(folder: Path, job: ExportJob, told: Joined) -> Iterator[list[StoredEvent]]:
    for events in read_slices(folder, job.slices):
        if time.time() - (folder / _WANTED).stat().st_mtime > _UNWANTED_AFTER_S:
            raise errors.Conflict("nobody waits for it any more")
        yield events
        told.rows += len(events)
        _tell(folder, told)


def _tell(folder: Path, told: Joined) -> None:
    beside = folder / f"{_TOLD}.new"
    beside.write_bytes(msgspec.json.encode(told))
    beside.replace(folder / _TOLD)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main(folder: Path) -> int:
    """Join, and say how it ended."""
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    with (folder / _LOCK).open("a") as lock:
        until_s = time.monotonic() + _LOOKED_AT_S
        while not _taken(lock.fileno()):  # for a moment also by who looks whether we are there
            if time.monotonic() > until_s:
                return 0
            time.sleep(_LOOKED_AT_S / 100)
        try:
            job = msgspec.json.decode((folder / "job.json").read_bytes(), type=ExportJob)
            _tell(folder, join(folder, job))
        except errors.Conflict as error:  # it is begun anew when somebody wants it again
            sys.stderr.write(f"{error}\n")
        except (OSError, errors.IngestorError, *UNREADABLE) as error:
            with contextlib.suppress(OSError):  # the folder is gone, or the disk is full: the next one meets it
                _tell(folder, Joined(error=f"{type(error).__name__}: {error}"))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
