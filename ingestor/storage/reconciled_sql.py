"""Reconciled hours in the metadata database: shared by all processes, one row an hour of a home."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final

import sqlalchemy as sa

from ingestor.storage.database import database_errors, reading
from ingestor.storage.port import HOUR_US
from ingestor.storage.reconciled import ENDED, HourState, ReconciledHour, Reconciliation

METADATA: Final = sa.MetaData()
HOURS: Final = sa.Table(
    "reconciled_hours",
    METADATA,
    sa.Column("home", sa.String(255), primary_key=True),
    sa.Column("hour_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("expected", sa.BigInteger, nullable=True),
    sa.Column("stored", sa.BigInteger, nullable=True),
    sa.Column("compared", sa.BigInteger, nullable=True),
    sa.Column("missing", sa.BigInteger, nullable=False),
    sa.Column("surplus", sa.BigInteger, nullable=False),
    sa.Column("repaired", sa.BigInteger, nullable=False),
    sa.Column("entities", sa.JSON, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("gap_id", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("progress", sa.JSON, nullable=False),
    sa.Column("checked_us", sa.BigInteger, nullable=False),
)
_ENDED: Final = [state.value for state in ENDED]
_Hours = list[ReconciledHour]  # within the class `list` is a method
_Summaries = list[Reconciliation]


class SqlReconciledHours:
    """Hours in SQLite or PostgreSQL."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def save(self, hour: ReconciledHour) -> None:
        """Keep an hour. One process at a time works on a home. Raises StoreUnavailable."""
        chosen = (HOURS.c.home == hour.home) & (HOURS.c.hour_us == hour.hour_us)
        with database_errors(), self._engine.begin() as connection:
            if not connection.execute(sa.update(HOURS).where(chosen).values(_values(hour))).rowcount:
                connection.execute(sa.insert(HOURS).values(_values(hour)))

    def list(
        self, *, home: str | None = None, since_us: int = 0, unended_only: bool = False, limit: int = 1000
    ) -> _Hours:
        """Return hours, newest first. Raises StoreUnavailable."""
        query = sa.select(HOURS).where(HOURS.c.hour_us >= since_us)
        if home is not None:
            query = query.where(HOURS.c.home == home)
        if unended_only:
            query = query.where(HOURS.c.state.not_in(_ENDED))
        query = query.order_by(HOURS.c.hour_us.desc(), HOURS.c.home).limit(limit)
        with reading(self._engine) as connection:
            return [_hour(row) for row in connection.execute(query).mappings()]

    def summaries(self) -> _Summaries:
        """Return every home that has hours. Raises StoreUnavailable."""
        waits = HOURS.c.state.not_in(_ENDED)
        lacks = HOURS.c.state == HourState.MISSING.value
        query = (
            sa.select(
                HOURS.c.home,
                sa.func.min(HOURS.c.hour_us),
                sa.func.coalesce(
                    sa.func.min(sa.case((waits, HOURS.c.hour_us))), sa.func.max(HOURS.c.hour_us) + HOUR_US
                ),
                sa.func.count(),
                sa.func.sum(sa.case((waits, 1), else_=0)),
                sa.func.sum(sa.case((lacks, HOURS.c.missing), else_=0)),
                sa.func.sum(HOURS.c.repaired),
            )
            .group_by(HOURS.c.home)
            .order_by(HOURS.c.home)
        )
        with reading(self._engine) as connection:
            return [Reconciliation(row[0], *map(int, row[1:])) for row in connection.execute(query)]


def _values(hour: ReconciledHour) -> dict[str, Any]:
    values = {one.name: getattr(hour, one.name) for one in fields(hour)}
    return {
        **values,
        "state": hour.state.value,
        "entities": dict(hour.entities),
        "progress": dict(hour.progress),
    }


def _hour(row: sa.RowMapping) -> ReconciledHour:
    hour = ReconciledHour(**row)
    return replace(hour, state=HourState(hour.state))
