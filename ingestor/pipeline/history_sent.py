"""What was sent of a home's history and has not ended yet, kept so that a killed step's batches are counted, too."""

from __future__ import annotations

import time
from typing import Final, Protocol

import msgspec
import redis
import structlog

from ingestor.events.decoding import UNREADABLE
from ingestor.queue.state import state_errors

#: A batch that has not ended for so long was lost: what was in it has been read and sent once more.
_KEPT_S: Final = 7 * 86_400
#: A step has some twenty under way, and a killed one leaves no more behind.
_MOST: Final = 1000
_MOST_ROWS: Final = 10_000
_OUTCOMES: Final = frozenset({"written", "duplicate", "rejected", "filtered"})
_encoder = msgspec.msgpack.Encoder()
_log: Final = structlog.get_logger(__name__)


class SentBatch(msgspec.Struct):
    """A batch of history: the number of its slots, a bit for each that has ended (hex), and what became of these."""

    rows: int
    bits: str = "0"
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    stored: dict[int, int] = msgspec.field(default_factory=dict)
    sent_s: int = msgspec.field(default_factory=lambda: int(time.time()))

    @property
    def ended(self) -> int:
        """A bit for each slot that has ended."""
        return int(self.bits, 16)


_decoder = msgspec.msgpack.Decoder(SentBatch)


class SentBatches(Protocol):
    """Where batches are kept until they are counted. Every call may raise StateUnavailable."""

    def load(self) -> dict[str, SentBatch]:
        """Return what earlier steps have sent that was not counted."""
        ...

    def keep(self, batch_id: str, batch: SentBatch) -> None:
        """Keep how far a batch is."""
        ...

    def drop(self, batch_ids: list[str]) -> None:
        """Let go of batches that are counted."""
        ...


class MemorySentBatches:
    """Batches within one process, for tests and for trying things out."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load(self) -> dict[str, SentBatch]:
        """Return what is kept."""
        return {batch_id: _decoder.decode(packed) for batch_id, packed in self._kept.items()}

    def keep(self, batch_id: str, batch: SentBatch) -> None:
        """Keep a batch."""
        self._kept[batch_id] = _encoder.encode(batch)

    def drop(self, batch_ids: list[str]) -> None:
        """Let go of batches."""
        for batch_id in batch_ids:
            self._kept.pop(batch_id, None)


class RedisSentBatches:
    """Batches of one home in the state server."""

    def __init__(self, state: redis.Redis[bytes], home: str) -> None:
        self._state = state
        self._key = f"ha_ingestor:history:{home}:sent"

    def load(self) -> dict[str, SentBatch]:
        """Return what is kept. Raises StateUnavailable."""
        with state_errors():
            packed = self._state.hgetall(self._key)
        found = {batch_id.decode("ascii", "replace"): _read(one) for batch_id, one in packed.items()}
        oldest_s = time.time() - _KEPT_S
        young = {batch_id: one for batch_id, one in found.items() if one is not None and one.sent_s > oldest_s}
        kept = dict(sorted(young.items(), key=lambda item: -item[1].sent_s)[:_MOST])
        self.drop([batch_id for batch_id in found if batch_id not in kept])
        return kept

    def keep(self, batch_id: str, batch: SentBatch) -> None:
        """Keep a batch. Raises StateUnavailable."""
        with state_errors():
            self._state.hset(self._key, batch_id, _encoder.encode(batch))
            self._state.expire(self._key, _KEPT_S)

    def drop(self, batch_ids: list[str]) -> None:
        """Let go of batches. Raises StateUnavailable."""
        if batch_ids:
            with state_errors():
                self._state.hdel(self._key, *batch_ids)


def _read(packed: bytes) -> SentBatch | None:
    try:
        found = _decoder.decode(packed)
        is_ours = 0 < found.rows <= _MOST_ROWS and not found.ended >> found.rows and found.counts.keys() <= _OUTCOMES
    except (*UNREADABLE, ValueError) as error:
        _log.warning("sent_batch_unreadable", error=str(error))
        return None
    return found if is_ours else None
