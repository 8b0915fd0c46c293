"""The part of the composition root that is about quality: what judges the hours of a home, compares and reports them.

Imports stand inside the functions, as in `bootstrap`: not every process needs all of it.
"""
# ruff: noqa: PLC0415 -- see above

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestor import bootstrap

if TYPE_CHECKING:
    import redis
    import sqlalchemy

    from ingestor.home.facts import HomeFacts
    from ingestor.live.feed import LiveFeed
    from ingestor.pipeline.quality_hours import HourRoller
    from ingestor.pipeline.reconcile import Reconciler
    from ingestor.quality.book_sql import SqlQualityBook
    from ingestor.reports.deliver import PostOffice
    from ingestor.reports.making import ReportMaker
    from ingestor.reports.shelf import AlertBook, Outbox, ReportShelf
    from ingestor.settings import HomeSettings, Settings
    from ingestor.storage.port import Store
    from ingestor.storage.reconciled import ReconciledHours


def open_reconciled_hours(settings: Settings, database: sqlalchemy.Engine | None = None) -> ReconciledHours:
    """Open what reconciliation found, in the metadata database."""
    from ingestor.storage.reconciled_sql import SqlReconciledHours

    return SqlReconciledHours(database or bootstrap.open_metadata(settings))


def open_reconciler(
    settings: Settings,
    home: HomeSettings,
    *,
    store: Store,
    state: redis.Redis[bytes],
    database: sqlalchemy.Engine,
) -> Reconciler:
    """Put together what compares a home's hours with its store, its ledger and its history."""
    from ingestor.pipeline.reconcile_home import Opened, home_reconciler
    from ingestor.queue.status_board import StatusBoard

    opened = Opened(
        settings=settings,
        store=store,
        state=state,
        database=database,
        hours=open_reconciled_hours(settings, database),
        gaps=bootstrap.open_gaps(settings, database),
        ledger=bootstrap.open_ledger(settings, database),
        board=StatusBoard(state).read,
    )
    return home_reconciler(home, opened)


def open_report_maker(
    settings: Settings, home: str, *, store: Store, database: sqlalchemy.Engine, time_zone: str = ""
) -> ReportMaker:
    """Put together what makes the reports of a home."""
    from ingestor.reports.making import ReportMaker
    from ingestor.reports.opening import open_sources
    from ingestor.reports.shelf_sql import SqlReportShelf

    sources = open_sources(
        open_quality_book(settings, database),
        bootstrap.open_ledger(settings, database),
        bootstrap.open_gaps(settings, database),
        bootstrap.open_quarantine(settings, database),
    )
    judged = settings.quality.over_time.enabled and settings.storage.schema_ != "home-assistant"
    return ReportMaker(home, settings.reports, sources, store, SqlReportShelf(database), time_zone, judged)


def open_report_shelf(settings: Settings, database: sqlalchemy.Engine | None = None) -> ReportShelf:
    """Open the reports that are kept, in the metadata database."""
    from ingestor.reports.shelf_sql import SqlReportShelf

    return SqlReportShelf(database or bootstrap.open_metadata(settings))


def open_alert_book(settings: Settings, database: sqlalchemy.Engine | None = None) -> AlertBook:
    """Open the alerts in the metadata database."""
    from ingestor.reports.shelf_sql import SqlAlertBook

    return SqlAlertBook(database or bootstrap.open_metadata(settings))


def open_outbox(settings: Settings, database: sqlalchemy.Engine | None = None) -> Outbox:
    """Open what is to be delivered, in the metadata database."""
    from ingestor.reports.shelf_sql import SqlOutbox

    return SqlOutbox(database or bootstrap.open_metadata(settings))


def open_post_office(settings: Settings, database: sqlalchemy.Engine) -> PostOffice:
    """Open what delivers reports and alerts."""
    from ingestor.reports.opening import open_post_office as opened

    return opened(settings.reports, database)


def open_hour_roller(
    settings: Settings,
    home: HomeSettings,
    *,
    store: Store,
    state: redis.Redis[bytes],
    database: sqlalchemy.Engine,
    facts: HomeFacts,
    feed: LiveFeed | None = None,
) -> HourRoller:
    """Put together what judges a home's hours, one after the other."""
    from ingestor.pipeline.quality_home import Means, home_roller
    from ingestor.queue.status_board import StatusBoard

    means = Means(
        settings=settings,
        store=store,
        state=state,
        database=database,
        gaps=bootstrap.open_gaps(settings, database),
        facts=facts,
        board=StatusBoard(state).read,
        feed=feed,
    )
    return home_roller(home, means)


def open_quality_book(settings: Settings, database: sqlalchemy.Engine | None = None) -> SqlQualityBook:
    """Open what was found of the homes over time, in the metadata database."""
    from ingestor.quality.book_sql import SqlQualityBook

    return SqlQualityBook(database or bootstrap.open_metadata(settings))
