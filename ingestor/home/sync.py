"""Reads a home's registries, lays them over its history and publishes the new map; one at a time for a home.

The order makes any death harmless: the version is kept in the database as "not out yet", then published, then noted
as out. Found "not out yet" by the next sync, it is made anew, with a later effective time: a version must never be seen
later than its effective time, or events in between would be placed by the old one and, sent again, by the new one.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import redis
import sqlalchemy as sa
import structlog

from ingestor import errors
from ingestor.events.values import time_us
from ingestor.home.asking import Connect, ask_home
from ingestor.home.derive import Current, Registries, derive
from ingestor.home.facts_derive import derive_facts
from ingestor.home.facts_redis import facts_are_out, publish_facts
from ingestor.home.history import MapHistory, Record, Version, mapped_from_us
from ingestor.home.merge import Diff, Merger
from ingestor.home.model import ALWAYS_US, Snapshot
from ingestor.home.mqtt_entities import publish_mqtt_entities
from ingestor.home.objects import ObjectsDiff
from ingestor.home.objects_derive import derive_objects
from ingestor.home.objects_store import RegistryObjects
from ingestor.home.publication import Published, Publisher, RedisMaps
from ingestor.home.reading import Reading, SceneConfig, read_home
from ingestor.home.rendering import Rendering
from ingestor.home.requests import forget_request, note_answered, request_sync, sync_lock
from ingestor.home.watched import current_readings
from ingestor.home.watched_redis import publish_readings
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.homeassistant.rest import HomeAssistantRest
from ingestor.settings import HomeSettings, RegistrySettings

_ATTEMPTS: Final = 5
#: How long keeping and publishing may take in any case, whatever the settings say (µs).
_PATIENCE_US: Final = 500_000
#: How often a home that is being renamed is read again.
_READINGS: Final = 3
_log = structlog.get_logger(__name__)

#: Our own clock: Unix time in microseconds.
Clock = Callable[[], int]


def run_sync(
    home: HomeSettings,
    registry: RegistrySettings,
    state: redis.Redis[bytes],
    database: sa.Engine,
    *,
    connect: Connect = HomeAssistantClient,
) -> Diff:
    """Sync one home: lock, read, merge, keep, publish. A home without Home Assistant gets an empty map.

    Returns a Diff with `busy` where another sync of this home is running (it is asked for again then). Raises
    HomeAssistantUnavailable, AuthenticationRefused, StateUnavailable or StoreUnavailable.
    """
    with sync_lock(state, home.name) as held:
        if not held:
            request_sync(state, home.name)
            return Diff(busy=True)
        forget_request(state, home.name)
        began_s = time.time()
        if not home.homeassistant.url:
            diff = _sync_map(home, None, registry, state, database)
            note_answered(state, home.name, began_s)
            return diff
        with _refusal_noted(state, home.name, began_s), no_search_for_rings(), ask_home(home, state, connect) as client:
            registries = read_registries(client)
            current = derive(registries)
            diff = _sync_map(home, registries, registry, state, database, current=current)
            note_answered(state, home.name, began_s)
            kept = registry_objects(registry, database)

            def read(scene_config: SceneConfig) -> Reading:
                rendering = Rendering(client.render_template, registry.render_templates, _rendered(kept, home.name))
                return read_home(client, registries, scene_config, rendering)

            _sync_rest(home, (registries, current), read, state, kept)
        return diff


@contextmanager
def _refusal_noted(state: redis.Redis[bytes], home: str, began_s: float) -> Iterator[None]:
    """Note that a home which refuses us will not say more: nobody need wait for it."""
    try:
        yield
    except errors.AuthenticationRefused:
        note_answered(state, home, began_s)
        raise


def _rendered(kept: RegistryObjects, home: str) -> dict[str, Mapping[str, Any]]:
    rows = (row for kind in ("automation", "script") for row in kept.load(home, kind).get(kind, {}).values())
    return {text: one for row in rows for text, one in (row.get("rendered") or {}).items()}


@contextmanager
def no_search_for_rings() -> Iterator[None]:
    """Let Python's collector rest: it would walk a million objects of a large home again and again, a third of a sync.

    What a home answers has no references in a ring: it is freed as soon as nobody holds it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def registry_objects(registry: RegistrySettings, database: sa.Engine) -> RegistryObjects:
    """Open the objects of the homes, with the limits that the settings give their past."""
    return RegistryObjects(database, keep_days=registry.objects_keep_days, max_past_rows=registry.objects_max_past_rows)


