"""The quarantine in the metadata database: durable, shared by all processes, bounded by a running total."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ingestor.storage.database import database_errors
from ingestor.storage.quarantine import Quarantined
from ingestor.storage.quarantine_memory import MAX_BYTES, MAX_PIECES, clean

METADATA: Final = sa.MetaData()
PIECES: Final = sa.Table(
    "quarantine",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("batch_id", sa.String(64), nullable=False),
    sa.Column("slot", sa.Integer, nullable=False),
    sa.Column("home", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("received_ns", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("batch_id", "slot", name="quarantine_identity"),
)
#: One row: what is kept now and what the limits have cost. Whoever puts holds it, so that the sums stay true.
TOTALS: Final = sa.Table(
    "quarantine_totals",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("pieces", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("evicted", sa.BigInteger, nullable=False),
)
#: The columns that are a piece's fields; `id` is the order, `bytes` the size of `raw`.
_FIELDS: Final = [column for column in PIECES.columns if column.name not in {"id", "bytes"}]
_ROWS_AT_ONCE: Final = 500
_Sizes = list[int]  # within the class `list` is a method


class SqlQuarantine:
    """Rejected pieces in SQLite or PostgreSQL."""

    def __init__(self, engine: sa.Engine, *, max_pieces: int = MAX_PIECES, max_bytes: int = MAX_BYTES) -> None:
        self._engine = engine
        self._max_pieces = max_pieces
        self._max_bytes = max_bytes
        self._insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert

    def put(self, pieces: Iterable[Quarantined]) -> None:
        """Keep pieces that are not there yet; durable on return. Raises StoreUnavailable."""
        rows = [{**asdict(piece), "bytes": len(piece.raw)} for piece in map(clean, pieces)]
        if not rows:
            return
        with database_errors(), self._engine.begin() as connection:
            held = connection.execute(sa.select(TOTALS).with_for_update()).mappings().one()
            added = self._add(connection, rows)
            totals = {
                "pieces": held["pieces"] + len(added),
                "bytes": held["bytes"] + sum(added),
                "evicted": held["evicted"],
            }
            self._evict(connection, totals)
            connection.execute(sa.update(TOTALS).values(totals))

    def list(self, limit: int = 100) -> Iterator[Quarantined]:
        """Yield pieces, newest first. Raises StoreUnavailable."""
        query = sa.select(*_FIELDS).order_by(PIECES.c.id.desc()).limit(limit)
        with database_errors(), self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        yield from (Quarantined(**row) for row in rows)

    def count(self) -> int:
        """Return how many pieces are kept. Raises StoreUnavailable."""
        return self._total(TOTALS.c.pieces)

    def evicted(self) -> int:
        """Return how many pieces the limits have cost so far. Raises StoreUnavailable."""
        return self._total(TOTALS.c.evicted)

    def _add(self, connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> _Sizes:
        """Insert what is not there yet; return the sizes of what was inserted."""
        sizes: _Sizes = []
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            new = self._insert(PIECES).values(rows[start : start + _ROWS_AT_ONCE])
            sizes.extend(connection.scalars(new.on_conflict_do_nothing().returning(PIECES.c.bytes)))
        return sizes

    def _evict(self, connection: sa.Connection, totals: dict[str, int]) -> None:
        """Delete the oldest pieces until both limits are kept."""
        while totals["pieces"] > self._max_pieces or totals["bytes"] > self._max_bytes:
            last, count, size = 0, 0, 0
            oldest = sa.select(PIECES.c.id, PIECES.c.bytes).order_by(PIECES.c.id).limit(_ROWS_AT_ONCE)
            for identity, bytes_ in connection.execute(oldest).all():
                if totals["pieces"] - count <= self._max_pieces and totals["bytes"] - size <= self._max_bytes:
                    break
                last, count, size = identity, count + 1, size + bytes_
            connection.execute(sa.delete(PIECES).where(PIECES.c.id <= last))
            totals["pieces"] -= count
            totals["bytes"] -= size
            totals["evicted"] += count

    def _total(self, column: sa.Column[int]) -> int:
        with database_errors(), self._engine.connect() as connection:
            return int(connection.execute(sa.select(column)).scalar_one())
