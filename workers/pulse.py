"""Tells when a process that showed signs of life shows none any more; ends nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ingestor.queue.alive import AliveFile

#: Longer than a heartbeat may wait for a state server that does not answer.
SILENT_S: Final = 40.0
#: Who has not felt for so long was stopped itself, with all others perhaps: it begins to wait anew.
_SLEPT_S: Final = 5.0


class Pulse:
    """The pulse of one process; one that never beat is not judged."""

    def __init__(
        self, file: AliveFile, silent_s: float = SILENT_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._file = file
        self._limit_s = silent_s
        self._clock = clock
        self._beat: int | None = None
        self._changed_s = self._felt_s = clock()
        file.remove()  # of an earlier process with the same id

    @property
    def began(self) -> bool:
        """Tell whether there was a sign of life as of the last `is_silent`."""
        return self._beat is not None

    def is_silent(self) -> bool:
        """Feel, and tell whether there was no sign of life for too long."""
        now_s, beat = self._clock(), self._file.read()
        if beat != self._beat or now_s - self._felt_s > _SLEPT_S:
            self._beat, self._changed_s = beat, now_s
        self._felt_s = now_s
        return self.began and now_s - self._changed_s >= self._limit_s

    def end(self) -> None:
        """Take the file away: its process has ended."""
        self._file.remove()
