"""Roles: an entity that goes on with the series of another one that has gone, as a replaced device does.

Which one plays which role is kept here; it takes effect like any change of the map, with the version that the next
sync brings out, for events from its effective time on. What was stored before stays where it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from ingestor import errors
from ingestor.home.database import reading, transaction
from ingestor.home.merge import Entry
from ingestor.home.model import domain_of

METADATA: Final = sa.MetaData()
ROLES: Final = sa.Table(
    "home_roles",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("home", sa.String(255), nullable=False),
    sa.Column("registry_id", sa.String(255), nullable=False),
    sa.Column("entity_id", sa.Text, nullable=False),
    sa.Column("replaces", sa.Text, nullable=False),
    sa.Column("series", sa.Text, nullable=False),
    sa.Column("own_series", sa.Text, nullable=False),
    sa.Column("since_us", sa.BigInteger, nullable=False),
    sa.Column("until_us", sa.BigInteger, nullable=True),
    sa.Index("home_roles_home", "home", "registry_id"),
)


@dataclass(frozen=True, slots=True)
class Role:
    """An entity (`entity_id` is its name of then) that goes on with a series; `until_us` None: it still does.

    `own_series` is what it goes back to when the role ends.
    """

    registry_id: str
    entity_id: str
    replaces: str
    series: str
    own_series: str
    since_us: int
    until_us: int | None = None


class Roles:
    """The roles of all homes, in the metadata database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def all(self, home: str) -> list[Role]:
        """Return every role there is and was, oldest first. Raises StoreUnavailable."""
        columns = [ROLES.c[name] for name in Role.__slots__]
        query = sa.select(*columns).where(ROLES.c.home == home).order_by(ROLES.c.id)
        with reading(self._engine) as connection:
            return [Role(*row) for row in connection.execute(query)]

    def begin(self, home: str, roles: Iterable[Role]) -> None:
        """Keep roles; an entity that has one already leaves it. Raises StoreUnavailable."""
        with transaction(self._engine) as connection:
            for role in roles:
                connection.execute(_current(home, [role.registry_id]).values(until_us=role.since_us))
                row = {name: getattr(role, name) for name in Role.__slots__}
                connection.execute(sa.insert(ROLES), {"home": home, **row})

    def end(self, home: str, registry_ids: Collection[str], now_us: int) -> int:
        """End the roles of these entities; return how many ended. Raises StoreUnavailable."""
        with transaction(self._engine) as connection:
            ended: sa.CursorResult[Any] = connection.execute(_current(home, registry_ids).values(until_us=now_us))
            return ended.rowcount


def _current(home: str, registry_ids: Collection[str]) -> sa.Update:
    chosen = (ROLES.c.home == home) & ROLES.c.registry_id.in_(list(registry_ids)) & ROLES.c.until_us.is_(None)
    return sa.update(ROLES).where(chosen)


def wanted_series(connection: sa.Connection, home: str) -> dict[str, str]:
    """Return the series that each registry id is to go on with; one whose role has ended goes back to its own."""
    columns = (ROLES.c.registry_id, ROLES.c.series, ROLES.c.own_series, ROLES.c.until_us)
    query = sa.select(*columns).where(ROLES.c.home == home).order_by(ROLES.c.id)
    return {key: series if until_us is None else own for key, series, own, until_us in connection.execute(query)}


def plan_role(entries: Iterable[Entry], new: str, old: str, now_us: int) -> Role:
    """Return the role in which `new` goes on with the series of `old`. Raises IngestorError where that cannot be."""
    last: dict[str, Entry] = {}
    own: dict[str, str] = {}
    for entry in entries:
        last[entry.entity_id] = entry
        if entry.registry_id:
            own.setdefault(entry.registry_id, entry.place.series)
    successor, former = _found(last, new), _found(last, old)
    if successor.origin != "registry":
        raise errors.IngestorError(f"{new} has no entry in the registry of Home Assistant: it cannot take a role")
    if domain_of(new) != domain_of(former.place.series):
        raise errors.IngestorError(f"{new} and {old} are of different domains: they cannot be one series")
    if former.registry_id == successor.registry_id or former.place.series == successor.place.series:
        raise errors.IngestorError(f"{new} and {old} are one series already")
    _require_gone(last, former, old)
    own_series = own[successor.registry_id]
    return Role(successor.registry_id, new, old, former.place.series, own_series, now_us)


def _found(last: Mapping[str, Entry], entity_id: str) -> Entry:
    entry = last.get(entity_id)
    if entry is None:
        raise errors.IngestorError(f"{entity_id} was never seen in this home")
    return entry


def _require_gone(last: Mapping[str, Entry], former: Entry, old: str) -> None:
    """Two living entities must never share a series."""
    for entity_id, entry in last.items():
        if entry.origin == "registry" and entry.place.series == former.place.series:
            raise errors.IngestorError(
                f"{old} still lives as {entity_id}: remove it in Home Assistant, sync (`home sync`), then join them"
            )


def plan_device_roles(
    pairs: Iterable[tuple[str, str]], entries: Collection[Entry], now_us: int
) -> tuple[list[Role], list[str]]:
    """Return the roles of a device's entities (new, old), and why the others cannot have one."""
    roles, refused = [], []
    for new, old in pairs:
        try:
            roles.append(plan_role(entries, new, old, now_us))
        except errors.IngestorError as error:
            refused.append(str(error))
    return roles, refused


def match_entities(
    new: Collection[Mapping[str, Any]], old: Collection[Mapping[str, Any]]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Return which entity of the new device (entity_id) follows which of the old one, and those left over.

    They are the same if domain, device class and the integration's name for them are; else if they are the only ones
    of their domain and device class on both sides.
    """
    pairs: list[tuple[str, str]] = []
    left_new, left_old = list(new), list(old)
    for key_of in (_full_key, _kind_key):
        by_old = _only(left_old, key_of)
        by_new = _only(left_new, key_of)
        both = [key for key in by_new if key in by_old]
        pairs += [(str(by_new[key]["entity_id"]), str(by_old[key]["entity_id"])) for key in both]
        left_new = [row for row in left_new if key_of(row) not in both]
        left_old = [row for row in left_old if key_of(row) not in both]
    return pairs, [str(row["entity_id"]) for row in left_new]


def _full_key(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (*_kind_key(row), str(row.get("translation_key") or row.get("original_name") or ""))


def _kind_key(row: Mapping[str, Any]) -> tuple[str, ...]:
    capabilities = row.get("capabilities")
    device_class = capabilities.get("device_class") if isinstance(capabilities, dict) else None
    return domain_of(str(row["entity_id"])), str(device_class or "")


def _only(rows: Iterable[Mapping[str, Any]], key_of: Any) -> dict[tuple[str, ...], Mapping[str, Any]]:
    """Return the rows whose key no other row has."""
    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(key_of(row), []).append(row)
    return {key: same[0] for key, same in found.items() if len(same) == 1}
