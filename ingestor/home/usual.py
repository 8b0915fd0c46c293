"""What is usual for each entity, as workers need it: small, told as a whole by the state server; learns nothing."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec
import redis
import zstandard

from ingestor.events.decoding import UNREADABLE
from ingestor.events.observed import HOURS, MONTHS, WEEKDAYS, EntityPattern
from ingestor.queue.state import state_errors

#: What was watched for less than a day says nothing of what is usual.
LEAST_US: Final = 86_400_000_000
#: How often it is told anew, and how often a worker looks.
TOLD_EVERY_S: Final = 600
LOOK_EVERY_S: Final = 60.0
_WHOLE: Final = 10_000
_SHARES: Final = struct.Struct(f"<{HOURS + WEEKDAYS + MONTHS}H")
_MAX_BYTES: Final = 64 * 1024 * 1024


class Usual(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What is usual for an entity. `peaks` has a bit for each of its peak hours.

    `shares` are ten-thousandths of its events: by hour of the day, day of the week (Monday first), month.
    """

    per_hour: float
    peaks: int
    shares: bytes

    def share(self, hour: int, weekday: int, month: int) -> tuple[float, float, float]:
        """Return which share of its events falls into an hour (0-23), a weekday (1-7), a month (1-12)."""
        shares = _SHARES.unpack(self.shares)
        found = shares[hour], shares[HOURS + weekday - 1], shares[HOURS + WEEKDAYS + month - 1]
        return found[0] / _WHOLE, found[1] / _WHOLE, found[2] / _WHOLE


#: The entities of a home by entity_id.
Known = Mapping[str, Usual]
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(dict[str, Usual])


class UsualSource(Protocol):
    """What is usual, as far as this process has read it."""

    def known(self, home: str) -> Known:
        """Return what is usual for the entities of a home; looks for news once a minute. Raises StateUnavailable."""
        ...


class MemoryUsual:
    """What is usual within one process: for tests and for trying things out."""

    def __init__(self, homes: Mapping[str, Known] | None = None) -> None:
        self._homes = dict(homes or {})

    def known(self, home: str) -> Known:
        """Return what is usual for the entities of a home."""
        return self._homes.get(home, {})


class RedisUsual:
    """What is usual, as the task `upkeep` publishes it. One for each process."""

    def __init__(self, state: redis.Redis[bytes], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._clock = clock
        self._homes: dict[str, tuple[float, bytes, Known]] = {}

    def known(self, home: str) -> Known:
        """Return what is usual for the entities of a home; looks for news once a minute. Raises StateUnavailable."""
        looked_at, told, known = self._homes.get(home, (float("-inf"), b"", {}))
        now = self._clock()
        if now - looked_at < LOOK_EVERY_S:
            return known
        with state_errors():
            version = self._state.get(_version_key(home)) or b""
            packed = self._state.get(_key(home)) if version != told else None
        known = known if packed is None else unpack(packed)
        self._homes[home] = (now, version, known)
        return known


def usual_is_due(state: redis.Redis[bytes], home: str) -> bool:
    """Tell whether it is time to tell anew; whoever is told so does it. Raises StateUnavailable."""
    with state_errors():
        return bool(state.set(f"{_key(home)}:due", 1, nx=True, ex=TOLD_EVERY_S))


def publish_usual(state: redis.Redis[bytes], home: str, patterns: Iterable[EntityPattern]) -> int:
    """Put out what is usual; return for how many entities it is known. Raises StateUnavailable."""
    found = {one.entity_id: usual_of(one) for one in patterns if one.last_us - one.first_us >= LEAST_US and one.events}
    pipe: Any = state.pipeline(transaction=True)
    pipe.set(_key(home), pack(found))
    pipe.incr(_version_key(home))
    with state_errors():
        pipe.execute()
    return len(found)


def usual_of(pattern: EntityPattern) -> Usual:
    """Return the small form of a pattern."""
    counts = (*pattern.hours, *pattern.weekdays, *pattern.months)
    shares = [min(_WHOLE, round(count * _WHOLE / pattern.events)) for count in counts]
    peaks = sum(1 << hour for hour in pattern.peak_hours)
    return Usual(pattern.recent_per_hour, peaks, _SHARES.pack(*shares))


def pack(known: Known) -> bytes:
    """Return what is usual as it is published."""
    return zstandard.ZstdCompressor(level=1).compress(_encoder.encode(known))


def unpack(packed: bytes) -> Known:
    """Read it; nothing where it is damaged or of another version of this program: it is told anew in a while."""
    try:
        known = _decoder.decode(zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MAX_BYTES))
    except (*UNREADABLE, zstandard.ZstdError):
        return {}
    return {name: usual for name, usual in known.items() if len(usual.shares) == _SHARES.size}


def _key(home: str) -> str:
    return f"ha_ingestor:usual:{home}"


def _version_key(home: str) -> str:
    return f"ha_ingestor:usual:{home}:version"
