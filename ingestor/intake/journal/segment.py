"""The files of a journal: segments and the lock; knows what is in them by count only."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingestor import errors

#: Number, and 8 random bytes: the seed of the segment's checksums.
_NAME: Final = re.compile(r"^(\d{12})-([0-9a-f]{16})\.segment$")


class Disk:
    """The calls by which bytes reach the disk; tests put a full or a failing one in its place."""

    def write(self, fd: int, data: memoryview) -> int:
        """Write what fits; return how many bytes did."""
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        """Return once everything that was written to the file is on the disk."""
        os.fdatasync(fd)


@dataclass(slots=True)
class Segment:
    """A segment file. `size` counts the bytes that are synced: only those may be read.

    `unread` counts the live batches that the reading cursor has still ahead, `out` those that it has given out;
    `first_seq` is the lowest number of a batch in it.
    """

    number: int
    path: Path
    seed: int
    size: int = 0
    unread: int = 0
    out: int = 0
    first_seq: int = 0

    @property
    def live(self) -> int:
        """Batches in here that are not done."""
        return self.unread + self.out


def new_segment(folder: Path, number: int) -> tuple[Segment, int]:
    """Create a segment file and return it with its descriptor; the folder is synced, so that it is there to stay."""
    salt = os.urandom(8)
    path = folder / f"{number:012d}-{salt.hex()}.segment"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    try:
        sync_folder(folder)
    except OSError:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
    return Segment(number, path, zlib.crc32(salt)), fd


def list_segments(folder: Path) -> list[Segment]:
    """Return the segments found in a folder, oldest first; whatever else lies there is left alone."""
    matches = [match for entry in folder.iterdir() if (match := _NAME.match(entry.name))]
    found = [
        Segment(
            int(match[1]), folder / match[0], zlib.crc32(bytes.fromhex(match[2])), (folder / match[0]).stat().st_size
        )
        for match in matches
    ]
    return sorted(found, key=lambda segment: segment.number)


@contextlib.contextmanager
def reading(segment: Segment) -> Iterator[int]:
    """Open a segment to read; raises FileNotFoundError once it is deleted."""
    fd = os.open(segment.path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Create the journal's folder, for its owner only, so that it survives a power loss."""
    if folder.is_dir():
        return
    missing = [folder, *(parent for parent in folder.parents if not parent.exists())]
    folder.mkdir(parents=True, mode=0o700)
    for made in missing:
        sync_folder(made.parent)


def sync_folder(folder: Path) -> None:
    """Make a folder's entries durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def lock(folder: Path) -> int:
    """Take the journal for this process; return the lock's descriptor. Raises Fatal where another one has it."""
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise errors.Fatal(
            f"the journal {folder} is in use by process {owner}: a listener of this home and name runs already"
        ) from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
    return fd
