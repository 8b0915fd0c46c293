"""The tasks of reports: make what is due in short steps, watch thresholds, deliver; decides nothing itself."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import structlog
from celery import shared_task

from ingestor import bootstrap_quality, errors
from ingestor.queue import names
from ingestor.queue.locking import only_one
from ingestor.queue.state import state_errors
from ingestor.reports.figures import point_of
from ingestor.reports.gather import zone_of
from ingestor.reports.making import NotDone, ReportMaker
from ingestor.reports.schedule import due_reports
from ingestor.storage.breaker import GuardedStore
from tasks.asking import ask_if_possible, ask_once
from tasks.resources import Resources, resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingestor.reports.document import Report

_log: Final = structlog.get_logger("tasks")
#: With the longest answer of a store (12 s) a step stays below the soft limit (rule 19).
_STEP_S: Final = 8.0
_QUEUED_S: Final = 60
#: Longer than a task may take: who dies holds it no longer.
_LOCK_S: Final = 40.0


@shared_task(name=names.MAKE_REPORTS)
def make_all() -> None:
    """Enqueue a look at each home: is a report due?"""
    held = resources()
    for home in held.settings.all_homes():
        _ask(held, home.name)


@shared_task(name=names.MAKE_REPORT)
def make(home: str) -> None:
    """Make the reports of a home that are due; what there is no time for is enqueued."""
    held = resources()
    if held.settings.home_named(home) is None:
        return
    with _patient("report_not_made", home):
        with state_errors():
            held.state.delete(_queued_key(home))
        with only_one(held.state, f"reports:{home}", for_s=_LOCK_S) as mine:
            more = mine and _make(held, home)
        if more:
            _ask(held, home)


def _make(held: Resources, home: str) -> bool:
    """Make what is due; tell whether there is more to do."""
    until_s, now_us = time.monotonic() + _STEP_S, time.time_ns() // 1000
    maker = _maker(held, home)
    zone = zone_of(held.settings.reports.time_zone or maker.time_zone)
    for due in due_reports(held.settings.reports, now_us, zone):
        try:
            made = maker.due(due, now_us, lambda: time.monotonic() < until_s)
        except NotDone:
            return True
        if made is not None:
            _tell(held, made)
        if time.monotonic() > until_s:
            return True
    return False


def _tell(held: Resources, made: Report) -> None:
    """Write the report's head as a point, and have it delivered. It is kept already: neither may undo that."""
    _log.info("report_made", report=made.id, score=made.score, problems=len(made.troubles))
    try:
        GuardedStore(held.store, held.breaker).write([point_of(made)])
    except errors.IngestorError as error:
        _log.warning("report_point_not_written", report=made.id, error=str(error))
    if held.settings.reports.roads():
        ask_if_possible(names.DELIVER, names.TaskType.QUALITY, expires_s=_QUEUED_S)


@shared_task(name=names.WATCH_ALERTS)
def watch_alerts() -> None:
    """Raise alerts where thresholds are crossed, and say which are over."""
    held = resources()
    book = bootstrap_quality.open_alert_book(held.settings, held.database)
    changed = []
    for home in held.settings.all_homes():
        with _patient("alerts_not_watched", home.name):
            changed += _maker(held, home.name).watch(book, time.time_ns() // 1000)
    for alert in changed:
        event = "alert_raised" if alert.over_us is None else "alert_over"
        _log.warning(event, home=alert.home, alert=alert.name, sentence=alert.sentence)
    if changed and held.settings.reports.roads():
        ask_if_possible(names.DELIVER, names.TaskType.QUALITY, expires_s=_QUEUED_S)


@shared_task(name=names.DELIVER)
def deliver() -> None:
    """Try the deliveries that are due, one after another, as far as there is time."""
    held = resources()
    with _patient("not_delivered", ""), only_one(held.state, "reports:deliver", for_s=_LOCK_S) as mine:
        if not mine:
            return
        until_s = time.monotonic() + _STEP_S
        office = bootstrap_quality.open_post_office(held.settings, held.database)
        for delivery in office.outbox.due(time.time_ns() // 1000):
            office.deliver(delivery, time.time_ns() // 1000)
            if time.monotonic() > until_s:
                break


def _maker(held: Resources, home: str) -> ReportMaker:
    return bootstrap_quality.open_report_maker(
        held.settings, home, store=held.store, database=held.database, time_zone=_time_zone(held, home)
    )


def _time_zone(held: Resources, home: str) -> str:
    held.facts.refresh()
    return held.facts.facts(home).time_zone


@contextmanager
def _patient(event: str, home: str) -> Iterator[None]:
    """Log what goes wrong: beat comes again, and what was done is kept."""
    try:
        yield
    except errors.IngestorError as error:
        _log.warning(event, home=home, error=str(error), kind=type(error).__name__)


def _ask(held: Resources, home: str) -> None:
    with _patient("report_not_enqueued", home):
        ask_once(
            held.state,
            _queued_key(home),
            names.MAKE_REPORT,
            names.TaskType.QUALITY,
            home,
            in_s=0.0,
            expires_s=_QUEUED_S,
        )


def _queued_key(home: str) -> str:
    return f"ha_ingestor:reports:{home}:queued"
