"""Reports, alerts and deliveries in the metadata database: shared by all processes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import msgspec
import sqlalchemy as sa
import zstandard
from sqlalchemy.dialects import postgresql, sqlite

from ingestor import errors
from ingestor.reports.counting import Counted
from ingestor.reports.document import Report
from ingestor.reports.figures import figures_of
from ingestor.reports.render import packed, unpacked
from ingestor.reports.shelf import Alert, Delivery, DeliveryState, KeptReport, Kind, alert_parcel
from ingestor.storage.database import database_errors, reading

METADATA: Final = sa.MetaData()
REPORTS: Final = sa.Table(
    "quality_reports",
    METADATA,
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("home", sa.String(255), nullable=False),
    sa.Column("period", sa.String(16), nullable=False),
    sa.Column("start_us", sa.BigInteger, nullable=False),
    sa.Column("end_us", sa.BigInteger, nullable=False),
    sa.Column("made_us", sa.BigInteger, nullable=False),
    sa.Column("figures", sa.JSON, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Index("quality_reports_by_end", "home", "period", "end_us"),
)
PIECES: Final = sa.Table(
    "quality_report_pieces",
    METADATA,
    sa.Column("home", sa.String(255), primary_key=True),
    sa.Column("start_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("end_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("counted", sa.LargeBinary, nullable=False),
    sa.Column("counted_us", sa.BigInteger, nullable=False),
)
ALERTS: Final = sa.Table(
    "quality_alerts",
    METADATA,
    sa.Column("home", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("since_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("over_us", sa.BigInteger, nullable=True),
    sa.Column("subject", sa.String(16), nullable=False),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("sentence", sa.Text, nullable=False),
)
DELIVERIES: Final = sa.Table(
    "quality_deliveries",
    METADATA,
    sa.Column("parcel", sa.String(255), primary_key=True),
    sa.Column("road", sa.String(16), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("home", sa.String(255), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("asked_us", sa.BigInteger, nullable=False),
    sa.Column("next_us", sa.BigInteger, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Index("quality_deliveries_by_state", "state", "next_us"),
)
_HEAD: Final = [column for column in REPORTS.c if column.name != "document"]
_Kept = list[KeptReport]  # within the class `list` is a method
_Alerts = list[Alert]


class _Sql:
    """What the three have in common: the database, and how it inserts what may be there."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._insert: Any = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    def _ask_for(self, connection: sa.Connection, parcel: str, kind: Kind, home: str, roads: Sequence[str]) -> None:
        now_us = time.time_ns() // 1000
        for road in roads:
            delivery = Delivery(parcel, road, kind, home, DeliveryState.WAITING, 0, now_us, now_us)
            row = {**asdict(delivery), "state": delivery.state.value}
            connection.execute(self._insert(DELIVERIES).values(row).on_conflict_do_nothing())


class SqlReportShelf(_Sql):
    """Reports in SQLite or PostgreSQL; a document is kept compressed."""

    def save(self, report: Report, roads: Sequence[str]) -> bool:
        """Keep a report and what is to become of it, in one transaction; False where it is there."""
        row = {
            "id": report.id,
            "home": report.home,
            "period": report.period,
            "start_us": report.start_us,
            "end_us": report.end_us,
            "made_us": report.made_us,
            "figures": figures_of(report),
            "document": zstandard.compress(packed(report)),
        }
        with database_errors(), self._engine.begin() as connection:
            new = self._insert(REPORTS).values(row).on_conflict_do_nothing().returning(REPORTS.c.id)
            if connection.execute(new).first() is None:
                return False
            self._ask_for(connection, report.id, "report", report.home, roads)
        return True

    def find(self, report_id: str) -> Report:
        """Return a report. Raises NotFound and StoreUnavailable."""
        query = sa.select(REPORTS.c.document).where(REPORTS.c.id == report_id)
        with reading(self._engine) as connection:
            found = connection.execute(query).scalar()
        if found is None:
            raise errors.NotFound(f"there is no report {report_id!r}: `ha-ingestor quality reports list` names them")
        return unpacked(zstandard.decompress(found))

    def list(self, *, home: str | None = None, period: str | None = None, limit: int = 100) -> _Kept:
        """Return reports, the newest first."""
        query = sa.select(*_HEAD).order_by(REPORTS.c.end_us.desc(), REPORTS.c.id).limit(limit)
        if home is not None:
            query = query.where(REPORTS.c.home == home)
        if period is not None:
            query = query.where(REPORTS.c.period == period)
        with reading(self._engine) as connection:
            return [KeptReport(**row) for row in connection.execute(query).mappings()]

    def trim(self, home: str, period: str, keep: int) -> int:
        """Let all but the newest go, with what is told of their delivery."""
        own = (REPORTS.c.home == home) & (REPORTS.c.period == period)
        with database_errors(), self._engine.begin() as connection:
            query = sa.select(REPORTS.c.id).where(own).order_by(REPORTS.c.end_us.desc()).offset(keep).limit(10_000)
            old = list_of(connection.execute(query).scalars())
            if old:
                connection.execute(sa.delete(REPORTS).where(REPORTS.c.id.in_(old)))
                connection.execute(sa.delete(DELIVERIES).where(DELIVERIES.c.parcel.in_(old)))
        return len(old)

    def piece(self, home: str, start_us: int, end_us: int) -> Counted | None:
        """Return what was counted."""
        own = (PIECES.c.home == home) & (PIECES.c.start_us == start_us) & (PIECES.c.end_us == end_us)
        with reading(self._engine) as connection:
            found = connection.execute(sa.select(PIECES.c.counted).where(own)).scalar()
        return None if found is None else msgspec.json.decode(found, type=Counted)

    def keep_piece(self, home: str, start_us: int, end_us: int, counted: Counted) -> None:
        """Keep what was counted."""
        now = {"counted": msgspec.json.encode(counted), "counted_us": time.time_ns() // 1000}
        insert = self._insert(PIECES).values(home=home, start_us=start_us, end_us=end_us, **now)
        with database_errors(), self._engine.begin() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["home", "start_us", "end_us"], set_=now))

    def drop_pieces(self, home: str, end_us: int) -> None:
        """Forget what was counted up to a time."""
        with database_errors(), self._engine.begin() as connection:
            connection.execute(sa.delete(PIECES).where((PIECES.c.home == home) & (PIECES.c.end_us <= end_us)))


