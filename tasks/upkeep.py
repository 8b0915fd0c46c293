"""The task `upkeep`: folds the metrics of dead workers and keeps small things tidy."""

from __future__ import annotations

import structlog
from celery import shared_task

from ingestor import metrics_files
from ingestor.queue import names
from tasks.resources import resources

_log = structlog.get_logger("tasks")


@shared_task(name=names.KEEP_HOUSE)
def keep_house() -> None:
    """Fold metric files of processes that ended into one (rule 27)."""
    folded = metrics_files.fold_dead(resources().settings.data_dir / "metrics")
    if folded:
        _log.info("metrics_folded", files=folded)
