"""The tasks `upkeep`: keep the ledger and what was observed, settle late causes, fold dead workers' metrics."""

from __future__ import annotations

import time
from collections.abc import Collection

import structlog
from celery import shared_task

from ingestor import errors, metrics, metrics_files
from ingestor.enrichment.opening import USUAL_FIELDS
from ingestor.events.observed import ObservedPage
from ingestor.home.traces.requests import note_started
from ingestor.home.usual import publish_usual, usual_is_due
from ingestor.pipeline.ledger import bring_in
from ingestor.queue import names
from ingestor.storage.context_fields import ContextFields
from tasks.asking import ask_if_possible
from tasks.fetching import send_fetch
from tasks.resources import Resources, resources
from tasks.retention import delete_outdated, oldest_kept_ns

_log = structlog.get_logger("tasks")


@shared_task(name=names.KEEP_LEDGER)
def keep_ledger() -> None:
    """Bring what the listeners counted into the database."""
    held = resources()
    try:
        bring_in(held.ledger_post, held.ledger)
    except errors.IngestorError as error:
        # Nothing is lost by it: the pages wait, and what is counted meanwhile waits with the listeners.
        _log.warning("ledger_not_kept", error=str(error), kind=type(error).__name__)


@shared_task(name=names.KEEP_OBSERVED)
def keep_observed() -> None:
    """Bring what the workers observed into the database."""
    held = resources()
    try:
        while pages := held.observed_post.waiting():
            held.observed.add(pages)
            held.observed_post.confirm(pages)
            _fetch_traces(pages)
            _tell_usual(held, {page.home for page in pages if page.activity})
    except errors.IngestorError as error:
        # Nothing is lost by it: the pages wait, and a page counts once.
        _log.warning("observed_not_kept", error=str(error), kind=type(error).__name__)


def _fetch_traces(pages: list[ObservedPage]) -> None:
    """Have the runs fetched of what was seen to start: Home Assistant keeps few of them."""
    homes = {page.home for page in pages if page.started}
    for home in homes:
        note_started(resources().state, home, {name for page in pages if page.home == home for name in page.started})
        send_fetch(home)


def _tell_usual(held: Resources, homes: Collection[str]) -> None:
    """Tell the workers what is usual by now, where a point is to say so."""
    if not ContextFields(held.settings.storage.context_fields).wants_any(*USUAL_FIELDS):
        return
    for home in homes:
        if usual_is_due(held.state, home):
            publish_usual(held.state, home, held.observed.patterns(home))


@shared_task(name=names.TRIM_OBSERVED)
def trim_observed() -> None:
    """Let go what is more than is kept of what was observed of a home, and of the ledger's books."""
    try:
        resources().observed.trim()
        resources().ledger.trim()
    except errors.Transient as error:
        _log.warning("observed_not_trimmed", error=str(error))


@shared_task(name=names.RETAIN)
def retain() -> None:
    """Delete events that are older than they are to be kept, where somebody has set that; more is enqueued."""
    if delete_outdated(resources()):
        ask_if_possible(names.RETAIN, names.TaskType.UPKEEP, expires_s=60)


@shared_task(name=names.SETTLE_CAUSES)
def settle_causes() -> None:
    """Look again for causes that were not known when their events were written, and write those that are now."""
    held = resources()
    for home in held.settings.all_homes():
        try:
            found = held.late_causes.settle(home.name, time.time)
        except errors.IngestorError as error:
            # Nothing is lost by it: who waits goes on waiting, and the last look comes late rather than never.
            _log.warning("causes_not_settled", home=home.name, error=str(error), kind=type(error).__name__)
            continue
        if found.settled or found.given_up:
            metrics.counter("ingestor_late_causes_total", outcome="settled").inc(found.settled)
            metrics.counter("ingestor_late_causes_total", outcome="given_up").inc(found.given_up)
            _log.info("causes_settled", home=home.name, settled=found.settled, given_up=found.given_up)


@shared_task(name=names.KEEP_HOUSE)
def keep_house() -> None:
    """Fold metric files of processes that ended into one (rule 27); let go what is too old for the quarantine."""
    folded = metrics_files.fold_dead(resources().settings.data_dir / "metrics")
    if folded:
        _log.info("metrics_folded", files=folded)
    _expire()


def _expire() -> None:
    before_ns = oldest_kept_ns(resources())
    if before_ns is None:
        return
    try:
        resources().quarantine.expire(before_ns)
    except errors.Transient as error:
        _log.warning("quarantine_not_expired", error=str(error))
