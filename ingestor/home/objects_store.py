"""The objects of the homes over time, in the metadata database: as they are, as they were, and since when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

import orjson
import sqlalchemy as sa

from ingestor.home.database import reading, transaction
from ingestor.home.objects import Held, Known, ObjectsDiff, Observed, clean_id, compare

T = TypeVar("T")
METADATA: Final = sa.MetaData()
OBJECTS: Final = sa.Table(
    "home_objects",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("home", sa.String(255), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("object_id", sa.String(255), nullable=False),
    sa.Column("from_us", sa.BigInteger, nullable=False),
    sa.Column("until_us", sa.BigInteger, nullable=True),
    sa.Column("digest", sa.String(32), nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Index("home_objects_object", "home", "kind", "object_id"),
    sa.Index("home_objects_until", "home", "until_us"),
)
#: How many rows one statement names; SQLite takes no more than 32,766 parameters.
_AT_ONCE: Final = 1_000
_DAY_US: Final = 86_400_000_000
#: The defaults of what is kept of the past: about 300 MB at most.
KEEP_DAYS: Final = 1_825
MAX_PAST_ROWS: Final = 500_000

#: The objects of one home by kind and id.
Loaded = dict[str, dict[str, dict[str, Any]]]


class RegistryObjects:
    """The objects of all homes, in SQLite or PostgreSQL. Who calls `take` holds the home's lock (`home.sync`).

    What is past is forgotten when it is older than `keep_days`, and the oldest where there are more rows of one home
    than `max_past_rows`; what is now is always kept.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        keep_days: float = KEEP_DAYS,
        max_past_rows: int = MAX_PAST_ROWS,
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._engine = engine
        self._keep_us = int(keep_days * _DAY_US)
        self._max_past_rows = max_past_rows
        self._clock = clock

    def take(self, home: str, observed: Observed) -> ObjectsDiff:
        """Keep what a sync has seen, where it differs from what is known. Raises StoreUnavailable."""
        with transaction(self._engine) as connection:
            known = _known(connection, home)
            change = compare(observed, known)
            if not change.diff:
                return change.diff
            # The clock may have been set back: what follows begins no earlier than what it follows.
            now_us = max(self._clock(), max((one.from_us for one in known.values()), default=0))
            for rows in _chunks(change.ended):
                connection.execute(sa.update(OBJECTS).where(OBJECTS.c.id.in_(rows)).values(until_us=now_us))
            begun = [_row(home, now_us, one) for one in change.begun]
            if begun:
                connection.execute(sa.insert(OBJECTS), begun)
            self._forget_past(connection, home, now_us)
        return change.diff

    def load(self, home: str, kind: str | None = None, at_us: int | None = None) -> Loaded:
        """Return the objects by kind and id, as they are or as they were at a time. Raises StoreUnavailable."""
        query = sa.select(OBJECTS.c.kind, OBJECTS.c.object_id, OBJECTS.c.data).where(OBJECTS.c.home == home)
        if kind is not None:
            query = query.where(OBJECTS.c.kind == kind)
        found: Loaded = {}
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(_holds_at(at_us)).order_by(OBJECTS.c.id)).all()
            for kind_of, object_id, data in rows:
                found.setdefault(kind_of, {})[object_id] = orjson.loads(data)
        return found

    def history(self, home: str, kind: str, object_id: str) -> list[Held]:
        """Return all that is known of one object, oldest first; what ends is gone. Raises StoreUnavailable."""
        columns = (OBJECTS.c.from_us, OBJECTS.c.until_us, OBJECTS.c.data)
        chosen = (OBJECTS.c.home == home) & (OBJECTS.c.kind == kind) & (OBJECTS.c.object_id == clean_id(object_id))
        query = sa.select(*columns).where(chosen).order_by(OBJECTS.c.from_us, OBJECTS.c.id)
        with reading(self._engine) as connection:
            return [Held(since, until, orjson.loads(data)) for since, until, data in connection.execute(query)]

    def histories(self, home: str, kind: str, object_ids: Iterable[str]) -> dict[str, list[Held]]:
        """Return all that is known of some objects, each oldest first. Raises StoreUnavailable."""
        columns = (OBJECTS.c.object_id, OBJECTS.c.from_us, OBJECTS.c.until_us, OBJECTS.c.data)
        chosen = (OBJECTS.c.home == home) & (OBJECTS.c.kind == kind)
        query = sa.select(*columns).where(chosen).order_by(OBJECTS.c.from_us, OBJECTS.c.id)
        wanted = {clean_id(one): one for one in object_ids}
        found: dict[str, list[Held]] = {one: [] for one in wanted.values()}
        with reading(self._engine) as connection:
            for ids in _chunks(list(wanted)):
                for key, since, until, data in connection.execute(query.where(OBJECTS.c.object_id.in_(ids))):
                    found[wanted[key]].append(Held(since, until, orjson.loads(data)))
        return found

    def last_known(self, home: str, kind: str) -> dict[str, Held]:
        """Return the objects of a kind as they were last, also those that are gone. Raises StoreUnavailable."""
        columns = (OBJECTS.c.object_id, OBJECTS.c.from_us, OBJECTS.c.until_us, OBJECTS.c.data)
        chosen = (OBJECTS.c.home == home) & (OBJECTS.c.kind == kind)
        query = sa.select(*columns).where(chosen).order_by(OBJECTS.c.from_us, OBJECTS.c.id)
        with reading(self._engine) as connection:
            last = {row.object_id: row for row in connection.execute(query)}
        return {key: Held(row.from_us, row.until_us, orjson.loads(row.data)) for key, row in last.items()}

    def changed_since(self, home: str, since_us: int) -> int:
        """Return how many objects have begun or ended since a time: whether it is worth reading them anew."""
        later = (OBJECTS.c.from_us > since_us) | (OBJECTS.c.until_us > since_us)
        query = sa.select(sa.func.count()).select_from(OBJECTS).where((OBJECTS.c.home == home) & later)
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def _forget_past(self, connection: sa.Connection, home: str, now_us: int) -> None:
        past = (OBJECTS.c.home == home) & OBJECTS.c.until_us.is_not(None)
        connection.execute(sa.delete(OBJECTS).where(past & (OBJECTS.c.until_us < now_us - self._keep_us)))
        count = connection.execute(sa.select(sa.func.count()).select_from(OBJECTS).where(past)).scalar_one()
        if count > self._max_past_rows:
            ended = sa.select(OBJECTS.c.id).where(past).order_by(OBJECTS.c.until_us, OBJECTS.c.id)
            oldest = ended.limit(count - self._max_past_rows)
            connection.execute(sa.delete(OBJECTS).where(OBJECTS.c.id.in_(oldest.scalar_subquery())))


def _known(connection: sa.Connection, home: str) -> dict[tuple[str, str], Known]:
    columns = (OBJECTS.c.kind, OBJECTS.c.object_id, OBJECTS.c.id, OBJECTS.c.from_us, OBJECTS.c.digest)
    query = sa.select(*columns).where((OBJECTS.c.home == home) & OBJECTS.c.until_us.is_(None))
    # All at once: asking SQLAlchemy for one row after the other takes three times as long.
    rows = connection.execute(query).all()
    return {(kind, object_id): Known(row, from_us, digest) for kind, object_id, row, from_us, digest in rows}


def _holds_at(at_us: int | None) -> sa.ColumnElement[bool]:
    if at_us is None:
        return OBJECTS.c.until_us.is_(None)
    return (OBJECTS.c.from_us <= at_us) & (OBJECTS.c.until_us.is_(None) | (OBJECTS.c.until_us > at_us))


def _row(home: str, now_us: int, begun: tuple[str, str, str, str]) -> dict[str, Any]:
    row = dict(zip(("kind", "object_id", "digest", "data"), begun, strict=True))
    return {"home": home, "from_us": now_us, "until_us": None, **row}


def _chunks(rows: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(rows), _AT_ONCE):
        yield rows[start : start + _AT_ONCE]
