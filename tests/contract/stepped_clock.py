"""A clock for the tests of what is kept for a time: it stands still until it is told to go on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class SteppedClock:
    """Called like `time.time`."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def pass_second(self) -> None:
        self.now_s += 1.0
