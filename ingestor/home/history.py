"""The versions of the homes' maps in the metadata database: every entry that ever held, and which are published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec
import orjson
import sqlalchemy as sa

from ingestor.events.event import Place
from ingestor.home.database import reading, transaction
from ingestor.home.merge import Entry
from ingestor.home.model import NEVER_US
from ingestor.home.roles import wanted_series

METADATA: Final = sa.MetaData()
VERSIONS: Final = sa.Table(
    "home_versions",
    METADATA,
    sa.Column("home", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("effective_us", sa.BigInteger, nullable=False),
    sa.Column("published_at_us", sa.BigInteger, nullable=True),
    sa.Column("mapped", sa.Boolean, nullable=False),
)
TIMELINE: Final = sa.Table(
    "entity_timeline",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("home", sa.Text, nullable=False),
    sa.Column("entity_id", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("effective_us", sa.BigInteger, nullable=False),
    sa.Column("origin", sa.String(16), nullable=False),
    sa.Column("registry_id", sa.Text, nullable=False),
    sa.Column("series", sa.Text, nullable=False),
    sa.Column("domain", sa.Text, nullable=False),
    sa.Column("area", sa.Text, nullable=False),
    sa.Column("floor", sa.Text, nullable=False),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("device_class", sa.Text, nullable=False),
    sa.Column("integration", sa.Text, nullable=False),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Index("entity_timeline_home", "home", "version"),
)
#: The columns of an Entry in its order; those of its Place follow.
_ENTRY: Final = ("entity_id", "version", "effective_us", "origin", "registry_id")
_PLACE: Final = Place.__struct_fields__


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a map. `mapped`: there was a Home Assistant to ask. `published_at_us` None: not out yet."""

    version: int
    effective_us: int
    published_at_us: int | None
    mapped: bool


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of one home: its versions and entries, oldest first.

    `joined` is the series of each registry id that plays, or has played, the role of a former one (`home.roles`).
    """

    versions: Sequence[Version]
    entries: Sequence[Entry]
    joined: Mapping[str, str] = field(default_factory=dict)

    @property
    def series(self) -> dict[str, set[str]]:
        """Return every entity_id that the home ever had, with each series that it was stored under.

        Home Assistant's recorder gives a renamed entity its past under the new name: that of the old name's series.
        """
        found: dict[str, set[str]] = {}
        for entry in self.entries:
            found.setdefault(entry.entity_id, set()).add(entry.place.series)
        return found

    @property
    def pending(self) -> bool:
        """Tell whether the newest version is not out yet, as far as the database knows."""
        return bool(self.versions) and self.versions[-1].published_at_us is None


def mapped_from_us(versions: Sequence[Version]) -> int:
    """Return from when on there was a Home Assistant to ask."""
    return next((version.effective_us for version in versions if version.mapped), NEVER_US)


class MapHistory:
    """The history of all homes. Who writes holds the home's lock (`home.sync`)."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def load(self, home: str) -> Record:
        """Return everything of one home. Raises StoreUnavailable."""
        versions = sa.select(VERSIONS).where(VERSIONS.c.home == home).order_by(VERSIONS.c.version)
        columns: list[sa.ColumnElement[Any]] = [TIMELINE.c[name] for name in (*_ENTRY, *_PLACE[:-1])]
        # As text: most have none, and SQLAlchemy's reading of JSON takes as long as all the rest.
        columns.append(sa.cast(TIMELINE.c.labels, sa.Text))
        entries = sa.select(*columns).where(TIMELINE.c.home == home).order_by(TIMELINE.c.id)
        with reading(self._engine) as connection:
            found = [Version(*row[1:]) for row in connection.execute(versions)]
            kept = [_entry(row) for row in connection.execute(entries).all()]
            return Record(found, kept, wanted_series(connection, home))

    def has(self, home: str) -> bool:
        """Tell whether there ever was a map of this home. Raises StoreUnavailable."""
        query = sa.select(VERSIONS.c.version).where(VERSIONS.c.home == home).limit(1)
        with reading(self._engine) as connection:
            return connection.execute(query).first() is not None

    def series_of(
        self, home: str | None = None, *, entity_ids: Sequence[str] = (), integrations: Sequence[str] = (), limit: int
    ) -> list[str]:
        """Return the series, at most `limit`, that these entities had or that came of these integrations, ever.

        Raises StoreUnavailable.
        """
        chosen = TIMELINE.c.entity_id.in_(entity_ids) | TIMELINE.c.integration.in_(integrations)
        if home is not None:
            chosen &= TIMELINE.c.home == home
        query = sa.select(TIMELINE.c.series).where(chosen).distinct().order_by(TIMELINE.c.series).limit(limit)
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def names_of(self, kind: Literal["area", "device"], home: str | None = None) -> list[str]:
        """Return every name that areas or devices ever had. Raises StoreUnavailable."""
        column = TIMELINE.c[kind]
        query = sa.select(column).distinct()
        with reading(self._engine) as connection:
            return list(connection.execute(query if home is None else query.where(TIMELINE.c.home == home)).scalars())

    def series_now(self, home: str, entity_ids: Sequence[str]) -> dict[str, str]:
        """Return the series under which entities of these names are stored now, as far as the map knows them.

        Raises StoreUnavailable.
        """
        chosen = (TIMELINE.c.home == home) & TIMELINE.c.entity_id.in_(entity_ids)
        query = sa.select(TIMELINE.c.entity_id, TIMELINE.c.series).where(chosen)
        with reading(self._engine) as connection:
            return {
                row[0]: row[1] for row in connection.execute(query.order_by(TIMELINE.c.effective_us, TIMELINE.c.id))
            }

    def add(self, home: str, version: Version, entries: Sequence[Entry]) -> None:
        """Keep a new version. Raises StoreUnavailable."""
        with transaction(self._engine) as connection:
            row = {"home": home, "version": version.version, "effective_us": version.effective_us}
            connection.execute(sa.insert(VERSIONS), {**row, "published_at_us": None, "mapped": version.mapped})
            if entries:
                connection.execute(sa.insert(TIMELINE), [_row(home, entry) for entry in entries])

    def discard(self, home: str, version: int) -> None:
        """Forget a version that never came out. Raises StoreUnavailable."""
        with transaction(self._engine) as connection:
            for table in (TIMELINE, VERSIONS):
                connection.execute(sa.delete(table).where((table.c.home == home) & (table.c.version == version)))

    def mark_published(self, home: str, version: int, now_us: int) -> None:
        """Note that a version is out: its effective time must not change any more. Raises StoreUnavailable."""
        chosen = (VERSIONS.c.home == home) & (VERSIONS.c.version == version) & VERSIONS.c.published_at_us.is_(None)
        with transaction(self._engine) as connection:
            connection.execute(sa.update(VERSIONS).where(chosen).values(published_at_us=now_us))


def _entry(row: sa.Row[Any]) -> Entry:
    entity_id, version, effective_us, origin, registry_id = row[: len(_ENTRY)]
    # The columns stand in the order of the fields (`_PLACE`); checking each of 20,000 rows would take a second.
    labels = row[-1]
    fields: list[Any] = [*row[len(_ENTRY) : -1], () if labels == "[]" else tuple(orjson.loads(labels))]
    place = Place(*fields)
    return Entry(entity_id, version, effective_us, origin, registry_id, place)


def _row(home: str, entry: Entry) -> dict[str, Any]:
    row = {"home": home, **{name: getattr(entry, name) for name in _ENTRY}}
    return {**row, **msgspec.structs.asdict(entry.place), "labels": list(entry.place.labels)}
