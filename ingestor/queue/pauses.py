"""Which task types are paused, by whom and since when, for all nodes of all hosts to see; stops none of them.

What waits stays in its queue; where that is full, listeners hold, and events wait in their journals: nothing is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

import msgspec
import redis

from ingestor import errors
from ingestor.events.decoding import UNREADABLE
from ingestor.queue.kept_hash import KeptHash
from ingestor.queue.names import TaskType

_KEY: Final = "ha_ingestor:pauses"
#: The copy of a supervisor, in its data folder.
COPY: Final = "pauses.json"
_HEEDED_FOR_S: Final = 1.0


class Pause(msgspec.Struct, frozen=True):
    """A pause: who asked for it, and when (Unix µs)."""

    by: str
    since_us: int


class Pauses:
    """The task types that are paused."""

    def __init__(self, state: redis.Redis[bytes], copy: Path | None = None) -> None:
        self._kept = KeptHash(state, _KEY, copy)

    def pause(self, kinds: Collection[TaskType], by: str) -> None:
        """Pause task types; one that is paused already stays so as it was. Raises StateUnavailable."""
        known = self.read()
        text = msgspec.json.encode(Pause(by, time.time_ns() // 1000)).decode()
        self._kept.change({kind.value: text for kind in kinds if kind not in known})

    def resume(self, kinds: Collection[TaskType]) -> None:
        """Let task types go on. Raises StateUnavailable."""
        self._kept.change({}, [kind.value for kind in kinds])

    def read(self) -> dict[TaskType, Pause]:
        """Return what is paused. Raises StateUnavailable."""
        return _read(self._kept.read())

    def last_known(self) -> dict[TaskType, Pause]:
        """Return what was paused when the state server was last heard, as the copy has it."""
        return _read(self._kept.last_known())


class HeededPauses:
    """What is paused, as of at most a second ago; while the state server is away, as it was before."""

    def __init__(self, pauses: Pauses, clock: Callable[[], float] = time.monotonic) -> None:
        self._pauses = pauses
        self._clock = clock
        self._known: Collection[TaskType] = ()
        self._at_s = float("-inf")

    def has(self, kind: TaskType) -> bool:
        """Tell whether a task type is paused."""
        now_s = self._clock()
        if now_s - self._at_s >= _HEEDED_FOR_S:
            self._at_s = now_s
            try:
                self._known = frozenset(self._pauses.read())
            except errors.IngestorError:
                return kind in self._known
        return kind in self._known


def _read(held: dict[str, str]) -> dict[TaskType, Pause]:
    found = {}
    for kind in TaskType:
        if text := held.get(kind.value):
            try:
                found[kind] = msgspec.json.decode(text, type=Pause)
            except UNREADABLE:
                found[kind] = Pause("?", 0)  # somebody else's hand: that it is to be paused is clear
    return found
