"""How far readers of ours have come in the live channel, kept over restarts in the metadata database."""

from __future__ import annotations

import time
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ingestor.storage.database import database_errors

METADATA: Final = sa.MetaData()
PLACES: Final = sa.Table(
    "live_places",
    METADATA,
    sa.Column("reader", sa.String(64), primary_key=True),
    sa.Column("cursor", sa.Text, nullable=False),
    sa.Column("kept_us", sa.BigInteger, nullable=False),
)


class ReaderPlaces:
    """The cursor of each reader by its name. Every call may raise StoreUnavailable."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._insert: Any = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    def find(self, reader: str) -> str:
        """Return the cursor of a reader; empty where it has none."""
        query = sa.select(PLACES.c.cursor).where(PLACES.c.reader == reader)
        with database_errors(), self._engine.connect() as connection:
            return str(connection.execute(query).scalar() or "")

    def keep(self, reader: str, cursor: str) -> None:
        """Keep the cursor of a reader."""
        now = {"cursor": cursor, "kept_us": time.time_ns() // 1000}
        insert = self._insert(PLACES).values(reader=reader, **now)
        with database_errors(), self._engine.begin() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["reader"], set_=now))
