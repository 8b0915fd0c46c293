"""Puts together what makes, keeps and delivers reports; knows the database, nothing of when."""

from __future__ import annotations

import sqlalchemy as sa

from ingestor.quality.model import QualityBook
from ingestor.quality.rules import RULES
from ingestor.reports.deliver import PostOffice
from ingestor.reports.gather import Causes, Sources
from ingestor.reports.roads import open_roads
from ingestor.reports.shelf_sql import SqlAlertBook, SqlOutbox, SqlReportShelf
from ingestor.settings_reports import ReportsSettings
from ingestor.storage.gaps import Gaps
from ingestor.storage.ledger import Ledger


def open_sources(book: QualityBook, ledger: Ledger, gaps: Gaps, quarantine: Causes) -> Sources:
    """Return where reports read."""
    return Sources(book, ledger, gaps, quarantine, {rule.name: rule.reason for rule in RULES})


def open_post_office(settings: ReportsSettings, database: sa.Engine) -> PostOffice:
    """Return what delivers reports and alerts by the roads that are set."""
    return PostOffice(
        outbox=SqlOutbox(database),
        shelf=SqlReportShelf(database),
        alerts=SqlAlertBook(database),
        roads=open_roads(settings),
        give_up_h=settings.give_up_h,
    )
