"""Fetches the new runs of one home: those of what has just run, or of all; one fetching of a home at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import redis
import sqlalchemy as sa

from ingestor.home.asking import Connect, ask_home
from ingestor.home.objects_store import RegistryObjects
from ingestor.home.traces.fetching import DOMAINS, Fetched, fetch_traces
from ingestor.home.traces.model import Item
from ingestor.home.traces.requests import note_started, take_started, traces_lock
from ingestor.home.traces.store import RoutineTraces
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.settings import HomeSettings, RegistrySettings

_NOTHING: Final = Fetched()


def routine_traces(registry: RegistrySettings, database: sa.Engine) -> RoutineTraces:
    """Open the runs of automations and scripts, with the limits that the settings give them."""
    return RoutineTraces(database, keep_days=registry.traces_keep_days, keep_runs=registry.traces_keep_runs)


def run_fetch(
    home: HomeSettings,
    registry: RegistrySettings,
    state: redis.Redis[bytes],
    database: sa.Engine,
    *,
    whole: bool = False,
    connect: Connect = HomeAssistantClient,
) -> Fetched:
    """Fetch the runs of what has run since the last time, or of all.

    Raises HomeAssistantUnavailable, AuthenticationRefused, StateUnavailable, StoreUnavailable.
    """
    if not home.homeassistant.url or not registry.traces_keep_runs:
        return _NOTHING
    with traces_lock(state, home.name) as held:
        if not held:
            return _NOTHING
        started = take_started(state, home.name)
        if not started and not whole:
            return _NOTHING
        items = None if whole else _items(RegistryObjects(database), home.name, started)
        with ask_home(home, state, connect) as client:
            kept = routine_traces(registry, database)
            fetched = fetch_traces(home.name, client, kept, items, most=registry.traces_at_once)
        if fetched.left:
            note_started(state, home.name, started)
        return fetched


def _items(objects: RegistryObjects, home: str, started: Iterable[str]) -> list[Item] | None:
    """Return what these are for Home Assistant's traces; None, which means all, where one is not known yet."""
    ids = item_ids(objects, home)
    items = [ids.get(entity_id) for entity_id in started]
    known = [item for item in items if item is not None]
    return known if len(known) == len(items) else None


def item_ids(objects: RegistryObjects, home: str) -> dict[str, Item]:
    """Return by entity_id under which name Home Assistant keeps the runs of automations and scripts."""
    found = {}
    for domain in DOMAINS:
        for entity_id, row in objects.load(home, domain).get(domain, {}).items():
            config = row.get("config")
            item_id = row.get("id") or (config.get("id") if isinstance(config, dict) else None)
            if item_id is None and domain == "script":
                item_id = entity_id.partition(".")[2]  # what a script is called, until somebody renames its entity
            if item_id is not None:
                found[entity_id] = (domain, str(item_id))
    return found