def _sync_map(
    home: HomeSettings,
    registries: Registries | None,
    registry: RegistrySettings,
    state: redis.Redis[bytes],
    database: sa.Engine,
    *,
    current: Mapping[str, Current] | None = None,
) -> Diff:
    """Bring out the map, before anything else is read: events of a new entity wait for it."""
    publish_mqtt_entities(state, home.name, registries.entities if registries else ())
    history, publisher = MapHistory(database), RedisMaps(state)
    after_s = registry.effective_after_s
    return sync_home(home.name, registries, history, publisher, effective_after_s=after_s, current=current)


def _sync_rest(
    home: HomeSettings,
    known: tuple[Registries, Mapping[str, Current]],
    read: Callable[[SceneConfig], Reading],
    state: redis.Redis[bytes],
    kept: RegistryObjects,
) -> ObjectsDiff:
    """Read what is no place, bring out the facts and keep the objects.

    The map is out already: what fails here is put right by the next sync. While Home Assistant starts, the facts
    that were known before stand.
    """
    registries, current = known
    try:
        with HomeAssistantRest(home.homeassistant) as rest:
            reading = read(rest.scene_config)
        facts = derive_facts(home.name, registries, current, reading)
        if not (reading.starting and facts_are_out(state, home.name)) and publish_facts(state, facts):
            _log.info("facts_published", home=home.name, hidden=facts.hidden)
        publish_readings(state, home.name, current_readings(facts, registries.states))
        diff = kept.take(home.name, derive_objects(registries, reading))
    except errors.IngestorError as error:
        _log.warning("home_not_read_whole", home=home.name, error=str(error), kind=type(error).__name__)
        return ObjectsDiff()
    if diff:
        _log.info("objects_changed", home=home.name, **diff.counts())
    return diff


def sync_home(
    home: str,
    registries: Registries | None,
    history: MapHistory,
    publisher: Publisher,
    *,
    effective_after_s: float,
    clock: Clock = lambda: time.time_ns() // 1000,
    current: Mapping[str, Current] | None = None,
) -> Diff:
    """Merge what a home is now into what it was, and put the result out. No registries: there is nobody to ask.

    A new version takes effect `effective_after_s` from now by Home Assistant's clock. That clock has reached at
    least the newest time it has put on anything (`Registries.newest_us`); where it is behind ours, ours is taken:
    the version then takes effect a little later, which is harmless. `current` is what `derive` makes of the
    registries, where that is known already.
    """
    ahead_us = max(0, registries.newest_us - clock()) if registries else 0
    if registries and current is None:
        current = derive(registries)
    job = _Sync(home, current, history, publisher, clock)
    delay_us = int(effective_after_s * 1_000_000)
    for attempt in range(1, _ATTEMPTS + 1):
        if job.attempt(delay_us, ahead_us, last_chance=attempt == _ATTEMPTS):
            return job.diff
    raise errors.StateUnavailable(f"the map of {home!r} could not be published: decisions kept coming")


