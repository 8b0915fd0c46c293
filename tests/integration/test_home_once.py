"""Whatever a home does, and however workers and syncs interleave: an event sent again is placed as it was before."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestor.events.event import Event, EventBatch, Place
from ingestor.home.cache import RedisHomeMap
from ingestor.home.derive import Registries
from ingestor.home.history import MapHistory
from ingestor.home.publication import RedisMaps
from ingestor.home.requests import note_answered
from ingestor.home.sync import sync_home
from ingestor.pipeline.enrich import enrich
from ingestor.queue.state import connect_state
from ingestor.storage.database import open_database

S = 1_000_000
AREAS = ["hall", "attic"]
#: The workers: each looks for a newer map once a second, at a moment of its own.
WORKERS = 3


@dataclass
class World:
    """A home, its sync, and workers, all on one clock."""

    state: Any
    database: sa.Engine
    name: str = field(default_factory=lambda: f"home-{uuid.uuid4().hex}")
    now_us: int = 1_795_230_100 * S
    entities: dict[str, tuple[str, str]] = field(default_factory=dict)
    made: int = 0
    events: list[Event] = field(default_factory=list)
    places: dict[tuple[str, int], Place] = field(default_factory=dict)
    waiting: list[EventBatch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workers = [self.worker() for _ in range(WORKERS)]

    def worker(self) -> RedisHomeMap:
        return RedisHomeMap(self.state, clock=lambda: self.now_us / S)

    def make(self, entity_id: str, area: str) -> None:
        if entity_id not in self.entities:
            self.made += 1
            self.entities[entity_id] = (f"r{self.made}", area)

    def rename(self, old: str, new: str) -> None:
        if old in self.entities and new not in self.entities:
            self.entities[new] = self.entities.pop(old)

    def move(self, entity_id: str, area: str) -> None:
        if entity_id in self.entities:
            self.entities[entity_id] = (self.entities[entity_id][0], area)

    def remove(self, entity_id: str) -> None:
        self.entities.pop(entity_id, None)

    def sync(self) -> None:
        rows = [
            {"id": registry_id, "entity_id": entity_id, "platform": "mqtt", "area_id": area}
            for entity_id, (registry_id, area) in self.entities.items()
        ]
        sync_home(
            self.name,
            Registries(entities=rows, areas=[{"area_id": area, "name": area} for area in AREAS]),
            MapHistory(self.database),
            RedisMaps(self.state),
            effective_after_s=5,
            clock=lambda: self.now_us,
        )
        note_answered(self.state, self.name, self.now_us / S)

    def happen(self, entity_id: str, kind: str, worker: int) -> None:
        """An event of an entity, which one worker gets."""
        subject = entity_id if kind == "state" else f"automation_triggered:{entity_id}"
        event_type = "state_changed" if kind == "state" else "automation_triggered"
        event = Event(0, kind, event_type, subject, entity_id, self.now_us, 0, "websocket", 1, state="on")  # type: ignore[arg-type]  # one of the two
        self.events.append(event)
        self.work(self.batch(event), self.workers[worker])

    def batch(self, event: Event) -> EventBatch:
        return EventBatch("b", self.name, "websocket", "j", 0, 1, [event])

    def work(self, batch: EventBatch, worker: RedisHomeMap) -> None:
        worker.refresh()
        outcome = enrich(batch, worker, now_ns=self.now_us * 1000, wait_s=5)
        if outcome.held:
            self.waiting.append(outcome.held)
        if outcome.ready:
            event = outcome.ready.events[0]
            place = outcome.ready.places[event.place]
            first = self.places.setdefault((event.subject, event.time_us), place)
            assert place == first, f"{event} was placed {first}, now {place}"

    def work_on(self, worker: int) -> None:
        """What waits is tried again."""
        waiting, self.waiting = self.waiting, []
        for batch in waiting:
            self.work(batch, self.workers[worker])

    def send_again(self, worker: RedisHomeMap) -> None:
        """Every event so far comes again; it may wait, but never be placed anew."""
        for event in self.events:
            self.work(self.batch(event), worker)


NAMES = st.sampled_from(["sensor.a", "sensor.b", "sensor.c"])
STEPS = st.one_of(
    st.tuples(st.just("make"), NAMES, st.sampled_from(AREAS)),
    st.tuples(st.just("rename"), NAMES, NAMES),
    st.tuples(st.just("move"), NAMES, st.sampled_from(AREAS)),
    st.tuples(st.just("remove"), NAMES),
    st.tuples(st.just("sync")),
    st.tuples(st.just("happen"), NAMES, st.sampled_from(["state", "event"]), st.integers(0, WORKERS - 1)),
    st.tuples(st.just("work_on"), st.integers(0, WORKERS - 1)),
    st.tuples(st.just("pass"), st.sampled_from([1, 900, 2100, 5500])),
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_database("sqlite://")
    yield engine
    engine.dispose()


@given(steps=st.lists(STEPS, min_size=12, max_size=40))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_event_sent_again_is_placed_as_it_was(
    redis_server: Any, database: sa.Engine, steps: list[tuple[Any, ...]]
) -> None:
    world = World(connect_state(redis_server.url), database)
    world.make("sensor.a", "hall")
    world.sync()

    for step, *details in steps:
        if step == "pass":
            world.now_us += details[0] * 1000
        else:
            getattr(world, step)(*details)
    world.send_again(world.workers[0])
    world.sync()
    world.now_us += 20 * S
    world.work_on(0)
    for worker in (world.workers[1], world.worker()):
        world.send_again(worker)

    world.now_us += 20 * S
    world.sync()
    world.work_on(2)
    assert world.waiting == []
    assert len(world.places) == len({(event.subject, event.time_us) for event in world.events})
