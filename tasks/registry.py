"""The task `registry`: reads areas, devices and entities of a home and publishes its map."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from celery import shared_task

from ingestor import errors
from ingestor.home.objects_store import RegistryObjects
from ingestor.home.traces.model import Run
from ingestor.home.traces.sync import item_ids, run_fetch
from ingestor.live.feed import LiveFeed
from ingestor.live.runs import run_notices
from ingestor.queue import names
from tasks.asking import ask_if_possible
from tasks.fetching import SOON_S, send_fetch
from tasks.resources import resources

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
    ask_if_possible(names.REFRESH_WEATHER, names.TaskType.WEATHER, home, expires_s=SOON_S)


@shared_task(name=names.FETCH_TRACES)
def fetch_traces(home: str, whole: bool = False) -> None:
    """Fetch the runs of what has just run in a home, or of all of it; one fetching at a time for a home."""
    held = resources()
    wanted = held.settings.home_named(home)
    if wanted is None:
        return
    try:
        fetched = run_fetch(wanted, held.settings.registry, held.state, held.database, whole=whole)
    except errors.IngestorError as error:
        # Nothing is lost by it but what Home Assistant forgets until the next time.
        _log.warning("traces_not_fetched", home=home, error=str(error), kind=type(error).__name__)
        return
    if fetched.runs and held.live_feed is not None:
        _tell(held.live_feed, home, fetched.runs)
    if fetched.new or fetched.left:
        _log.info("traces_fetched", home=home, new=fetched.new, left=fetched.left)
    if fetched.left:
        send_fetch(home, whole=whole)


def _tell(feed: LiveFeed, home: str, runs: Sequence[Run]) -> None:
    """Tell those who listen how automations ended; they are kept whether or not anybody hears of it."""
    try:
        ids = item_ids(RegistryObjects(resources().database), home)
    except errors.IngestorError as error:
        _log.warning("runs_not_told", home=home, error=str(error), kind=type(error).__name__)
        return
    feed.notify(home, run_notices(home, runs, {item: entity_id for entity_id, item in ids.items()}))


@shared_task(name=names.FETCH_ALL_TRACES)
def fetch_all_traces() -> None:
    """Enqueue a fetching of all runs of every home: finds those that took long, and those that nobody saw."""
    for home in resources().settings.all_homes():
        send_fetch(home.name, whole=True)


@shared_task(name=names.SYNC_ALL)
def sync_all() -> None:
    """Enqueue a sync of every home."""
    for home in resources().settings.all_homes():
        ask_if_possible(names.SYNC_REGISTRY, names.TaskType.REGISTRY, home.name)
