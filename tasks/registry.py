"""The task `registry`: reads areas, devices and entities of a home and publishes its map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import structlog
from celery import shared_task

from ingestor import errors
from ingestor.home.traces.requests import note_started
from ingestor.home.traces.sync import run_fetch
from ingestor.queue import names
from tasks.asking import ask_if_possible
from tasks.resources import resources

if TYPE_CHECKING:
    import redis

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
    ask_if_possible(names.REFRESH_WEATHER, names.TaskType.WEATHER, home, expires_s=_SOON_S)


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
    if fetched.new or fetched.left:
        _log.info("traces_fetched", home=home, new=fetched.new, left=fetched.left)
    if fetched.left:
        send_fetch(home, whole=whole)


def fetch_soon(state: redis.Redis[bytes], home: str, entity_ids: Sequence[str]) -> None:
    """Have the runs of these fetched at once: Home Assistant keeps few, and these run often."""
    try:
        note_started(state, home, entity_ids)
    except errors.StateUnavailable as error:
        # They are fetched with the others then, as far as Home Assistant still has them.
        _log.warning("traces_not_asked_for", home=home, error=str(error))
        return
    send_fetch(home)


@shared_task(name=names.FETCH_ALL_TRACES)
def fetch_all_traces() -> None:
    """Enqueue a fetching of all runs of every home: finds those that took long, and those that nobody saw."""
    for home in resources().settings.all_homes():
        send_fetch(home.name, whole=True)


def send_fetch(home: str, *, whole: bool = False) -> None:
    """Enqueue a fetching; one that is not begun soon is made up for by the next."""
    ask_if_possible(names.FETCH_TRACES, names.TaskType.REGISTRY, home, whole, expires_s=_SOON_S)


@shared_task(name=names.SYNC_ALL)
def sync_all() -> None:
    """Enqueue a sync of every home."""
    for home in resources().settings.all_homes():
        ask_if_possible(names.SYNC_REGISTRY, names.TaskType.REGISTRY, home.name)
