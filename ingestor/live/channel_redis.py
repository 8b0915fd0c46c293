"""The live channel in Redis: a stream a home, held within entries and bytes by a script; all processes share it.

Beside the stream stand a hash (`number` of the newest entry, `bytes` of all, `cut`: the newest entry that is gone) and
a list of the entries' sizes, the oldest first. A server that is full refuses an entry; the stream is then given up,
since the queues need that memory more. All three end by themselves where nothing comes for a day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import redis

from ingestor import errors
from ingestor.live.channel import Entry, EntryId, Kept
from ingestor.queue.state import state_errors

_KEPT_S: Final = 86_400
#: The longest that one call waits: below the time-out of the connection.
_LONGEST_WAIT_S: Final = 2.0

# ARGV: body, most entries, most bytes, seconds it is kept. At most 64 entries go in one call: others wait for it.
_PUBLISH: Final = """
if redis.call('EXISTS', KEYS[2]) == 0 then
    redis.call('UNLINK', KEYS[1], KEYS[3])
end
local number = redis.call('HINCRBY', KEYS[2], 'number', 1)
local id = redis.call('XADD', KEYS[1], '*', 'n', number, 'b', ARGV[1])
redis.call('RPUSH', KEYS[3], #ARGV[1])
local bytes = redis.call('HINCRBY', KEYS[2], 'bytes', #ARGV[1])
if number == 1 then
    redis.call('HSETNX', KEYS[2], 'cut', string.format('%.0f', tonumber(string.match(id, '^%d+')) - 1) .. '-0')
end
local length, gone = redis.call('XLEN', KEYS[1]), 0
while gone < 64 and length - gone > 1 and (length - gone > tonumber(ARGV[2]) or bytes > tonumber(ARGV[3])) do
    bytes = bytes - tonumber(redis.call('LPOP', KEYS[3]) or 0)
    gone = gone + 1
end
if gone > 0 then
    local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', gone)
    redis.call('HSET', KEYS[2], 'cut', oldest[#oldest][1], 'bytes', bytes)
    redis.call('XTRIM', KEYS[1], 'MAXLEN', length - gone)
end
for i = 1, 3 do redis.call('EXPIRE', KEYS[i], ARGV[4]) end
return id
"""

# Where there is no stream yet, what comes from now on is what can be read; a full server may not take a note of that.
_LOOK: Final = """
local cut = redis.call('HGET', KEYS[2], 'cut')
if not cut then
    local now = redis.call('TIME')
    cut = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000) - 1) .. '-0'
    redis.pcall('HSET', KEYS[2], 'cut', cut)
    redis.call('EXPIRE', KEYS[2], ARGV[1])
end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
return {cut, newest[1] and newest[1][1] or cut}
"""


class RedisChannel:
    """Streams of at most so many entries, and so many bytes beside the newest entry."""

    def __init__(self, state: redis.Redis[bytes], *, max_entries: int, max_bytes: int) -> None:
        self._state: Any = state  # the stubs know no XREAD of several streams
        self._publish: Callable[..., Any] = state.register_script(_PUBLISH)
        self._look: Callable[..., Any] = state.register_script(_LOOK)
        self._limits = (max_entries, max_bytes, _KEPT_S)

    def publish(self, home: str, body: bytes) -> EntryId:
        """Add an entry; the oldest go where there is no room. Raises StateUnavailable."""
        try:
            with state_errors():
                return _entry_id(self._publish(keys=_keys(home), args=[body, *self._limits]))
        except errors.StateUnavailable as error:
            if "OOM" in str(error) or "maxmemory" in str(error):
                self._give_up(home)
            raise
        except redis.ResponseError as error:
            # A server of another kind, or a key that is not ours: no reason for a batch to fail.
            raise errors.StateUnavailable(str(error)) from error

    def _give_up(self, home: str) -> None:
        with state_errors():
            self._state.unlink(*_keys(home))

    def read(self, after: Mapping[str, EntryId], *, most: int, wait_s: float) -> list[Entry]:
        """Return entries later than these places, or wait for the first one. Raises StateUnavailable."""
        homes = {_keys(home)[0]: home for home in after}
        places = {key: str(after[home]) for key, home in homes.items()}
        block = int(min(wait_s, _LONGEST_WAIT_S) * 1000) or None
        with state_errors():
            answer = self._state.xread(places, count=most, block=block)
        return [
            Entry(homes[key.decode()], _entry_id(entry_id), int(fields[b"n"]), fields[b"b"])
            for key, entries in answer or []
            for entry_id, fields in entries
        ]

    def kept(self, home: str) -> Kept:
        """Return which entries of a home can be read. Raises StateUnavailable."""
        with state_errors():
            after, last = self._look(keys=_keys(home), args=[_KEPT_S])
        return Kept(_entry_id(after), _entry_id(last))


def _keys(home: str) -> list[str]:
    # The braces keep all keys of a home on one node of a cluster.
    stream = f"ha_ingestor:live:{{{home}}}"
    return [stream, f"{stream}:about", f"{stream}:sizes"]


def _entry_id(told: bytes) -> EntryId:
    return EntryId.parse(told.decode())
