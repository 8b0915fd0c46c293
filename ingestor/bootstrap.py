"""The composition root: the only place that names real adapters. Everything else asks for a port.

Imports stand inside the functions on purpose: a listener must not load what only a writer needs (80 MB limit).
"""
# ruff: noqa: PLC0415 -- see above

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import redis
    import sqlalchemy

    from ingestor.export.jobs.shelf import ExportShelf
    from ingestor.home.facts import FactsSource
    from ingestor.home.objects_store import RegistryObjects
    from ingestor.home.port import HomeMap
    from ingestor.home.traces.store import RoutineTraces
    from ingestor.live.channel import LiveChannel
    from ingestor.live.feed import LiveFeed
    from ingestor.live.hub import LiveHub
    from ingestor.mqtt_out.service import MqttOut, ReadFigures
    from ingestor.pipeline.late_causes import LateCauses
    from ingestor.pipeline.write_alone import SuspectingWriter
    from ingestor.queue.done import DoneMarks
    from ingestor.queue.late_post import LatePost
    from ingestor.queue.ledger_post import LedgerPost
    from ingestor.queue.observed_post import ObservedPost
    from ingestor.queue.status_board import StatusBoard
    from ingestor.queue.topics_board import TopicsBoard
    from ingestor.security.access import Principal
    from ingestor.security.keys import Keyring
    from ingestor.settings import Settings
    from ingestor.storage.breaker import StoreBreaker
    from ingestor.storage.gaps import Gaps
    from ingestor.storage.ledger import Ledger
    from ingestor.storage.observed import Observed
    from ingestor.storage.port import Store
    from ingestor.storage.quarantine import Quarantine
    from ingestor.webhooks.deliverer import Deliverer
    from ingestor.webhooks.desk import WebhookDesk


@functools.cache
def settings() -> Settings:
    """Return this process's settings, read once. Raises InvalidSettings."""
    from ingestor.settings_sources import load_settings

    return load_settings().settings


def open_state(settings: Settings, *, hurried: bool = False) -> redis.Redis[bytes]:
    """Connect to the state server; a `hurried` connection gives up soon."""
    from ingestor.queue.state import connect_state

    return connect_state(settings.state_url, hurried=hurried)


def open_done_marks(state: redis.Redis[bytes]) -> DoneMarks:
    """Open the mailboxes of the journals."""
    from ingestor.queue.done_redis import RedisDoneMarks

    return RedisDoneMarks(state)


def open_home_map(state: redis.Redis[bytes]) -> HomeMap:
    """Open the map of the homes as the registry task publishes it."""
    from ingestor.home.cache import RedisHomeMap

    return RedisHomeMap(state)


def open_facts(settings: Settings, state: redis.Redis[bytes]) -> FactsSource:
    """Open the facts of the homes as the registry task publishes them."""
    from ingestor.home.facts_redis import RedisFacts

    return RedisFacts(state, [home.name for home in settings.all_homes()])


def open_metadata(settings: Settings) -> sqlalchemy.Engine:
    """Open the metadata database, its schema up to date."""
    from ingestor.storage.database import open_database

    return open_database(settings.database_url)


def open_objects(settings: Settings, database: sqlalchemy.Engine | None = None) -> RegistryObjects:
    """Open the objects of the homes over time, in the metadata database."""
    from ingestor.home.sync import registry_objects

    return registry_objects(settings.registry, database or open_metadata(settings))


def open_traces(settings: Settings, database: sqlalchemy.Engine | None = None) -> RoutineTraces:
    """Open the runs of automations and scripts, in the metadata database."""
    from ingestor.home.traces.sync import routine_traces

    return routine_traces(settings.registry, database or open_metadata(settings))


def open_quarantine(settings: Settings, database: sqlalchemy.Engine | None = None) -> Quarantine:
    """Open the quarantine in the metadata database."""
    from ingestor.storage.quarantine_sql import SqlQuarantine

    limits = settings.quarantine
    return SqlQuarantine(database or open_metadata(settings), max_pieces=limits.max_pieces, max_bytes=limits.max_bytes)


def open_gaps(settings: Settings, database: sqlalchemy.Engine | None = None) -> Gaps:
    """Open the gaps in the metadata database."""
    from ingestor.storage.gaps_sql import SqlGaps

    return SqlGaps(database or open_metadata(settings))


def open_ledger(settings: Settings, database: sqlalchemy.Engine | None = None) -> Ledger:
    """Open the ledger in the metadata database."""
    from ingestor.storage.ledger_sql import SqlLedger

    return SqlLedger(database or open_metadata(settings))


def open_observed(settings: Settings, database: sqlalchemy.Engine | None = None) -> Observed:
    """Open what was observed of the homes, in the metadata database."""
    from ingestor.storage.observed_sql import SqlObserved

    return SqlObserved(database or open_metadata(settings))


def open_ledger_post(settings: Settings, state: redis.Redis[bytes]) -> LedgerPost:
    """Open the post by which pages of these homes come to the ledger."""
    from ingestor.queue.ledger_post import RedisLedgerPost

    return RedisLedgerPost(state, {home.name for home in settings.all_homes()})


def open_observed_post(state: redis.Redis[bytes]) -> ObservedPost:
    """Open the post by which workers' pages of what they observed come to the database."""
    from ingestor.queue.observed_post import RedisObservedPost

    return RedisObservedPost(state)


def open_late_post(state: redis.Redis[bytes]) -> LatePost:
    """Open where points wait whose cause is not known yet."""
    from ingestor.queue.late_post import RedisLatePost

    return RedisLatePost(state)


