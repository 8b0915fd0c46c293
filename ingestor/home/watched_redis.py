"""How workers share what watched entities were: a log of readings in Redis, and beside it the newest of each entity.

A worker adds what its batch brought with one entry, and once a second reads what others added since. One that is new
reads the newest value of each entity and what is left of the log.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
import redis
import structlog

from ingestor.events.decoding import UNREADABLE
from ingestor.home.watched import MemoryWatched, Reading
from ingestor.queue.state import state_errors

#: Others' readings are looked for no more often than this.
CHECK_EVERY_S: Final = 1.0
#: Entries in the log of a home; each is what one batch brought.
_MAX_ENTRIES: Final = 5000
#: Readings in an entry: a batch with more leaves several.
_MAX_READINGS: Final = 1000
#: Older readings are not shared: what an import of the past brings is of no use to others.
_MAX_AGE_US: Final = 24 * 3600 * 1_000_000
#: A home of which nobody says anything for so long is forgotten.
_KEPT_S: Final = 7 * 24 * 3600
#: Readings that wait for a state server that is away.
_MAX_WAITING: Final = 10_000
_BEGIN: Final = b"0-0"

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[Reading])
_log = structlog.get_logger(__name__)


def publish_readings(state: redis.Redis[bytes], home: str, readings: Sequence[Reading]) -> None:
    """Tell all workers what entities are, as a sync has read it. Raises StateUnavailable."""
    if not readings:
        return
    with state_errors():
        pipe = state.pipeline(transaction=False)
        _add(pipe, home, readings, readings)
        pipe.execute()


class RedisWatched(MemoryWatched):
    """The series as all workers see them. One for each process."""

    def __init__(
        self,
        state: redis.Redis[bytes],
        *,
        check_every_s: float = CHECK_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        super().__init__()
        self._state = state
        self._check_every_s = check_every_s
        self._clock = clock
        self._now_us = now_us
        self._read_until: dict[str, bytes] = {}
        self._read_at_s: dict[str, float] = {}
        self._waiting: deque[tuple[str, Reading]] = deque(maxlen=_MAX_WAITING)

    def exchange(self, home: str, readings: Sequence[Reading]) -> None:
        """Take readings in, tell others, and hear theirs: at most one round trip. Raises StateUnavailable."""
        since_us = self._now_us() - _MAX_AGE_US
        for one in readings:
            if self._put(home, one) and one.time_us >= since_us:
                self._waiting.append((home, one))
        due = self._clock() - self._read_at_s.get(home, float("-inf")) >= self._check_every_s
        if not (due or self._waiting):
            return
        with state_errors():
            pipe: Any = self._state.pipeline(transaction=False)
            for name in {name for name, _ in self._waiting}:
                found = [one for of, one in self._waiting if of == name]
                _add(pipe, name, found, [one for one in found if self._is_newest(name, one)])
            if due:
                self._ask(pipe, home)
            answers = pipe.execute()
        self._waiting.clear()
        if due:
            self._read_at_s[home] = self._clock()
            self._hear(home, answers)

    def _is_newest(self, home: str, reading: Reading) -> bool:
        series = self.series(home, reading.entity_id)
        return series is not None and series.newest().from_us == reading.time_us

    def _ask(self, pipe: Any, home: str) -> None:
        """Ask for the newest values, if they were never read, and for what is new in the log: the last two answers."""
        if home in self._read_until:
            pipe.echo(b"")
        else:
            pipe.hvals(_newest_key(home))
        pipe.xrange(_log_key(home), min=b"(" + self._read_until.get(home, _BEGIN))

    def _hear(self, home: str, answers: Sequence[Any]) -> None:
        newest, entries = answers[-2:]
        for packed in newest or ():
            self._take(home, packed)
        for _, fields in entries:
            self._take(home, fields.get(b"r", b""))
        self._read_until[home] = entries[-1][0] if entries else self._read_until.get(home, _BEGIN)

    def _take(self, home: str, packed: bytes) -> None:
        try:
            found = _decoder.decode(packed)
        except UNREADABLE as error:
            _log.warning("readings_unreadable", home=home, error=str(error))
            return
        for one in found:
            self._put(home, one)


def _add(pipe: Any, home: str, readings: Sequence[Reading], newest: Sequence[Reading]) -> None:
    key = _log_key(home)
    for part in _parts(readings):
        pipe.xadd(key, {b"r": _encoder.encode(part)}, maxlen=_MAX_ENTRIES, approximate=True)
    if newest:
        pipe.hset(_newest_key(home), mapping={one.entity_id: _encoder.encode([one]) for one in newest})
        pipe.expire(_newest_key(home), _KEPT_S)
    pipe.expire(key, _KEPT_S)


def _parts(readings: Sequence[Reading]) -> Iterable[Sequence[Reading]]:
    return (readings[at : at + _MAX_READINGS] for at in range(0, len(readings), _MAX_READINGS))


def _log_key(home: str) -> str:
    return f"ha_ingestor:watched:{home}"


def _newest_key(home: str) -> str:
    return f"ha_ingestor:watched:{home}:newest"
