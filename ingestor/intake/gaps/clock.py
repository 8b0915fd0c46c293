"""What time it is by Home Assistant's clock, from what it says; knows no gap."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

_log: Final = structlog.get_logger(__name__)
_S_US: Final = 1_000_000
#: An event so much older than the others was not fired now: an integration set its time.
_OLDEST_US: Final = 600 * _S_US
#: So many events in a row, over so long, that all agree where the clock stands: it was set.
_AGREEING: Final = 8
_AGREEING_S: Final = 10.0
_AGREE_WITHIN_US: Final = 5 * _S_US


class HomeClock:
    """Home Assistant's time as far as its events tell, and how late we hear them.

    An integration may give its events any time. Where a connection was told how far Home Assistant's clock can be
    ahead of ours at most (`begin`), events beyond that tell nothing, nor do those that are far older than the others.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.begin(None)

    def begin(self, most_us: int | None) -> None:
        """Begin anew, with how far it is ahead at most, None where that is not known: clocks may have been set."""
        self._most_us = most_us
        self._ahead_us: int | None = None
        self.late_us = 0
        self._odd: tuple[int, int, float] | None = None

    def heard(self, fired_us: int, received_us: int) -> bool:
        """Take in an event's time and when we read it; tell whether it says what time it is there."""
        ahead_us = fired_us - received_us
        if self._is_odd(ahead_us) and not self._was_set(ahead_us):
            return False
        self._odd = None
        # What was read at once tells the clocks' difference; what comes later than that was waiting somewhere.
        self._ahead_us = ahead_us if self._ahead_us is None else max(ahead_us, self._ahead_us)
        self.late_us = self._ahead_us - ahead_us
        return True

    def _is_odd(self, ahead_us: int) -> bool:
        if self._most_us is None:
            return False
        return ahead_us > self._most_us or (self._ahead_us is not None and ahead_us < self._ahead_us - _OLDEST_US)

    def _was_set(self, ahead_us: int) -> bool:
        """Tell whether so many odd events agree that it is the clock that is another one now."""
        first_us, count, since_s = self._odd or (ahead_us, 0, self._clock())
        if abs(ahead_us - first_us) > _AGREE_WITHIN_US:
            first_us, count, since_s = ahead_us, 0, self._clock()
        self._odd = (first_us, count + 1, since_s)
        if count + 1 < _AGREEING or self._clock() - since_s < _AGREEING_S:
            return False
        _log.warning("home_clock_set", ahead_s=round(ahead_us / _S_US, 1))
        self._most_us, self._ahead_us = ahead_us + _S_US, None
        return True

    def at(self, our_us: int) -> int:
        """Return Home Assistant's time at one of ours."""
        if self._ahead_us is not None:
            return our_us + self._ahead_us
        return our_us + (self._most_us or 0)