class _Sync:
    """One sync; `diff` is what its last attempt has changed."""

    def __init__(
        self,
        home: str,
        current: Mapping[str, Current] | None,
        history: MapHistory,
        publisher: Publisher,
        clock: Clock,
    ) -> None:
        self.diff = Diff()
        self._home = home
        self._current = current
        self._history = history
        self._publisher = publisher
        self._clock = clock

    def attempt(self, delay_us: int, ahead_us: int, *, last_chance: bool) -> bool:
        """Return whether the newest version is out."""
        out = self._publisher.published(self._home)
        record = self._load(out)
        stamped_us = self._clock()
        effective_us = _effective_us(record, stamped_us + ahead_us + delay_us)
        version, snapshot = self._advance(record, out, effective_us)
        if version.published_at_us is not None and out.version == version.version and not out.decided:
            return True
        if self._too_late(version, stamped_us + max(delay_us // 2, _PATIENCE_US)):
            _log.warning("map_slow", home=self._home, version=version.version)
            if not last_chance:
                return False
        if not self._publisher.publish(snapshot, out.decided):
            return False
        self._history.mark_published(self._home, version.version, self._clock())
        return True

    def _too_late(self, version: Version, until_us: int) -> bool:
        """Tell whether a new version took so long to keep that its effective time has come too near."""
        return version.published_at_us is None and version.effective_us > ALWAYS_US and self._clock() > until_us

    def _load(self, out: Published) -> Record:
        """Read the history. A newest version that is not noted as out either is (we died just then), or never was.

        One that never was out is thrown away and made anew: it knows nothing of what was decided in the meantime.
        """
        record = self._history.load(self._home)
        if not record.pending:
            return record
        version = record.versions[-1].version
        if out.version is not None and out.version >= version:
            self._history.mark_published(self._home, version, self._clock())
        else:
            self._history.discard(self._home, version)
        return self._history.load(self._home)

    def _advance(self, record: Record, out: Published, effective_us: int) -> tuple[Version, Snapshot]:
        """Keep a new version, where anything is new; return the newest one and its map."""
        last = record.versions[-1] if record.versions else None
        number = max(last.version if last else 0, out.version or 0, self._clock() // 1000 - 1) + 1
        merger = Merger(record.entries, record.joined)
        entries, diff = merger.merge(self._current, out.decided, version=number, effective_us=effective_us)
        mapped = self._current is not None or (last is not None and last.mapped)
        versions = record.versions
        if last is None or diff or mapped != last.mapped or (out.version or 0) > last.version:
            version = Version(number, effective_us, None, mapped)
            self._history.add(self._home, version, entries)
            versions = [*versions, version]
        self.diff = replace(diff, version=versions[-1].version)
        return versions[-1], Snapshot(self._home, versions[-1].version, mapped_from_us(versions), merger.timelines())


def _effective_us(record: Record, wanted_us: int) -> int:
    """Return when a new version takes effect: the first at once, a later one never before an earlier one."""
    if not record.versions:
        return ALWAYS_US
    return max(wanted_us, record.versions[-1].effective_us)


def read_registries(client: HomeAssistantClient) -> Registries:
    """Ask for everything that places come from. States are asked for between two equal readings of the entities.

    Else an entity that is renamed in between would look like one without a registry entry.
    """
    entities = client.entities()
    for _ in range(_READINGS):
        states = client.get_states()
        before, entities = entities, client.entities()
        if _names(before) == _names(entities):
            break
    devices, areas = client.devices(), client.areas()
    return Registries(
        entities=entities,
        devices=devices,
        areas=areas,
        floors=client.floors(),
        labels=client.labels(),
        states=states,
        newest_us=_newest_us(states, [*entities, *devices, *areas]),
    )


def _names(entities: Iterable[Mapping[str, Any]]) -> set[tuple[Any, Any]]:
    return {(entity.get("id"), entity.get("entity_id")) for entity in entities}


def _newest_us(states: Iterable[Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]) -> int:
    """Return the newest time that Home Assistant's clock has put on a state or a registry entry."""
    # All its times have one format and zone: the greatest text is the newest.
    texts = (str(state.get(key) or "") for state in states for key in ("last_updated", "last_reported"))
    newest = max(texts, default="")
    moments = [time_us(newest)] if newest else []
    moments += [int(at * 1_000_000) for row in rows if isinstance(at := row.get("modified_at"), float)]
    return max(moments, default=0)
