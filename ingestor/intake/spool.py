"""A small durable log beside the journal: records that can be killed at any byte; knows nothing of what they say.

Two files of a fixed size, made at the start, take turns: a full disk cannot stop it. Each begins with a snapshot of
everything before; records follow, one a line: CRC and JSON. Checksums start from the snapshot's number, so that what an
earlier turn left behind in a file is never taken for a record of this one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from ingestor.intake.journal.segment import sync_folder

_log: Final = structlog.get_logger(__name__)
_FILES: Final = ("ledger-0", "ledger-1")
#: Room for the largest snapshot there can be (`ingestor.intake.book` bounds it) and thousands of records after it.
FILE_BYTES: Final = 524_288
_END: Final = b"\n"
_encode = msgspec.json.Encoder().encode


class Spool:
    """The log in a folder. One thread at a time uses it. `sync` is what brings bytes to the disk."""

    def __init__(
        self, folder: Path, *, file_bytes: int = FILE_BYTES, sync: Callable[[int], None] = os.fdatasync
    ) -> None:
        self._file_bytes = file_bytes
        self._sync = sync
        self._fds = [_open_file(folder / name, file_bytes) for name in _FILES]
        sync_folder(folder)
        self._number = 0
        self._at = 0
        self._end = 0

    def recover(self) -> tuple[Any, list[Any]] | None:
        """Return the newest whole snapshot and the records after it; None where there is none."""
        found = [(number, at, lines) for at in (0, 1) for number, lines in [self._read(at)] if lines]
        if not found:
            return None
        self._number, self._at, lines = max(found, key=lambda one: one[0])
        self._end = lines[-1][0]
        return lines[0][1], [record for _, record in lines[1:]]

    def _read(self, at: int) -> tuple[int, list[tuple[int, Any]]]:
        """Return a file's number, and where each whole line ends and what it says; the snapshot is the first."""
        lines = _lines(_content(self._fds[at], self._file_bytes))
        head = next(lines, None)
        opened = _opened(head[1], 0) if head else None
        if head is None or not (isinstance(opened, list) and len(opened) == 2 and isinstance(opened[0], int)):  # noqa: PLR2004 -- number and snapshot
            return 0, []
        number, snapshot = opened
        # Not the first damaged line is the end: what was synced after it still counts.
        rest = [(end, record) for end, line in lines if (record := _opened(line, number)) is not None]
        return number, [(head[0], snapshot), *rest]

    def begin(self, snapshot: Any) -> None:
        """Go on in the other file, which begins with this snapshot; durable when this returns.

        Raises OSError: then all stays as it was.
        """
        number, at = self._number + 1, 1 - self._at
        line = _line([number, snapshot], 0)
        if len(line) > self._file_bytes:
            raise OSError(errno.EFBIG, f"a snapshot of {len(line)} bytes")
        try:
            _write(self._fds[at], line, 0)
            self._sync(self._fds[at])
        except OSError:
            # Half of it may be there. It must not come before what is written to the other file from now on.
            with contextlib.suppress(OSError):
                _write(self._fds[at], b"-", 0)
            raise
        self._number, self._at, self._end = number, at, len(line)

    def append(self, record: Any) -> bool:
        """Write a record, durable after the next `sync`; False where the file has no room for it. Raises OSError."""
        line = _line(record, self._number)
        if self._end + len(line) > self._file_bytes:
            return False
        _write(self._fds[self._at], line, self._end)
        self._end += len(line)
        return True

    def sync(self) -> None:
        """Make durable what was appended. Raises OSError."""
        self._sync(self._fds[self._at])

    def close(self) -> None:
        """Give the files back."""
        for fd in self._fds:
            with contextlib.suppress(OSError):
                os.close(fd)


def _open_file(path: Path, size: int) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(fd).st_size < size:
            os.posix_fallocate(fd, 0, size)
    except OSError as error:
        # A disk that is full from the beginning: records find room once there is some.
        _log.warning("ledger_not_allocated", file=path.name, error=str(error))
    return fd


def _content(fd: int, size: int) -> bytes:
    try:
        return os.pread(fd, size, 0)
    except OSError:
        return b""  # a bad block: the other file may be whole


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while (end := content.find(_END, start)) >= 0:
        yield end + 1, content[start:end]
        start = end + 1


def _line(value: Any, seed: int) -> bytes:
    body = _encode(value)
    return b"%08x " % zlib.crc32(body, seed) + body + _END


def _opened(line: bytes, seed: int) -> Any:
    body = line[9:]
    try:
        if int(line[:8], 16) == zlib.crc32(body, seed):
            return msgspec.json.decode(body)
    except (ValueError, msgspec.DecodeError):
        pass
    return None


def _write(fd: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(fd, data, offset)
        data, offset = data[written:], offset + written