def list_of(found: Any) -> list[str]:
    """Return what was found as a list of texts."""
    return [str(one) for one in found]


class SqlAlertBook(_Sql):
    """Alerts in SQLite or PostgreSQL."""

    def open(self, home: str) -> _Alerts:
        """Return the alerts that are not over."""
        return self._select(sa.select(ALERTS).where((ALERTS.c.home == home) & ALERTS.c.over_us.is_(None)))

    def note(self, alert: Alert, roads: Sequence[str]) -> None:
        """Keep how an alert is; that it began or is over goes by these roads, once each."""
        row = asdict(alert)
        changes = {name: row[name] for name in ("over_us", "value", "sentence")}
        insert = self._insert(ALERTS).values(row)
        with database_errors(), self._engine.begin() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["home", "name", "since_us"], set_=changes))
            self._ask_for(connection, alert_parcel(alert), "alert", alert.home, roads)

    def list(self, *, home: str | None = None, limit: int = 100) -> _Alerts:
        """Return alerts, the newest first."""
        query = sa.select(ALERTS).order_by(ALERTS.c.since_us.desc(), ALERTS.c.name).limit(limit)
        return self._select(query if home is None else query.where(ALERTS.c.home == home))

    def find(self, parcel: str) -> Alert:
        """Return the alert of a parcel as it was told then. Raises NotFound."""
        start, _, ended = parcel.rpartition("-")
        start, _, since = start.rpartition("-")
        if since.isdecimal():
            for alert in self._select(sa.select(ALERTS).where(ALERTS.c.since_us == int(since))):
                if alert_parcel(alert) == parcel:
                    return alert
                if ended == "raised" and alert_parcel(replace(alert, over_us=None)) == parcel:
                    return replace(alert, over_us=None)
        raise errors.NotFound(f"there is no alert {parcel!r}")

    def _select(self, query: Any) -> _Alerts:
        with reading(self._engine) as connection:
            return [Alert(**row) for row in connection.execute(query).mappings()]


class SqlOutbox(_Sql):
    """Deliveries in SQLite or PostgreSQL."""

    def due(self, now_us: int, limit: int = 50) -> Sequence[Delivery]:
        """Return what is to be tried now, what waits longest first."""
        waits = (DELIVERIES.c.state == DeliveryState.WAITING.value) & (DELIVERIES.c.next_us <= now_us)
        return self._select(sa.select(DELIVERIES).where(waits).order_by(DELIVERIES.c.next_us).limit(limit))

    def set(self, delivery: Delivery) -> None:
        """Keep how a delivery is now."""
        own = (DELIVERIES.c.parcel == delivery.parcel) & (DELIVERIES.c.road == delivery.road)
        with database_errors(), self._engine.begin() as connection:
            connection.execute(
                sa.update(DELIVERIES).where(own).values({**asdict(delivery), "state": delivery.state.value})
            )

    def of(self, parcel: str) -> Sequence[Delivery]:
        """Return the deliveries of a parcel."""
        return self._select(sa.select(DELIVERIES).where(DELIVERIES.c.parcel == parcel).order_by(DELIVERIES.c.road))

    def counts(self) -> dict[str, int]:
        """Return how many wait, and how many are undelivered."""
        query = sa.select(DELIVERIES.c.state, sa.func.count()).group_by(DELIVERIES.c.state)
        with reading(self._engine) as connection:
            found = {str(state): int(count) for state, count in connection.execute(query)}
        return {state.value: found.get(state.value, 0) for state in (DeliveryState.WAITING, DeliveryState.UNDELIVERED)}

    def _select(self, query: Any) -> list[Delivery]:
        with reading(self._engine) as connection:
            return [
                Delivery(**{**row, "state": DeliveryState(row["state"])})
                for row in connection.execute(query).mappings()
            ]
