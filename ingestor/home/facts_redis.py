"""How a home's facts reach the workers: whole, in Redis beside the map, known by the hash of what they say."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection
from typing import Final

import msgspec
import redis
import structlog
import zstandard

from ingestor.events.decoding import UNREADABLE
from ingestor.home.facts import HomeFacts
from ingestor.queue.state import state_errors

#: Facts are looked at for a newer version no more often than this.
CHECK_EVERY_S: Final = 1.0
_MAX_BYTES: Final = 256 * 1024 * 1024
#: Of the hash: what every language and database holds as an integer.
_HASH_BYTES: Final = 6
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(HomeFacts)
_log = structlog.get_logger(__name__)


def publish_facts(state: redis.Redis[bytes], facts: HomeFacts) -> bool:
    """Put facts out where they say anything new; return whether they do. Raises StateUnavailable."""
    version = version_of(facts)
    with state_errors():
        if state.get(_version_key(facts.home)) == str(version).encode():
            return False
        packed = pack_facts(msgspec.structs.replace(facts, version=version))
        pipe = state.pipeline(transaction=True)
        pipe.set(_facts_key(facts.home), packed)
        pipe.set(_version_key(facts.home), version)
        pipe.execute()
    return True


def facts_are_out(state: redis.Redis[bytes], home: str) -> bool:
    """Tell whether there are any facts of a home. Raises StateUnavailable."""
    with state_errors():
        return bool(state.exists(_version_key(home)))


def version_of(facts: HomeFacts) -> int:
    """Return the version of facts: the same for the same content, never 0."""
    content = _encoder.encode(msgspec.structs.replace(facts, version=0))
    return int.from_bytes(hashlib.blake2b(content, digest_size=_HASH_BYTES).digest()) or 1


def pack_facts(facts: HomeFacts) -> bytes:
    """Return facts as they are published."""
    return zstandard.ZstdCompressor(level=1).compress(_encoder.encode(facts))


def unpack_facts(packed: bytes) -> HomeFacts | None:
    """Read facts; None where they are damaged or of another version of this program: the next sync replaces them."""
    try:
        return _decoder.decode(zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MAX_BYTES))
    except (*UNREADABLE, zstandard.ZstdError):
        return None


class RedisFacts:
    """The facts of these homes as the registry task publishes them. One for each process."""

    def __init__(
        self,
        state: redis.Redis[bytes],
        homes: Collection[str],
        *,
        check_every_s: float = CHECK_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._check_every_s = check_every_s
        self._clock = clock
        self._checked_at = float("-inf")
        self._facts = {home: HomeFacts(home) for home in homes}
        self._seen: dict[str, bytes] = {}

    def facts(self, home: str) -> HomeFacts:
        """Return the newest facts of a home; empty ones before its first sync. No I/O."""
        found = self._facts.get(home)
        return HomeFacts(home) if found is None else found

    def refresh(self) -> None:
        """Read newer versions, if there are any; asks Redis at most once a second. Raises StateUnavailable."""
        now = self._clock()
        if now - self._checked_at < self._check_every_s or not self._facts:
            return
        with state_errors():
            versions = self._state.mget([_version_key(home) for home in self._facts])
        for home, version in zip(list(self._facts), versions, strict=True):
            # Where Redis has lost them, what is held here is still the best there is.
            if version is not None and version != self._seen.get(home):
                self._load(home, version)
        self._checked_at = now

    def _load(self, home: str, version: bytes) -> None:
        with state_errors():
            packed = self._state.get(_facts_key(home))
        self._seen[home] = version
        facts = unpack_facts(packed) if packed else None
        if facts is not None:
            self._facts[home] = facts
            _log.debug("facts_loaded", home=home, version=facts.version, devices=len(facts.devices))


def _facts_key(home: str) -> str:
    return f"ha_ingestor:facts:{home}"


def _version_key(home: str) -> str:
    return f"ha_ingestor:facts:{home}:version"