def open_live_channel(settings: Settings, state: redis.Redis[bytes]) -> LiveChannel:
    """Open the live channel of the homes."""
    from ingestor.live.channel_redis import RedisChannel

    return RedisChannel(state, max_entries=settings.live.max_entries, max_bytes=settings.live.max_bytes)


def open_live_hub(settings: Settings) -> LiveHub | None:
    """Open what reads the live channel for all who listen in this process; None where it is switched off."""
    if not settings.live.enabled:
        return None
    from ingestor.live.hub import LiveHub
    from ingestor.storage.context_fields import ContextFields

    return LiveHub(
        open_live_channel(settings, open_state(settings)),
        [home.name for home in settings.all_homes()],
        chosen=ContextFields(settings.storage.context_fields).of,
        max_listeners=settings.live.max_listeners,
        max_waiting=settings.live.max_waiting,
    )


def open_live_feed(settings: Settings) -> LiveFeed | None:
    """Open what tells of written events, on a connection of its own; None where the live channel is switched off."""
    if not settings.live.enabled:
        return None
    from ingestor.live.feed import LiveFeed
    from ingestor.queue.state import connect_state

    return LiveFeed(open_live_channel(settings, connect_state(settings.state_url, hurried=True)))


def open_webhook_desk(
    settings: Settings, database: sqlalchemy.Engine | None = None, by: Principal | None = None, request_id: str = ""
) -> WebhookDesk:
    """Open where webhooks are registered and looked at; changes are made in the name of `by`."""
    from ingestor.webhooks.opening import open_desk

    return open_desk(settings, database or open_metadata(settings), by=by, request_id=request_id)


def open_webhook_deliverer(settings: Settings, hub: LiveHub) -> Deliverer:
    """Open what delivers to webhooks from this process; it connects to nothing before it starts."""
    from ingestor.webhooks.opening import open_deliverer

    return open_deliverer(settings, hub, open_state(settings), lambda: open_metadata(settings))


def open_mqtt_out(settings: Settings, hub: LiveHub, figures: ReadFigures) -> MqttOut | None:
    """Open MQTT out for this process; None where no broker is set. It connects to nothing before it starts."""
    if not settings.mqtt_out.url:
        return None
    from ingestor.mqtt_out.opening import open_service

    return open_service(settings, hub, figures, open_state(settings), lambda: open_metadata(settings))


def open_topics_board(settings: Settings) -> TopicsBoard:
    """Open where listeners and MQTT out tell which topics they see and publish."""
    from ingestor.queue.topics_board import TopicsBoard

    return TopicsBoard(open_state(settings))


def open_late_causes(
    settings: Settings, post: LatePost, state: redis.Redis[bytes], store: Store, breaker: StoreBreaker
) -> LateCauses:
    """Open what looks causes up again that were not known in time, and writes them."""
    from ingestor.enrichment.cause_late import CauseSeeker
    from ingestor.enrichment.cause_shared import RedisContexts
    from ingestor.pipeline.late_causes import LateCauses
    from ingestor.storage.breaker import GuardedStore
    from ingestor.storage.context_fields import ContextFields

    chosen = ContextFields(settings.storage.context_fields)
    return LateCauses(post, CauseSeeker(RedisContexts(state)), GuardedStore(store, breaker), chosen)


def open_store(settings: Settings, read_timeout_s: float | None = None) -> Store:
    """Open the event store that the settings name; `read_timeout_s` ends questions to the embedded one."""
    from ingestor.storage.open import open_store as open_by_url

    return open_by_url(settings.storage, settings.data_dir, read_timeout_s)


def open_keyring(settings: Settings) -> Keyring:
    """Open the key of the API."""
    from ingestor.security.keys import Keyring, key_file

    given = settings.api.key
    return Keyring(key_file(settings.data_dir), given.get_secret_value() if given else None)


def open_breaker(state: redis.Redis[bytes]) -> StoreBreaker:
    """Open the breaker before the store, which all writers share."""
    from ingestor.storage.breaker import StoreBreaker

    return StoreBreaker(state)


def open_writer(settings: Settings, store: Store, breaker: StoreBreaker, state: redis.Redis[bytes]) -> SuspectingWriter:
    """Open the writer of events to that store, behind the breaker."""
    from ingestor.pipeline.write import Writer
    from ingestor.pipeline.write_alone import SuspectingWriter
    from ingestor.storage.breaker import GuardedStore
    from ingestor.storage.isolating import IsolatingStore
    from ingestor.storage.schema import PointBuilder
    from ingestor.storage.suspects import Suspects
    from ingestor.storage.written_redis import RedisWrittenIndex

    index = RedisWrittenIndex(state, window_s=settings.state.written_window_s, most=settings.state.written_max)
    builder = PointBuilder(settings.storage)
    # Not by the breaker where points are looked for: the store is there, and each failure would stop all others.
    alone = Writer(IsolatingStore(store), builder, index)
    return SuspectingWriter(Writer(GuardedStore(store, breaker), builder, index), alone, Suspects(state))


def open_export_shelf(settings: Settings) -> ExportShelf:
    """Open where export jobs are kept."""
    from ingestor.export.jobs.shelf import ExportShelf

    return ExportShelf(settings.export.folder or settings.data_dir / "exports", settings.export)


def open_status_board(settings: Settings) -> StatusBoard:
    """Open the board on which processes tell how they are."""
    from ingestor.queue.status_board import StatusBoard

    return StatusBoard(open_state(settings))
