"""The log file of a process under the supervisor: bounded, and never in the way of the process that writes to it."""

from __future__ import annotations

import io
import logging
from logging import handlers
from pathlib import Path
from typing import Final

_BYTES: Final = 5_000_000
_OLD_FILES: Final = 2


class ProcessLog(handlers.RotatingFileHandler):
    """Keeps the newest lines of a process in `path`, older ones in `path.1` and `path.2`.

    A line that the disk does not take is dropped: a pipe that nobody reads would stop the process at its next line.
    """

    terminator = ""

    def __init__(self, path: Path, *, most_bytes: int = _BYTES) -> None:
        super().__init__(path, maxBytes=most_bytes, backupCount=_OLD_FILES, encoding="utf-8", delay=True)

    def write(self, line: str) -> None:
        """Append a line, with its end."""
        self.handle(logging.makeLogRecord({"msg": line}))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 -- the standard library's name
        """Drop the line."""


class ProcessStream(io.TextIOBase):
    """What a process logs to that has no pipe to somebody else: each write is a line of its file."""

    def __init__(self, log: ProcessLog) -> None:
        super().__init__()
        self._log = log

    def write(self, line: str) -> int:
        """Append a line, with its end."""
        self._log.write(line)
        return len(line)
