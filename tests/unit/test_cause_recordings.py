"""Each automation that real homes recorded gets its cause and its root cause, however its batches are shuffled."""

from __future__ import annotations

import random

import pytest

from ingestor.enrichment.cause import CauseStep
from ingestor.enrichment.cause_late import CauseSeeker
from ingestor.enrichment.cause_shared import MemoryContexts
from ingestor.enrichment.place import PlaceStep
from ingestor.enrichment.steps import Step
from ingestor.pipeline.enrich import enrich
from ingestor.pipeline.late_causes import LateCauses
from ingestor.pipeline.write import Writer
from ingestor.queue.late_post import MemoryLatePost
from ingestor.settings import StorageSettings
from ingestor.storage.context_fields import ContextFields
from ingestor.storage.memory import MemoryStore
from ingestor.storage.port import EventQuery
from ingestor.storage.schema import PointBuilder
from ingestor.storage.written_memory import MemoryWrittenIndex
from tests.unit.cause_stage import START_NS, batches_of, causes_told, enriched, events_of, frames_of, home_map, truths


@pytest.mark.parametrize("year", ["2024", "2026"])
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_each_recorded_automation_gets_its_cause_and_its_root(year: str, seed: int | None) -> None:
    frames = frames_of(year)
    events = events_of(frames)
    shared = MemoryContexts()
    workers = [CauseStep(shared.beside()) for _ in range(4)]

    found = enriched(batches_of(events, 50), workers, home_map(events), seed)

    told, expected = causes_told(found), truths(frames)
    assert len(expected) > 90
    assert {one: (told.get(one), truth) for one, truth in expected.items() if told.get(one) != truth} == {}


@pytest.mark.parametrize(("year", "seed"), [("2024", 1), ("2026", 2)])
def test_those_that_are_written_before_their_parents_are_heard_get_it_with_one_look_afterwards(
    year: str, seed: int
) -> None:
    frames = frames_of(year)
    events = events_of(frames)
    shared, store, post = MemoryContexts(), MemoryStore(), MemoryLatePost()
    workers = [CauseStep(shared.beside(), wait_s=0) for _ in range(4)]
    writer = Writer(store, PointBuilder(StorageSettings()), MemoryWrittenIndex())
    order, chance, places = batches_of(events, 20), random.Random(seed), home_map(events)
    chance.shuffle(order)
    for batch in order:
        steps: list[Step] = [PlaceStep(), chance.choice(workers)]
        ready = enrich(batch, places, now_ns=START_NS, wait_s=5, steps=steps).ready
        assert ready is not None
        post.put("home", writer.write(ready).late, 0)
    expected = truths(frames)

    before = told_by(store)
    settled = LateCauses(post, CauseSeeker(shared.beside()), store, ContextFields(("*",))).settle("home", lambda: 1.0)

    wrong = {one for one, truth in expected.items() if before.get(one) != truth}
    assert len(wrong) > 5
    assert settled.settled >= len(wrong)
    told = told_by(store)
    assert {one: (told.get(one), truth) for one, truth in expected.items() if told.get(one) != truth} == {}


def told_by(store: MemoryStore) -> dict[str, tuple[object, ...]]:
    names = ("cause_kind", "cause_id", "root_cause_kind", "root_cause_id")
    return {
        str(one.fields["context_id"]): tuple(one.fields.get(name, "") for name in names)
        for one in store.read(EventQuery(event_type="automation_triggered", limit=100_000))
    }
