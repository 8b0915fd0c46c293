"""What time it is in the demo home, as whole microseconds of Unix time; waits for nothing."""

from __future__ import annotations

import time
from typing import Final, Protocol

SECOND_US: Final = 1_000_000
HOUR_US: Final = 3600 * SECOND_US
DAY_US: Final = 24 * HOUR_US


class Clock(Protocol):
    """Where the demo home reads the time."""

    def now_us(self) -> int:
        """Return microseconds since 1970, UTC."""
        ...


class SystemClock:
    """The time of this machine."""

    def now_us(self) -> int:
        """Return microseconds since 1970, UTC."""
        return time.time_ns() // 1000


class ManualClock:
    """A time that moves only when it is told to: the same moves give the same events."""

    def __init__(self, start_us: int = 1_795_229_000 * SECOND_US) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        """Return microseconds since 1970, UTC."""
        return self._now_us

    def advance(self, seconds: float) -> None:
        """Move forward."""
        self._now_us += round(seconds * SECOND_US)
