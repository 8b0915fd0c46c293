"""The ledger in the metadata database: a row an hour, home and source, to which pages are added; no row an event."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ingestor.events.counts import FIELDS, Counts, Page
from ingestor.storage.database import database_errors, reading
from ingestor.storage.ledger import LedgerRow

METADATA: Final = sa.MetaData()
#: How far each book has been added: what makes a page that comes twice count once.
BOOKS: Final = sa.Table(
    "ledger_books",
    METADATA,
    sa.Column("book", sa.String(64), primary_key=True),
    sa.Column("home", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("journal", sa.Text, nullable=False),
    sa.Column("page", sa.BigInteger, nullable=False),
    sa.Column("updated_s", sa.BigInteger, nullable=False),
)
HOURS: Final = sa.Table(
    "ledger_hours",
    METADATA,
    sa.Column("hour_s", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("home", sa.String(255), primary_key=True),
    sa.Column("source", sa.String(64), primary_key=True),
    *(sa.Column(name, sa.BigInteger, nullable=False) for name in FIELDS),
)
STORED: Final = sa.Table(
    "ledger_stored",
    METADATA,
    sa.Column("hour_s", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("home", sa.String(255), primary_key=True),
    sa.Column("source", sa.String(64), primary_key=True),
    sa.Column("events", sa.BigInteger, nullable=False),
)
_KEY: Final = ("hour_s", "home", "source")


class SqlLedger:
    """The ledger in SQLite or PostgreSQL."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._insert: Any = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    def add(self, pages: Sequence[Page]) -> None:
        """Add pages, each once: page number and counts change in one transaction. Raises StoreUnavailable."""
        # In one order for all: two processes that add the same books wait for each other, never in a circle.
        for page in sorted(pages, key=lambda page: (page.book, page.number)):
            with database_errors(), self._engine.begin() as connection:
                self.add_within(connection, page)

    def add_within(self, connection: sa.Connection, page: Page) -> None:
        """Add a page, once, within a transaction that changes more than the ledger."""
        if self._turn(connection, page):
            self._add(connection, page)

    def _turn(self, connection: sa.Connection, page: Page) -> bool:
        """Note that a book has reached this page; False where it had before. Holds the book's row until the commit."""
        now = {"page": page.number, "updated_s": int(time.time())}
        insert = self._insert(BOOKS).values(
            book=page.book, home=page.home, source=page.source, journal=page.journal, **now
        )
        turn = insert.on_conflict_do_update(index_elements=["book"], set_=now, where=BOOKS.c.page < page.number)
        return connection.execute(turn.returning(BOOKS.c.book)).first() is not None

    def _add(self, connection: sa.Connection, page: Page) -> None:
        of = {"home": page.home, "source": page.source}
        hours = [
            {"hour_s": hour_s, **of, **{name: getattr(counts, name) for name in FIELDS}}
            for hour_s, counts in sorted(page.hours.items())
        ]
        stored = [{"hour_s": hour_s, **of, "events": events} for hour_s, events in sorted(page.stored.items())]
        self._add_rows(connection, HOURS, hours, FIELDS)
        self._add_rows(connection, STORED, stored, ("events",))

    def _add_rows(
        self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]], names: Iterable[str]
    ) -> None:
        if not rows:
            return
        insert = self._insert(table)
        sums = {name: table.c[name] + insert.excluded[name] for name in names}
        connection.execute(insert.on_conflict_do_update(index_elements=list(_KEY), set_=sums), rows)

    def trim(self, books: int = 10_000) -> None:
        """Forget how far books have been added, but for so many that were last. Raises StoreUnavailable."""
        newest = sa.select(BOOKS.c.updated_s).order_by(BOOKS.c.updated_s.desc()).offset(books).limit(1)
        with database_errors(), self._engine.begin() as connection:
            connection.execute(sa.delete(BOOKS).where(BOOKS.c.updated_s <= newest.scalar_subquery()))

    def rows(
        self, *, home: str | None = None, since_s: int | None = None, until_s: int | None = None
    ) -> list[LedgerRow]:
        """Return rows, oldest first. Raises StoreUnavailable."""
        query = _chosen(HOURS, home, since_s, until_s).order_by(*(HOURS.c[name] for name in _KEY))
        with reading(self._engine) as connection:
            return [
                LedgerRow(row["hour_s"], row["home"], row["source"], Counts(*(row[name] for name in FIELDS)))
                for row in connection.execute(query).mappings()
            ]

    def stored(self, home: str, since_s: int | None = None, until_s: int | None = None) -> dict[tuple[str, int], int]:
        """Return how many new points the store took, by source and hour. Raises StoreUnavailable."""
        with reading(self._engine) as connection:
            found = connection.execute(_chosen(STORED, home, since_s, until_s)).mappings()
            return {(row["source"], row["hour_s"]): row["events"] for row in found}


def _chosen(table: sa.Table, home: str | None, since_s: int | None, until_s: int | None) -> sa.Select[Any]:
    query = sa.select(table)
    if home is not None:
        query = query.where(table.c.home == home)
    if since_s is not None:
        query = query.where(table.c.hour_s >= since_s)
    return query if until_s is None else query.where(table.c.hour_s < until_s)
