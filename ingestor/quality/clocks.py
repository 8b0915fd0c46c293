"""How far each home's clock is ahead of ours: the least delay of what was heard lately, told to all; corrects nothing.

An event needs some time to get here, so the quickest one of some minutes shows the difference of the clocks best: it is
too small by no more than the way that event took.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

import redis

from ingestor.events.event import Event
from ingestor.queue.state import state_errors

_KEY: Final = "ha_ingestor:quality:clocks"
#: The quickest is looked for in the last one to two of these.
_WINDOW_S: Final = 300.0
_TELL_EVERY_S: Final = 10.0
#: What nobody has told since is not said any more.
_FORGET_S: Final = 900
_US: Final = 1_000_000


class HomeClocks:
    """Watches the delay of events. `wall` is our clock (Unix, seconds), as receipts are stamped by it."""

    def __init__(
        self,
        state: redis.Redis[bytes],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._clock = clock
        self._wall = wall
        self._windows: dict[str, tuple[float, int, int]] = {}
        self._told_s: dict[str, float] = {}

    def watch(self, home: str, newest: Event) -> None:
        """Take in the newest event of a batch that was heard live; ask the server once in ten seconds.

        Raises StateUnavailable.
        """
        if newest.source != "websocket" or newest.time_fired_us is None:
            return
        now_s = self._clock()
        least_us = self._least(home, newest.received_ns // 1000 - newest.time_fired_us, now_s)
        if now_s - self._told_s.get(home, now_s - _TELL_EVERY_S) < _TELL_EVERY_S:
            return
        self._told_s[home] = now_s
        with state_errors():
            self._state.hset(_KEY, home, f"{-least_us} {self._wall():.0f}")

    def _least(self, home: str, delay_us: int, now_s: float) -> int:
        begun_s, least_us, before_us = self._windows.get(home, (now_s, delay_us, delay_us))
        if now_s - begun_s >= _WINDOW_S:
            begun_s, before_us, least_us = now_s, least_us, delay_us
        least_us = min(least_us, delay_us)
        self._windows[home] = (begun_s, least_us, before_us)
        return min(least_us, before_us)

    def ahead_s(self) -> Mapping[str, float]:
        """Return by how many seconds each home's clock is ahead; below 0: behind. Raises StateUnavailable."""
        with state_errors():
            told = self._state.hgetall(_KEY)
        found: dict[str, float] = {}
        for home, text in told.items():
            ahead_us, _, at_s = text.partition(b" ")
            if self._wall() - float(at_s) <= _FORGET_S:
                found[home.decode()] = int(ahead_us) / _US
        return found
