"""How a map reaches the workers: a snapshot in Redis, its version, and the decisions on unknown entities beside it.

A decision and a new version exclude each other (two scripts): a worker decides only on the newest version, and a
version is published only if it holds every decision made so far. So no entity is ever placed in two ways at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, Protocol

import msgspec
import redis
import zstandard

from ingestor import errors
from ingestor.events.decoding import UNREADABLE
from ingestor.home.model import Snapshot
from ingestor.queue.state import state_errors

#: Most undecided names that are kept for one home between two syncs; further ones get the same bare place unkept.
MAX_DECIDED: Final = 100_000
_MAX_BYTES: Final = 512 * 1024 * 1024

#: 64 bits have no more.
_MAX_DIGITS: Final = 19
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Snapshot)

# KEYS: map, version, decided. ARGV: the snapshot, its version, how many decisions it holds.
_PUBLISH: Final = """
if redis.call('HLEN', KEYS[3]) ~= tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[3])
return 1
"""
# KEYS: version, decided. ARGV: the version that the worker knows, the entity_id, the most decisions.
_DECIDE: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then return 1 end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[3]) then return 2 end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class Published:
    """What is out for a home: no version means nothing is. `decided` are decisions since that version."""

    version: int | None = None
    decided: frozenset[str] = field(default_factory=frozenset)


class Decision(IntEnum):
    """The answer to a decision: there is a newer version to look at; taken; taken, but not kept for want of room."""

    STALE = 0
    TAKEN = 1
    UNKEPT = 2


class Publisher(Protocol):
    """Where a sync puts its map."""

    def published(self, home: str) -> Published:
        """Return what is out. Raises StateUnavailable."""
        ...

    def publish(self, snapshot: Snapshot, decided: Collection[str]) -> bool:
        """Put a version out, unless there are other decisions than `decided`. Raises StateUnavailable."""
        ...


class RedisMaps:
    """The maps of all homes in one Redis."""

    def __init__(self, state: redis.Redis[bytes], *, max_decided: int = MAX_DECIDED) -> None:
        self._state = state
        self._max_decided = max_decided
        self._publish: Callable[..., Any] = state.register_script(_PUBLISH)
        self._decide: Callable[..., Any] = state.register_script(_DECIDE)

    def published(self, home: str) -> Published:
        """Return what is out. Raises StateUnavailable."""
        with state_errors():
            pipe = self._state.pipeline(transaction=True)
            pipe.get(_version_key(home))
            pipe.hkeys(_decided_key(home))
            version, decided = pipe.execute()
        return Published(_number(version), _names(decided))

    def publish(self, snapshot: Snapshot, decided: Collection[str]) -> bool:
        """Put a version out, unless there are other decisions than `decided`. Raises StateUnavailable."""
        keys = [_map_key(snapshot.home), _version_key(snapshot.home), _decided_key(snapshot.home)]
        with state_errors():
            done = self._publish(keys=keys, args=[pack(snapshot), snapshot.version, len(decided)])
        return bool(done)

    def versions(self, homes: Collection[str]) -> dict[str, tuple[int | None, int]]:
        """Return for each home the version that is out and the number of decisions. Raises StateUnavailable."""
        with state_errors():
            pipe = self._state.pipeline(transaction=False)
            for home in homes:
                pipe.get(_version_key(home))
                pipe.hlen(_decided_key(home))
            answers = pipe.execute()
        versions = map(_number, answers[::2])
        return dict(zip(homes, zip(versions, answers[1::2], strict=True), strict=True))

    def load(self, home: str) -> tuple[Snapshot | None, frozenset[str]]:
        """Return what is out, and the decisions since. Raises StateUnavailable."""
        with state_errors():
            pipe = self._state.pipeline(transaction=True)
            pipe.get(_map_key(home))
            pipe.hkeys(_decided_key(home))
            packed, decided = pipe.execute()
        return (unpack(packed) if packed else None), _names(decided)

    def decide(self, home: str, version: int, entity_id: str) -> Decision:
        """Decide that an entity is a series of its own name, if `version` is still the newest."""
        keys = [_version_key(home), _decided_key(home)]
        with state_errors():
            return Decision(self._decide(keys=keys, args=[version, entity_id, self._max_decided]))


def pack(snapshot: Snapshot) -> bytes:
    """Return a snapshot as it is published."""
    return zstandard.ZstdCompressor(level=1).compress(_encoder.encode(snapshot))


def unpack(packed: bytes) -> Snapshot | None:
    """Read a snapshot; None where it is damaged or of another version of this program: the next sync replaces it."""
    try:
        return _decoder.decode(zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MAX_BYTES))
    except (*UNREADABLE, zstandard.ZstdError):
        return None


def _number(version: bytes | None) -> int | None:
    """Return a version; None also for what is none, as if Redis had lost it: the next sync puts one out."""
    return int(version) if version and version.isdigit() and len(version) <= _MAX_DIGITS else None


def _names(decided: Collection[bytes]) -> frozenset[str]:
    return frozenset(name.decode("utf-8", "replace") for name in decided)


def not_published(home: str) -> errors.StateUnavailable:
    """Return the error that says that a home has no map at the moment."""
    return errors.StateUnavailable(f"the map of {home!r} is not in the state server; the next sync publishes it again")


def _map_key(home: str) -> str:
    return f"ha_ingestor:map:{home}"


def _version_key(home: str) -> str:
    return f"ha_ingestor:map:{home}:version"


def _decided_key(home: str) -> str:
    return f"ha_ingestor:map:{home}:decided"
