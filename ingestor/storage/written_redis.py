"""The index of what was written, in Redis: shared by all writers, atomic by a script, bounded by time and number.

For each home there are three generations of marks (hashes of 8-byte key → 7-byte value). The newest is filled until
half of the window has passed or a third of the allowed number is in it; then the next begins and the oldest is dropped.
A key is looked up in all three, newest first. Keys and answers travel packed: a batch costs one call.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import redis

from ingestor.queue.state import state_errors
from ingestor.storage.written import CLAIM, Mark
from ingestor.storage.written_memory import GENERATIONS

T = TypeVar("T")

#: A mark: its key, then identity, richness and batch, which are the value that Redis keeps.
_MARK: Final = struct.Struct("<8sIBH")
#: An answer names the place of the key in the call (16 bits), then what was found.
_FOUND: Final = struct.Struct("<HIBH")
#: Keys in one call of the script: Lua can pass some 8,000 values to a command.
_MOST_KEYS: Final = 2000
_KEY_BYTES: Final = 8

# What both scripts begin with. KEYS[1] is a hash {at: number of the newest generation, started: seconds}; the keys of
# the generations are made from it. ARGV[1] is the packed keys or marks, ARGV[2] the size of one. An older generation is
# looked into only for what the newer ones do not have.
_FIND: Final = """
local sub, data, size = string.sub, ARGV[1], tonumber(ARGV[2])
local at = tonumber(redis.call('HGET', KEYS[1], 'at'))
local keys, found, count, known = {}, {}, 0, 0
for p = 1, #data, size do
    count = count + 1
    keys[count] = sub(data, p, p + 7)
end
if at then
    for n = at, math.max(at - GENERATIONS + 1, 0), -1 do
        local bucket = KEYS[1] .. ':' .. n
        if known < count and redis.call('EXISTS', bucket) == 1 then
            local values = redis.call('HMGET', bucket, unpack(keys))
            for i = 1, count do
                if values[i] and not found[i] then
                    found[i] = values[i]
                    known = known + 1
                end
            end
        end
    end
end
""".replace("GENERATIONS", str(GENERATIONS))

_LOOK: Final = (
    _FIND
    + """
local answer = {}
for i = 1, count do
    if found[i] then answer[#answer + 1] = struct.pack('<H', i - 1) .. found[i] end
end
return table.concat(answer)
"""
)

# ARGV[3] now (seconds), ARGV[4] width of a generation (seconds), ARGV[5] most marks in one, ARGV[6] its life (seconds),
# ARGV[7] the least richness that is worth telling: nearly every point was claimed, and nobody needs to hear that again.
# ARGV[8] says whether a key may stand in it twice. What replaces a written mark keeps the batch that was first.
_RECORD: Final = (
    _FIND
    + """
local answer, put, puts, byte = {}, {}, 0, string.byte
local least, twice = tonumber(ARGV[7]), ARGV[8] == '1'
local seen = {}
for i = 1, count do
    local p = (i - 1) * size
    local value = sub(data, p + 9, p + 15)
    local before = twice and seen[keys[i]] or found[i]
    if before and byte(before, 5) >= least then
        answer[#answer + 1] = struct.pack('<H', i - 1) .. before
    end
    if not before or (byte(before, 5) < byte(value, 5) and sub(before, 1, 4) == sub(value, 1, 4)) then
        if before and byte(before, 5) > 0 then value = sub(value, 1, 5) .. sub(before, 6, 7) end
        put[puts + 1], put[puts + 2] = keys[i], value
        puts = puts + 2
        if twice then seen[keys[i]] = value end
    end
end
if puts > 0 then
    local now = tonumber(ARGV[3])
    local started = tonumber(redis.call('HGET', KEYS[1], 'started'))
    if not at or not started or now - started >= tonumber(ARGV[4])
            or redis.call('HLEN', KEYS[1] .. ':' .. at) >= tonumber(ARGV[5]) then
        at = (at or -1) + 1
        redis.call('HSET', KEYS[1], 'at', at, 'started', ARGV[3])
        redis.call('UNLINK', KEYS[1] .. ':' .. (at - GENERATIONS))
    end
    local bucket = KEYS[1] .. ':' .. at
    redis.call('HSET', bucket, unpack(put))
    redis.call('EXPIRE', bucket, ARGV[6])
    redis.call('EXPIRE', KEYS[1], ARGV[6])
end
return table.concat(answer)
""".replace("GENERATIONS", str(GENERATIONS))
)


class RedisWrittenIndex:
    """Marks of written points for `window_s` seconds, at most about `most` of them for each home."""

    def __init__(
        self, state: redis.Redis[bytes], *, window_s: float, most: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._look: Callable[..., Any] = state.register_script(_LOOK)
        self._record: Callable[..., Any] = state.register_script(_RECORD)
        self._width_s = window_s / (GENERATIONS - 1)
        self._most = max(1, most // GENERATIONS)
        self._life_s = int(self._width_s * GENERATIONS) + 1
        self._clock = clock

    def look(self, home: str, keys: Sequence[bytes]) -> list[Mark | None]:
        """Return what is remembered for each key. Raises StateUnavailable."""
        marks: list[Mark | None] = []
        for part in _parts(keys):
            with state_errors():
                answer = self._look(keys=[_key(home)], args=[b"".join(part), _KEY_BYTES])
            marks.extend(_unpack(part, answer))
        return marks

    def claim(self, home: str, marks: Sequence[Mark]) -> list[Mark | None]:
        """Remember points that are about to be written; return what was there before, claims included."""
        pack = _MARK.pack
        packed = [pack(key, identity, CLAIM, batch) for key, identity, _, batch in marks]
        return self._remember(home, marks, packed, least=CLAIM)

    def record(self, home: str, marks: Sequence[Mark]) -> list[Mark | None]:
        """Remember points that the store has taken; return what was written there before. Raises StateUnavailable."""
        pack = _MARK.pack
        packed = [pack(key, identity, richness, batch) for key, identity, richness, batch in marks]
        return self._remember(home, marks, packed, least=CLAIM + 1)

    def _remember(self, home: str, marks: Sequence[Mark], packed: Sequence[bytes], *, least: int) -> list[Mark | None]:
        before: list[Mark | None] = []
        twice = int(len({mark.key for mark in marks}) < len(marks))
        limits = [self._clock(), self._width_s, self._most, self._life_s, least, twice]
        for part, some in zip(_parts(packed), _parts(marks), strict=True):
            with state_errors():
                answer = self._record(keys=[_key(home)], args=[b"".join(part), _MARK.size, *limits])
            before.extend(_unpack([mark.key for mark in some] if answer else some, answer))
        return before


def _key(home: str) -> str:
    # The braces keep all generations of a home on one node of a cluster.
    return f"ha_ingestor:written:{{{home}}}"


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _MOST_KEYS):
        yield items[start : start + _MOST_KEYS]


def _unpack(keys: Sequence[Any], answer: bytes) -> list[Mark | None]:
    marks: list[Mark | None] = [None] * len(keys)
    for place, identity, richness, batch in _FOUND.iter_unpack(answer):
        marks[place] = Mark(keys[place], identity, richness, batch)
    return marks
