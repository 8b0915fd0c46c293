"""Where it is kept what was learned of attributes: the metadata database, and for workers the state server."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import redis
import sqlalchemy as sa
import zstandard

from ingestor.home.database import reading, transaction
from ingestor.quality.attributes import Learned
from ingestor.queue.state import state_errors

METADATA: Final = sa.MetaData()
_TABLE: Final = sa.Table(
    "learned_attributes",
    METADATA,
    sa.Column("home", sa.String(255), primary_key=True),
    sa.Column("packed", sa.LargeBinary, nullable=False),
)
_KEY: Final = "ha_ingestor:quality:attributes"
#: What was learned an hour ago is as good.
_AGE_S: Final = 60.0
_learned: Final = msgspec.msgpack.Decoder(Learned)
_names: Final = msgspec.msgpack.Decoder(dict[str, frozenset[str]])
#: Ten times what a home with all that is followed takes.
_MAX_BYTES: Final = 64 * 1024 * 1024


class LearnedAttributes:
    """What was learned of the attributes of each home, in the metadata database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def load(self, home: str) -> Learned:
        """Return what was learned of a home. Raises StoreUnavailable."""
        with reading(self._engine) as connection:
            packed = connection.execute(sa.select(_TABLE.c.packed).where(_TABLE.c.home == home)).scalar()
        if packed is None:
            return Learned()
        return _learned.decode(zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MAX_BYTES))

    def save(self, home: str, learned: Learned) -> None:
        """Keep what was learned of a home. Raises StoreUnavailable."""
        packed = zstandard.ZstdCompressor(level=3).compress(msgspec.msgpack.encode(learned))
        with transaction(self._engine) as connection:
            connection.execute(sa.delete(_TABLE).where(_TABLE.c.home == home))
            connection.execute(sa.insert(_TABLE), {"home": home, "packed": packed})


class SharedAttributes:
    """What workers are to leave out, by home; asked once a minute."""

    def __init__(self, state: redis.Redis[bytes], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._clock = clock
        self._known: dict[str, tuple[float, Mapping[str, frozenset[str]]]] = {}

    def put(self, home: str, names: Mapping[str, frozenset[str]]) -> None:
        """Tell the workers. Raises StateUnavailable."""
        with state_errors():
            self._state.hset(_KEY, home, msgspec.msgpack.encode(names))

    def names(self, home: str) -> Mapping[str, frozenset[str]]:
        """Return what is to be left out of a home's events, by domain. Raises StateUnavailable."""
        before = self._known.get(home)
        if before is not None and self._clock() - before[0] < _AGE_S:
            return before[1]
        with state_errors():
            packed = self._state.hget(_KEY, home)
        known: Mapping[str, frozenset[str]] = {} if packed is None else _names.decode(packed)
        self._known[home] = (self._clock(), known)
        return known
