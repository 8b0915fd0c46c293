"""Numbers for the events of a series, counted by all workers together in the order of event time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import redis

from ingestor.queue.state import state_errors

#: Series of a home that are counted; further ones get no number.
MAX_SERIES: Final = 100_000
#: Events in one call of the script: the state server does nothing else meanwhile.
_MAX_EVENTS: Final = 500


_answers: Final = msgspec.msgpack.Decoder(tuple[list[int], list[int]])


class Seen(NamedTuple):
    """A state that was seen: its series, its time, and a hash of the state."""

    series: str
    time_us: int
    identity: int


class Numbered(NamedTuple):
    """The number of an event, from 1 on; and when its series had changed before, None where that is not known."""

    number: int
    changed_us: int | None


class Sequences(Protocol):
    """Counts the events of each series. For states in the order of their times."""

    def count(self, home: str, seen: Sequence[Seen]) -> list[Numbered | None]:
        """Return a number for each; None for one that is no newer than another of its series that was counted.

        At most one round trip. Raises StateUnavailable.
        """
        ...


class MemorySequences:
    """Counts within one process: for tests and for trying things out."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[int, int, int, int]] = OrderedDict()

    def count(self, home: str, seen: Sequence[Seen]) -> list[Numbered | None]:
        """Return a number for each."""
        return [self._count((home, one.series), one) for one in seen]

    def _count(self, key: tuple[str, str], one: Seen) -> Numbered | None:
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MAX_SERIES:
                return None
            self._known[key] = (1, one.time_us, one.time_us, one.identity)
            return Numbered(1, None)
        number, last_us, changed_us, identity = known
        if one.time_us <= last_us:
            return None
        now_us = changed_us if identity == one.identity else one.time_us
        self._known[key] = (number + 1, one.time_us, now_us, one.identity)
        return Numbered(number + 1, changed_us)


# KEYS: the hash of a home. ARGV: the most series; series, times and identities as MessagePack, by time.
# A record is number, newest time, time of the last change, identity: doubles, which hold microseconds until 2255. The
# answer is as MessagePack, too: text in Lua takes five times as long.
_COUNT: Final = """
local key, most = KEYS[1], tonumber(ARGV[1])
local names, times, identities = unpack(cmsgpack.unpack(ARGV[2]))
local wanted, place = {}, {}
for at = 1, #names do
  local name = names[at]
  if not place[name] then wanted[#wanted + 1] = name; place[name] = #wanted end
end
local records = redis.call('HMGET', key, unpack(wanted))
local room = most - redis.call('HLEN', key)
local changed, numbers, since = {}, {}, {}
for at = 1, #names do
  local where, time, identity = place[names[at]], times[at], identities[at]
  local record = records[where]
  numbers[at], since[at] = 0, 0
  if not record then
    if room > 0 then
      room = room - 1
      numbers[at] = 1
      record = struct.pack('>dddd', 1, time, time, identity)
      records[where], changed[where] = record, true
    end
  else
    local number, last, before, old = struct.unpack('>dddd', record)
    if time > last then
      numbers[at], since[at] = number + 1, before
      if old ~= identity then before = time end
      records[where], changed[where] = struct.pack('>dddd', number + 1, time, before, identity), true
    end
  end
end
local write = {}
for where in pairs(changed) do write[#write + 1] = wanted[where]; write[#write + 1] = records[where] end
if #write > 0 then redis.call('HSET', key, unpack(write)) end
return cmsgpack.pack({numbers, since})
"""


class RedisSequences:
    """Counts of all workers, in a hash for each home."""

    def __init__(self, state: redis.Redis[bytes], *, most: int = MAX_SERIES) -> None:
        self._state = state
        self._most = most
        self._count: Callable[..., Any] = state.register_script(_COUNT)

    def count(self, home: str, seen: Sequence[Seen]) -> list[Numbered | None]:
        """Return a number for each. Raises StateUnavailable."""
        found: list[Numbered | None] = []
        for at in range(0, len(seen), _MAX_EVENTS):
            part = seen[at : at + _MAX_EVENTS]
            packed = msgspec.msgpack.encode(list(zip(*part, strict=True)))
            with state_errors():
                answer = self._count(keys=[_key(home)], args=[self._most, packed])
            found += [_numbered(*one) for one in zip(*_answers.decode(answer), strict=True)]
        return found


def _numbered(number: int, changed_us: int) -> Numbered | None:
    return Numbered(number, changed_us or None) if number else None


def _key(home: str) -> str:
    return f"ha_ingestor:sequence:{home}"
