"""The task `registry`: reads areas, devices and entities of a home and publishes its map."""

from __future__ import annotations

from typing import Final

import structlog
from celery import current_app, shared_task

from ingestor import errors
from ingestor.queue import names
from tasks.resources import resources

_SOON_S: Final = 50
_log = structlog.get_logger("tasks")


@shared_task(name=names.SYNC_REGISTRY)
def sync_registry(home: str) -> None:
    """Sync one home's map; one at a time for a home. A home that is away is tried again by beat."""
    held = resources()
    wanted = held.settings.home_named(home)
    if wanted is None:
        _log.warning("home_unknown", home=home)
        return
    try:
        diff = held.sync_home(wanted)
    except errors.IngestorError as error:
        _log.warning("registry_sync_failed", home=home, error=str(error), kind=type(error).__name__)
        return
    _log.info("registry_synced", home=home, diff=str(diff))
    # It says where the home is: from the first sync on its weather can be asked.
    current_app.send_task(names.REFRESH_WEATHER, args=[home], queue=names.TaskType.WEATHER.value, expires=_SOON_S)


@shared_task(name=names.SYNC_ALL)
def sync_all() -> None:
    """Enqueue a sync of every home."""
    for home in resources().settings.all_homes():
        current_app.send_task(names.SYNC_REGISTRY, args=[home.name], queue=names.TaskType.REGISTRY.value)
