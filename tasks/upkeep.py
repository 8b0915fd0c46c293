"""The tasks `upkeep`: keep the ledger and what was observed, fold dead workers' metrics, keep small things tidy."""

from __future__ import annotations

import time

import structlog
from celery import shared_task

from ingestor import errors, metrics_files
from ingestor.pipeline.ledger import bring_in
from ingestor.queue import names
from tasks.resources import resources

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
    except errors.IngestorError as error:
        # Nothing is lost by it: the pages wait, and a page counts once.
        _log.warning("observed_not_kept", error=str(error), kind=type(error).__name__)


@shared_task(name=names.TRIM_OBSERVED)
def trim_observed() -> None:
    """Let go what is more than is kept of what was observed of a home."""
    try:
        resources().observed.trim()
    except errors.Transient as error:
        _log.warning("observed_not_trimmed", error=str(error))


@shared_task(name=names.KEEP_HOUSE)
def keep_house() -> None:
    """Fold metric files of processes that ended into one (rule 27); let go what is too old for the quarantine."""
    folded = metrics_files.fold_dead(resources().settings.data_dir / "metrics")
    if folded:
        _log.info("metrics_folded", files=folded)
    _expire()


def _expire() -> None:
    max_age_s = resources().settings.quarantine.max_age_s
    if not max_age_s:
        return
    try:
        resources().quarantine.expire(time.time_ns() - int(max_age_s * 1e9))
    except errors.Transient as error:
        _log.warning("quarantine_not_expired", error=str(error))
