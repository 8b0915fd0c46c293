"""A cause that is heard of after its event was written, through the tasks themselves, a state server and a store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestor import bootstrap
from ingestor.enrichment.contexts import time_ms_of
from ingestor.events.event import Event, EventBatch, Place
from ingestor.events.late import overtaken
from ingestor.home.cache import MemoryHomeMap
from ingestor.home.model import Snapshot, Timeline
from ingestor.home.publication import RedisMaps
from ingestor.pipeline.enrich import enrich
from ingestor.queue import message
from ingestor.queue.app import make_app
from ingestor.settings import BrokerSettings, EnrichmentSettings, Settings, StateSettings
from ingestor.storage.port import EventQuery
from tasks import resources as resources_module
from tasks.enrich import enrich_batch
from tasks.resources import Resources, resources
from tasks.upkeep import settle_causes
from tasks.write import write_batch
from tests.servers_brokers import ValkeyServer
from tests.unit.test_cause import HALL, LIGHT, MOTION, changed, ctx, triggered
from tests.unit.test_late_causes import BY_HALL, parents, switched


@pytest.fixture
def held(tmp_path: Path, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Resources]:
    settings = Settings(
        data_dir=tmp_path,
        home=f"late-causes-{uuid.uuid4().hex[:8]}",
        broker=BrokerSettings(url=valkey_server.url),
        state=StateSettings(url=valkey_server.url),
        enrichment=EnrichmentSettings(cause_wait_s=0),
    )
    monkeypatch.setattr(bootstrap, "settings", lambda: settings)
    monkeypatch.setattr(resources_module, "current_app", make_app(f"memory://{uuid.uuid4().hex}"))
    resources_module.forget()
    yield resources()
    resources_module.forget()


def heard(held: Resources, batch_id: str, *events: Event) -> EventBatch:
    for slot, event in enumerate(events):
        event.slot, event.time_us = slot, (time_ms_of(ctx(0)) or 0) * 1000 + slot
    return EventBatch(batch_id * 26, held.settings.home, "websocket", "journal", 1, len(events), list(events))


def comes(held: Resources, batch_id: str, *events: Event) -> None:
    """Enrich a batch as a worker does, and let the task write it."""
    places = MemoryHomeMap()
    known = {name: Timeline(0, Place(name, name.partition(".")[0])) for name in (LIGHT, MOTION, HALL)}
    places.publish(Snapshot(held.settings.home, 1, 0, known), [])
    ready = enrich(heard(held, batch_id, *events), places, now_ns=1, wait_s=0, steps=held.steps).ready
    assert ready is not None
    write_batch(message.encode_events(ready))


def light(held: Resources) -> dict[str, object]:
    (found,) = held.store.read(EventQuery(entity=LIGHT, home=held.settings.home))
    return dict(found.fields)


def test_a_point_written_without_its_cause_gets_it_from_the_task_when_it_is_heard_of(held: Resources) -> None:
    comes(held, "A", switched())
    before = light(held)

    settle_causes()
    waiting = held.late_post.waiting(held.settings.home)
    comes(held, "B", *parents())
    resources_module.forget()  # as another process
    settle_causes()

    assert before["root_cause_kind"] == "unknown"
    assert len(waiting) == 1
    assert light(held) == {**before, **BY_HALL, "cause_depth": 2}
    assert resources().late_post.waiting(held.settings.home) == []


def test_a_light_taken_for_its_own_doing_is_put_right_when_the_task_hears_of_the_automation(held: Resources) -> None:
    comes(held, "A", changed(LIGHT, 2))
    before = light(held)
    places = {HALL: Timeline(0, Place(HALL, "automation"))}
    RedisMaps(held.state).publish(Snapshot(held.settings.home, 1, 0, places), [])

    enrich_batch(message.encode_events(heard(held, "B", triggered(HALL, 2, "time pattern"))))
    settle_causes()

    by_time = {"cause_kind": "automation", "cause_id": HALL, "root_cause_kind": "time", "root_cause_id": "time pattern"}
    assert light(held) == {**before, **by_time, "cause_depth": 2}
    assert [one.late for one in held.late_post.waiting(held.settings.home)] == [overtaken(ctx(2))]
