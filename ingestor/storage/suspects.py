"""Tells a batch that the store fails over from a store that is away; keeps counts in the state server, writes nothing.

Some stores answer HTTP 500 to a line that they will never take, with words that say nothing of it, and they answer 500
while they are down. The difference: while they are down they take nothing from anybody else.
"""

from __future__ import annotations

from typing import Any, Final

import redis

from ingestor.queue.state import state_errors
from ingestor.storage.breaker import TAKEN_KEY

#: A batch is suspected when it failed so often, each time after the store had taken something else, ...
TIMES: Final = 5
#: ... and for so long since it failed first: longer than a store that fails now and then for a while.
YOUNG_FOR_S: Final = 30.0
_KEPT_S: Final = 3600
_PREFIX: Final = "ha_ingestor:store:suspect:"


class Suspects:
    """The batches that the store has failed over, shared by every process that reaches the same state server."""

    def __init__(self, state: redis.Redis[bytes], *, times: int = TIMES, young_for_s: float = YOUNG_FOR_S) -> None:
        self._state = state
        self._times = times
        self._young_for_ms = max(1, round(young_for_s * 1000))

    def note(self, batch_id: str) -> bool:
        """Note that the store failed over a batch; tell whether it is the batch's fault. Raises StateUnavailable."""
        key = f"{_PREFIX}{batch_id}"
        with state_errors():
            pipe: Any = self._state.pipeline(transaction=False)
            pipe.get(TAKEN_KEY)
            pipe.hmget(key, "times", "taken")
            pipe.exists(f"{key}:young")
            taken, (times, before), young = pipe.execute()
            taken = taken or b"0"
            if times is None:
                self._begin(key, taken)
                return False
            if taken == before:
                return False  # it has taken nothing else since: perhaps it takes nothing at all
            self._state.hset(key, mapping={"times": _number(times) + 1, "taken": taken})
        return _number(times) + 1 >= self._times and not young

    def _begin(self, key: str, taken: bytes) -> None:
        pipe: Any = self._state.pipeline(transaction=False)
        pipe.hset(key, mapping={"times": 0, "taken": taken})
        pipe.expire(key, _KEPT_S)
        pipe.set(f"{key}:young", 1, px=self._young_for_ms)
        pipe.execute()


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004 -- no count of ours has more digits
