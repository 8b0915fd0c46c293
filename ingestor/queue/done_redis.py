"""Done marks in Redis: a bounded list for each journal, which may be lost without harm."""

from __future__ import annotations

from typing import Final, cast

import msgspec
import redis
import structlog

from ingestor.events.decoding import UNREADABLE
from ingestor.queue.done import DoneMark
from ingestor.queue.state import state_errors

#: Most marks that wait for one journal: 100,000 batches, at some 200 bytes each. The oldest go first; a journal
#: whose mark was dropped sends its batch again, and is told again.
MAX_MARKS: Final = 100_000
#: A mailbox that nobody empties (a listener that is gone for good) ends by itself.
_EXPIRE_S: Final = 86_400

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(DoneMark)
_log = structlog.get_logger(__name__)


class RedisDoneMarks:
    """Done marks shared by every process that reaches the same Redis."""

    def __init__(self, state: redis.Redis[bytes], *, max_marks: int = MAX_MARKS) -> None:
        self._state = state
        self._max_marks = max_marks

    def put(self, journal: str, mark: DoneMark) -> None:
        """Leave a mark for a journal. Raises StateUnavailable."""
        key = _key(journal)
        with state_errors():
            pipe = self._state.pipeline(transaction=False)
            pipe.rpush(key, _encoder.encode(mark))
            pipe.ltrim(key, -self._max_marks, -1)
            pipe.expire(key, _EXPIRE_S)
            pipe.execute()

    def take(self, journal: str, limit: int = 1000) -> list[DoneMark]:
        """Take away the oldest marks. Raises StateUnavailable."""
        with state_errors():
            packed = cast("list[bytes] | None", self._state.lpop(_key(journal), limit))
        return [mark for mark in map(read_mark, packed or ()) if mark is not None]


def _key(journal: str) -> str:
    return f"ha_ingestor:done:{journal}"


def read_mark(packed: bytes) -> DoneMark | None:
    """Return the mark, None for bytes that are none."""
    try:
        return _decoder.decode(packed)
    except UNREADABLE as error:
        # A mark of another version, or somebody else's list: the batch is sent again.
        _log.warning("done_mark_unreadable", error=str(error))
        return None
