"""What was observed, in the metadata database: a row an edge, a row an entity; pages are added, no row an event."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ingestor.events.observed import EntityPattern, ObservedEdge, ObservedPage
from ingestor.storage.database import database_errors, reading
from ingestor.storage.observed import MAX_EDGES, MAX_PATTERNS, Learned, packed, summed, unpacked

METADATA: Final = sa.MetaData()
EDGES: Final = sa.Table(
    "observed_edges",
    METADATA,
    sa.Column("home", sa.String(255), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("source", sa.String(255), primary_key=True),
    sa.Column("target", sa.String(255), primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("first_us", sa.BigInteger, nullable=False),
    sa.Column("last_us", sa.BigInteger, nullable=False),
    sa.Index("observed_edges_last", "home", "kind", "last_us"),
)
PATTERNS: Final = sa.Table(
    "observed_patterns",
    METADATA,
    sa.Column("home", sa.String(255), primary_key=True),
    sa.Column("entity_id", sa.String(255), primary_key=True),
    sa.Column("last_us", sa.BigInteger, nullable=False),
    sa.Column("learned", sa.Text, nullable=False),
)
#: How far each worker's pages were added: what makes a page that comes twice count once.
WORKERS: Final = sa.Table(
    "observed_workers",
    METADATA,
    sa.Column("worker", sa.String(64), primary_key=True),
    sa.Column("page", sa.BigInteger, nullable=False),
    sa.Column("updated_s", sa.BigInteger, nullable=False),
)
_KEY: Final = ("home", "kind", "source", "target")
#: Any number, the same for all: who adds to a PostgreSQL database holds this advisory lock.
_LOCK: Final = 0x4841_4F42
_WORKER_FORGOTTEN_AFTER_S: Final = 7 * 86_400
#: A database takes so many rows, or names in a list, at once.
_AT_ONCE: Final = 500
_LONGEST: Final = 255


class SqlObserved:
    """Edges and patterns in SQLite or PostgreSQL."""

    def __init__(self, engine: sa.Engine, *, max_edges: int = MAX_EDGES, max_patterns: int = MAX_PATTERNS) -> None:
        self._engine = engine
        self._max_edges = max_edges
        self._max_patterns = max_patterns
        self._insert: Any = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    def add(self, pages: Sequence[ObservedPage]) -> None:
        """Add pages, each once: page number and counts change in one transaction. Raises StoreUnavailable."""
        for page in pages:
            with database_errors(), self._engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    # What is learned is read, added to and written back: one at a time.
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                if self._turn(connection, page):
                    self._add_edges(connection, page)
                    self._learn(connection, page)

    def load(self, home: str) -> list[ObservedEdge]:
        """Return all edges of a home, the commonest first. Raises StoreUnavailable."""
        query = sa.select(EDGES).where(EDGES.c.home == home)
        query = query.order_by(EDGES.c.count.desc(), EDGES.c.kind, EDGES.c.source, EDGES.c.target)
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        return [
            ObservedEdge(row["kind"], row["source"], row["target"], row["count"], row["first_us"], row["last_us"])
            for row in rows
        ]

    def pattern(self, home: str, entity_id: str) -> EntityPattern | None:
        """Return the pattern of an entity. Raises StoreUnavailable."""
        query = sa.select(PATTERNS.c.learned).where(PATTERNS.c.home == home, PATTERNS.c.entity_id == entity_id)
        with reading(self._engine) as connection:
            found = connection.execute(query).scalar()
        return None if found is None else unpacked(found).pattern(entity_id)

    def patterns(self, home: str) -> list[EntityPattern]:
        """Return the patterns of all entities of a home. Raises StoreUnavailable."""
        query = sa.select(PATTERNS.c.entity_id, PATTERNS.c.learned).where(PATTERNS.c.home == home)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [unpacked(learned).pattern(entity_id) for entity_id, learned in rows]

    def trim(self) -> None:
        """Let go what is more than is kept of a home, and workers that are long gone. Raises StoreUnavailable."""
        with database_errors(), self._engine.begin() as connection:
            old = int(time.time()) - _WORKER_FORGOTTEN_AFTER_S
            connection.execute(sa.delete(WORKERS).where(WORKERS.c.updated_s < old))
            for home, kind in connection.execute(sa.select(EDGES.c.home, EDGES.c.kind).distinct()).all():
                _trim(connection, EDGES, (EDGES.c.home == home) & (EDGES.c.kind == kind), self._max_edges)
            for home in connection.execute(sa.select(PATTERNS.c.home).distinct()).scalars().all():
                _trim(connection, PATTERNS, PATTERNS.c.home == home, self._max_patterns)

    def _turn(self, connection: sa.Connection, page: ObservedPage) -> bool:
        """Note that a worker has reached this page; False where it had before."""
        now = {"page": page.number, "updated_s": int(time.time())}
        insert = self._insert(WORKERS).values(worker=page.worker, **now)
        turn = insert.on_conflict_do_update(index_elements=["worker"], set_=now, where=WORKERS.c.page < page.number)
        return connection.execute(turn.returning(WORKERS.c.worker)).first() is not None

    def _add_edges(self, connection: sa.Connection, page: ObservedPage) -> None:
        found: dict[tuple[str, str, str], ObservedEdge] = {}
        for edge in page.edges:
            if len(edge.source) <= _LONGEST and len(edge.target) <= _LONGEST:
                key = (edge.kind, edge.source, edge.target)
                found[key] = summed(found.get(key), edge)
        insert, smaller, larger = self._insert(EDGES), *_extremes(connection)
        sums = {
            "count": EDGES.c.count + insert.excluded.count,
            "first_us": smaller(EDGES.c.first_us, insert.excluded.first_us),
            "last_us": larger(EDGES.c.last_us, insert.excluded.last_us),
        }
        upsert = insert.on_conflict_do_update(index_elements=list(_KEY), set_=sums)
        for some in _parts(list(found.values())):
            rows = [{"home": page.home, **{name: getattr(one, name) for name in one.__struct_fields__}} for one in some]
            connection.execute(upsert, rows)

    def _learn(self, connection: sa.Connection, page: ObservedPage) -> None:
        names = sorted({name for one in page.activity for name in one.events if len(name) <= _LONGEST})
        insert = self._insert(PATTERNS)
        values = {"learned": insert.excluded.learned, "last_us": insert.excluded.last_us}
        upsert = insert.on_conflict_do_update(index_elements=["home", "entity_id"], set_=values)
        for some in _parts(names):
            known = _known(connection, page.home, some)
            for activity in page.activity:
                for name in some:
                    if events := activity.events.get(name):
                        known[name].learn(activity, events)
            rows = [
                {"home": page.home, "entity_id": name, "last_us": one.last_us, "learned": packed(one)}
                for name, one in known.items()
            ]
            connection.execute(upsert, rows)


def _known(connection: sa.Connection, home: str, names: Sequence[str]) -> dict[str, Learned]:
    query = sa.select(PATTERNS.c.entity_id, PATTERNS.c.learned)
    query = query.where(PATTERNS.c.home == home, PATTERNS.c.entity_id.in_(names))
    found = {row.entity_id: unpacked(row.learned) for row in connection.execute(query)}
    return {name: found.get(name) or Learned() for name in names}


def _extremes(connection: sa.Connection) -> tuple[Any, Any]:
    if connection.dialect.name == "postgresql":
        return sa.func.least, sa.func.greatest
    return sa.func.min, sa.func.max


def _trim(connection: sa.Connection, table: sa.Table, of: Any, most: int) -> None:
    last = sa.select(table.c.last_us).where(of).order_by(table.c.last_us.desc()).offset(most).limit(1)
    newest_of_too_many = connection.execute(last).scalar()
    if newest_of_too_many is not None:
        connection.execute(sa.delete(table).where(of, table.c.last_us <= newest_of_too_many))


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
