"""Gaps in the metadata database: shared by all processes, one row a gap."""

from __future__ import annotations

import time
from dataclasses import fields, replace
from typing import Any, Final

import sqlalchemy as sa

from ingestor.storage.database import database_errors, reading
from ingestor.storage.gaps import ENDED, GapRecord, GapState, observed

METADATA: Final = sa.MetaData()
GAPS: Final = sa.Table(
    "gaps",
    METADATA,
    sa.Column("gap_id", sa.String(255), primary_key=True),
    sa.Column("home", sa.Text, nullable=False),
    sa.Column("listener", sa.Text, nullable=False),
    sa.Column("reason", sa.String(64), nullable=False),
    sa.Column("start_us", sa.BigInteger, nullable=False),
    sa.Column("end_us", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("event_types", sa.JSON, nullable=False),
    sa.Column("lost", sa.JSON, nullable=False),
    sa.Column("counts", sa.JSON, nullable=False),
    sa.Column("progress", sa.JSON, nullable=False),
    sa.Column("updated_us", sa.BigInteger, nullable=False),
    sa.Column("entities", sa.JSON, nullable=False),
    sa.Index("gaps_start", "start_us"),
)
#: What only who fills a gap changes.
_OF_FILLING: Final = ("state", "why", "lost", "counts", "progress", "updated_us")
_Records = list[GapRecord]  # within the class `list` is a method


class SqlGaps:
    """Gaps in SQLite or PostgreSQL."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def observe(self, gap: GapRecord) -> None:
        """Take in what a listener tells. Raises StoreUnavailable."""
        with database_errors(), self._engine.begin() as connection:
            row = connection.execute(_row_of(gap.gap_id).with_for_update()).mappings().first()
            known = _record(row) if row else None
            kept = observed(known, gap)
            if known is None:
                connection.execute(sa.insert(GAPS).values(_values(kept)))
            elif kept != known:
                connection.execute(_update(gap.gap_id).values(_values(kept)))

    def save(self, gap: GapRecord) -> None:
        """Keep what became of a gap's filling, unless it has grown meanwhile. Raises StoreUnavailable."""
        values = {name: value for name, value in _values(gap).items() if name in _OF_FILLING}
        with database_errors(), self._engine.begin() as connection:
            connection.execute(_update(gap.gap_id).where(GAPS.c.end_us == gap.end_us).values(values))

    def find(self, gap_id: str) -> GapRecord | None:
        """Return a gap. Raises StoreUnavailable."""
        with reading(self._engine) as connection:
            row = connection.execute(_row_of(gap_id)).mappings().first()
        return _record(row) if row else None

    def list(
        self, *, home: str | None = None, since_us: int = 0, unended_only: bool = False, limit: int = 1000
    ) -> _Records:
        """Return gaps, newest start first. Raises StoreUnavailable."""
        query = sa.select(GAPS).where(sa.or_(GAPS.c.end_us == 0, GAPS.c.end_us >= since_us))
        if home is not None:
            query = query.where(GAPS.c.home == home)
        if unended_only:
            query = query.where(GAPS.c.state.not_in([state.value for state in ENDED]))
        query = query.order_by(GAPS.c.start_us.desc(), GAPS.c.gap_id.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [_record(row) for row in connection.execute(query).mappings()]


def _row_of(gap_id: str) -> sa.Select[Any]:
    return sa.select(GAPS).where(GAPS.c.gap_id == gap_id)


def _update(gap_id: str) -> sa.Update:
    return sa.update(GAPS).where(GAPS.c.gap_id == gap_id)


def _values(gap: GapRecord) -> dict[str, Any]:
    values = {one.name: getattr(gap, one.name) for one in fields(gap)}
    return {
        **values,
        "state": gap.state.value,
        "event_types": list(gap.event_types),
        "lost": dict(gap.lost),
        "counts": dict(gap.counts),
        "progress": dict(gap.progress),
        "updated_us": time.time_ns() // 1000,
        "entities": list(gap.entities),
    }


def _record(row: sa.RowMapping) -> GapRecord:
    gap = GapRecord(**row)
    return replace(gap, state=GapState(gap.state), event_types=tuple(gap.event_types), entities=tuple(gap.entities))
