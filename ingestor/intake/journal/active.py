"""The segment that is written to: whole groups reach the disk or leave no trace; knows no record and no batch."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

from ingestor.intake.journal.segment import Disk, Segment, new_segment

_OUT_OF_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class ActiveFile:
    """Appends to the newest segment; begins another when that is large enough or cannot be trusted any more."""

    def __init__(self, folder: Path, segment_bytes: int, last_number: int, disk: Disk) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._number = last_number
        self._disk = disk
        self._segment: Segment | None = None
        self._fd = -1

    @property
    def current(self) -> Segment | None:
        """The segment that is written to, if there is one."""
        return self._segment

    def segment(self) -> Segment:
        """Return the segment that the next group goes to. Raises OSError where none can be made."""
        if self._segment is not None and self._segment.size < self._segment_bytes:
            return self._segment
        fresh, fd = new_segment(self._folder, self._number + 1)
        self.retire()
        self._segment, self._fd, self._number = fresh, fd, fresh.number
        return fresh

    def write(self, data: bytes, *, sync: bool) -> None:
        """Append to the segment that `segment` returned; with `sync`, wait until the disk has it.

        Raises OSError; then nothing of it will be read. The caller adds to the segment's size.
        """
        try:
            view = memoryview(data)
            while view:
                view = view[self._disk.write(self._fd, view) :]
            if sync:
                self._disk.sync(self._fd)
        except OSError as error:
            self._undo(error)
            raise

    def retire(self, *, sync: bool = False) -> None:
        """Write no more to this segment."""
        if self._segment is None:
            return
        if sync:
            with contextlib.suppress(OSError):
                self._disk.sync(self._fd)
        os.close(self._fd)
        self._segment = None

    def _undo(self, error: OSError) -> None:
        broken = error.errno not in _OUT_OF_SPACE
        try:
            os.ftruncate(self._fd, self._segment.size if self._segment else 0)
        except OSError:
            broken = True
        if broken:
            # After a failed sync nobody knows what the disk has: this file is not written to again.
            self.retire()
