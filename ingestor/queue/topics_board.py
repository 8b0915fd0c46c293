"""What was seen and published on MQTT, told by who sees it, in the state server; forgotten after a day of silence."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import orjson
import redis

from ingestor.queue.state import state_errors

_KEY: Final = "ha_ingestor:mqtt_topics"
_KEPT_S: Final = 86_400
_EVERY_S: Final = 10.0
#: By which MQTT out tells what it publishes.
OUT: Final = "out"


class TopicsBoard:
    """An entry for each who tells. Every call may raise StateUnavailable."""

    def __init__(self, state: redis.Redis[bytes]) -> None:
        self._state = state

    def tell(self, name: str, entry: dict[str, Any]) -> None:
        """Put an entry in the place of the one before."""
        told = orjson.dumps({**entry, "told_us": time.time_ns() // 1000})
        with state_errors():
            self._state.hset(_KEY, name, told)
            self._state.expire(_KEY, _KEPT_S)

    def read(self) -> dict[str, dict[str, Any]]:
        """Return all entries; what cannot be read is left out."""
        with state_errors():
            found = self._state.hgetall(_KEY)
        return {name.decode("utf-8", "replace"): entry for name, told in found.items() if (entry := _entry(told))}


class TopicsTeller:
    """Tells on each call what there is new to tell, at most every ten seconds. Raises StateUnavailable."""

    def __init__(self, board: TopicsBoard, name: str, read: Callable[[], dict[str, Any]]) -> None:
        self._board = board
        self._name = name
        self._read = read
        self._told: dict[str, Any] = {}
        self._due_s = 0.0

    def __call__(self) -> None:
        """Tell, if it is due."""
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + _EVERY_S
        found = self._read()
        if found != self._told:
            self._board.tell(self._name, found)
            self._told = found


def _entry(told: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(told)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
