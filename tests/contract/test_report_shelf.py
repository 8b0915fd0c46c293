"""Where reports, alerts and deliveries rest: in SQLite and in PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from ingestor import errors
from ingestor.reports.counting import Counted
from ingestor.reports.shelf import Alert, DeliveryState, alert_parcel
from ingestor.reports.shelf_sql import SqlAlertBook, SqlOutbox, SqlReportShelf
from ingestor.storage.database import open_database
from ingestor.storage.port import ContextCount
from tests.fakes.report_home import DAY_US, example_report
from tests.servers_stores import PostgreSQL

FAR_US = 2**62


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    url = f"sqlite:///{tmp_path / 'metadata.sqlite'}"
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.create_database(f"shelf_{uuid.uuid4().hex[:8]}")
    engine = open_database(url)
    yield engine
    engine.dispose()


def test_a_report_is_kept_once_with_what_is_to_be_delivered_and_comes_back_as_it_was(database: sa.Engine) -> None:
    shelf, outbox, report = SqlReportShelf(database), SqlOutbox(database), example_report()

    assert shelf.save(report, ["webhook", "mail"])
    assert not shelf.save(report, ["mqtt"])

    assert shelf.find(report.id) == report
    assert [one.road for one in outbox.of(report.id)] == ["mail", "webhook"]
    (kept,) = shelf.list(home="home", period="weekly")
    assert (kept.id, kept.figures["score"], kept.figures["new_problems"]) == (report.id, report.score, 4)
    assert shelf.list(home="cabin") == []
    with pytest.raises(errors.NotFound, match="no report 'other'"):
        shelf.find("other")


def test_the_oldest_reports_of_a_kind_go_with_their_deliveries(database: sa.Engine) -> None:
    shelf, outbox, report = SqlReportShelf(database), SqlOutbox(database), example_report()
    for number in range(4):
        shelf.save(replace(report, id=f"r{number}", end_us=report.end_us + number * DAY_US), ["mail"])
    shelf.save(replace(report, id="daily", period="daily"), [])

    assert shelf.trim("home", "weekly", 2) == 2

    assert [one.id for one in shelf.list()] == ["r3", "r2", "daily"]
    assert {one.parcel for one in outbox.due(FAR_US)} == {"r2", "r3"}


def test_what_was_counted_for_a_report_waits_until_it_is_made(database: sa.Engine) -> None:
    shelf = SqlReportShelf(database)
    counted = Counted((ContextCount("sensor", 5, 4, 3, 2),), {"decimal_comma": 1})

    shelf.keep_piece("home", 0, DAY_US, Counted())
    shelf.keep_piece("home", 0, DAY_US, counted)

    assert shelf.piece("home", 0, DAY_US) == counted
    assert shelf.piece("home", 0, 2 * DAY_US) is None
    shelf.drop_pieces("home", DAY_US)
    assert shelf.piece("home", 0, DAY_US) is None


def test_an_alert_is_told_once_when_it_begins_and_once_when_it_is_over(database: sa.Engine) -> None:
    book, outbox = SqlAlertBook(database), SqlOutbox(database)
    alert = Alert("home", "poor-data", 1000, None, "score", 71.0, "The home's score is 71, below 80.")
    over = replace(alert, over_us=2000, value=90.0, sentence="Over: the home's score is 90 again.")

    for _ in range(2):
        book.note(alert, ["mail"])
    assert book.open("home") == [alert]
    for _ in range(2):
        book.note(over, ["mail"])

    assert book.open("home") == []
    assert book.list(home="home") == [over]
    assert {one.parcel for one in outbox.due(FAR_US)} == {alert_parcel(alert), alert_parcel(over)}
    assert book.find(alert_parcel(over)) == over
    assert book.find(alert_parcel(alert)).over_us is None
    with pytest.raises(errors.NotFound):
        book.find("home-other-5-raised")


def test_deliveries_come_up_when_they_are_due_until_they_end(database: sa.Engine) -> None:
    shelf, outbox, report = SqlReportShelf(database), SqlOutbox(database), example_report()
    shelf.save(report, ["mail", "webhook", "mqtt"])
    mail, mqtt, webhook = outbox.of(report.id)

    outbox.set(replace(mail, state=DeliveryState.DELIVERED, tries=1))
    outbox.set(replace(mqtt, state=DeliveryState.UNDELIVERED, error="no one"))
    outbox.set(replace(webhook, tries=1, next_us=FAR_US))

    assert outbox.due(FAR_US - 1) == []
    assert [one.road for one in outbox.due(FAR_US)] == ["webhook"]
    assert outbox.counts() == {"waiting": 1, "undelivered": 1}
    assert outbox.of(report.id)[1].error == "no one"
