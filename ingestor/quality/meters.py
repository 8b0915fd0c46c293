"""What all workers know of the meters whose last good value is held: few at a time, forward in event time alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec
import redis

from ingestor.quality.counters import Meter
from ingestor.queue.state import state_errors

#: Meters of a home that may be held at once; further ones are known to their worker alone.
MAX_HELD: Final = 10_000
#: What another worker holds is known here after this.
_AGE_S: Final = 1.0
_decoder: Final = msgspec.msgpack.Decoder(Meter)


class HeldMeters(Protocol):
    """Meters that are held, by series."""

    def read(self, home: str) -> Mapping[str, Meter]:
        """Return those of a home. At most one round trip a second. Raises StateUnavailable."""
        ...

    def put(self, home: str, changed: Mapping[str, Meter]) -> None:
        """Tell of meters that are held now, or no more; what is older than what is known is left out."""
        ...


class MemoryHeldMeters:
    """Held meters of one process: for tests and for trying things out."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, Meter]] = {}

    def read(self, home: str) -> Mapping[str, Meter]:
        """Return those of a home."""
        return dict(self._held.get(home, {}))

    def put(self, home: str, changed: Mapping[str, Meter]) -> None:
        """Take over what is newer."""
        held = self._held.setdefault(home, {})
        for series, meter in changed.items():
            known = held.get(series)
            if known is not None and known.at_us >= meter.at_us:
                continue
            if meter.held is None:
                held.pop(series, None)
            elif known is not None or len(held) < MAX_HELD:
                held[series] = meter


# KEYS: the hash of a home. ARGV: the most meters; then series, time (text of a number), and the record, "" for none.
# A field holds the time, a blank, and the record.
_PUT: Final = """
local key, most = KEYS[1], tonumber(ARGV[1])
local room = most - redis.call('HLEN', key)
for at = 2, #ARGV, 3 do
  local series, time, record = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local known = redis.call('HGET', key, series)
  local newer = not known or tonumber(string.match(known, '^%d+')) < tonumber(time)
  if newer and record == '' then
    if known then redis.call('HDEL', key, series); room = room + 1 end
  elseif newer and (known or room > 0) then
    redis.call('HSET', key, series, time .. ' ' .. record)
    if not known then room = room - 1 end
  end
end
"""


class RedisHeldMeters:
    """Held meters of all workers, in a hash for each home."""

    def __init__(self, state: redis.Redis[bytes], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._clock = clock
        self._put: Callable[..., Any] = state.register_script(_PUT)
        self._known: dict[str, tuple[float, Mapping[str, Meter]]] = {}

    def read(self, home: str) -> Mapping[str, Meter]:
        """Return those of a home, as they were at most a second ago. Raises StateUnavailable."""
        asked_s, known = self._known.get(home, (0.0, {}))
        if asked_s and self._clock() - asked_s < _AGE_S:
            return known
        with state_errors():
            fields = self._state.hgetall(_key(home))
        known = {series.decode(): _decoder.decode(record.partition(b" ")[2]) for series, record in fields.items()}
        self._known[home] = (self._clock(), known)
        return known

    def put(self, home: str, changed: Mapping[str, Meter]) -> None:
        """Tell the others. Raises StateUnavailable."""
        arguments: list[str | bytes | int] = [MAX_HELD]
        for series, meter in changed.items():
            arguments += [series, str(meter.at_us), msgspec.msgpack.encode(meter) if meter.held else b""]
        with state_errors():
            self._put(keys=[_key(home)], args=arguments)


def _key(home: str) -> str:
    return f"ha_ingestor:meters:{home}"
