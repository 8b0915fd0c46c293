"""Each automation that real homes recorded gets its cause and its root cause, however its batches are shuffled."""

from __future__ import annotations

import pytest

from ingestor.enrichment.cause import CauseStep
from ingestor.enrichment.cause_shared import MemoryContexts
from tests.unit.cause_stage import batches_of, causes_told, enriched, events_of, frames_of, home_map, truths


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
