"""The circuit breaker and the budget before a weather provider: shared by all workers, in keys that expire.

Unlike the store, weather is asked once in minutes by one task, so it needs no half-open try of its own: when the pause
is over the next refresh is the try. What is refused, and what is limited, opens at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
import redis

from ingestor import errors
from ingestor.events.decoding import UNREADABLE
from ingestor.queue.state import state_errors
from ingestor.weather.port import WeatherLimited, WeatherRefused

_OPENS_AFTER: Final = 3
_FIRST_S: Final = 60.0
_LONGEST_S: Final = 1800.0
#: A key that is refused is tried again seldom: somebody must change it.
_REFUSED_S: Final = 3600.0
_LIMITED_S: Final = 300.0
_LONGEST_ASKED_S: Final = 24 * 3600.0
_KEPT_S: Final = 24 * 3600
_DAY_S: Final = 86_400


class Trouble(msgspec.Struct, frozen=True):
    """What went wrong last, and how often one after the other."""

    kind: Literal["away", "limited", "refused"]
    detail: str
    failures: int
    open_until_s: float = 0.0


class WeatherBreaker:
    """The breaker and the budget of one provider of one home."""

    def __init__(self, state: redis.Redis[bytes], name: str, *, now_s: Callable[[], float] = time.time) -> None:
        self._state = state
        self._key = f"ha_ingestor:weather:{name}:trouble"
        self._budget_key = f"ha_ingestor:weather:{name}:calls"
        self._now_s = now_s

    def trouble(self) -> Trouble | None:
        """Return what went wrong last; None after a success. Raises StateUnavailable."""
        with state_errors():
            packed = self._state.get(self._key)
        try:
            return None if packed is None else msgspec.json.decode(packed, type=Trouble)
        except UNREADABLE:
            return None

    def is_open(self, trouble: Trouble | None) -> bool:
        """Tell whether the provider is left alone for now."""
        return trouble is not None and trouble.open_until_s > self._now_s()

    def succeeded(self) -> None:
        """Note that the provider answered. Raises StateUnavailable."""
        with state_errors():
            self._state.delete(self._key)

    def failed(self, error: errors.IngestorError) -> None:
        """Note that it did not, and leave it alone for a while. Raises StateUnavailable."""
        before = self.trouble()
        failures = before.failures + 1 if before else 1
        kind: Literal["away", "limited", "refused"] = "away"
        pause_s = 0.0 if failures < _OPENS_AFTER else min(_LONGEST_S, _FIRST_S * 2 ** min(failures - _OPENS_AFTER, 10))
        if isinstance(error, WeatherRefused):
            kind, pause_s = "refused", _REFUSED_S
        elif isinstance(error, WeatherLimited):
            kind, pause_s = "limited", min(error.retry_after_s or _LIMITED_S, _LONGEST_ASKED_S)
        found = Trouble(kind, str(error), failures, self._now_s() + pause_s if pause_s else 0.0)
        with state_errors():
            self._state.set(self._key, msgspec.json.encode(found), ex=int(_KEPT_S + pause_s))

    def calls_today(self) -> int:
        """Return how many calls this day (UTC) has cost. Raises StateUnavailable."""
        with state_errors():
            return int(self._state.get(self._today()) or 0)

    def take_call(self, most: int) -> bool:
        """Take a call of the day's budget; False where it is spent. Raises StateUnavailable."""
        key = self._today()
        with state_errors():
            pipe: Any = self._state.pipeline(transaction=True)
            pipe.incr(key)
            pipe.expire(key, 2 * _DAY_S)
            taken = int(pipe.execute()[0])
            if taken > most:
                self._state.decr(key)
        return taken <= most

    def _today(self) -> str:
        return f"{self._budget_key}:{int(self._now_s() // _DAY_S)}"
