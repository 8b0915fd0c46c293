"""Keeps a flood of one warning from filling the log: of each name only so many in a while; changes no other line."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

#: Of warnings and errors with one name that many are written in that many seconds; the next one counts the others.
MOST: Final = 10
WITHIN_S: Final = 10.0
#: Names that are watched; others' messages may have variable text.
_MOST_NAMES: Final = 1_000


class Sparing(logging.Filter):
    """A filter for a handler. A name is a logger's with an event's, or with a message's before its arguments."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        #: For each name when its while began, how many came in it, and how many were left out since one was written.
        self._seen: dict[tuple[str, str], list[float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is to be written. Two threads may now and then let one too many through."""
        if record.levelno < logging.WARNING:
            return True
        now_s = self._clock()
        seen = self._of(record, now_s)
        if now_s - seen[0] >= WITHIN_S:
            seen[0], seen[1] = now_s, 0
        seen[1] += 1
        if seen[1] > MOST:
            seen[2] += 1
            return False
        if seen[2]:
            _say_how_many(record, int(seen[2]))
            seen[2] = 0
        return True

    def _of(self, record: logging.LogRecord, now_s: float) -> list[float]:
        event = record.msg.get("event") if isinstance(record.msg, dict) else record.msg
        name = (record.name, str(event)[:200])
        if name not in self._seen and len(self._seen) >= _MOST_NAMES:
            self._seen.clear()
        return self._seen.setdefault(name, [now_s, 0, 0])


def _say_how_many(record: logging.LogRecord, left_out: int) -> None:
    """Put the number of lines that were left out into one that is written."""
    if isinstance(record.msg, dict):
        record.msg["left_out"] = left_out
    else:
        record.msg, record.args = f"{record.getMessage()} ({left_out} more of these were left out)", ()
