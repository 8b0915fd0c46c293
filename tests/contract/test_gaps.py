"""What every place where gaps are kept does: one suite, for the database and for the memory twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ingestor.storage.database import open_database, upgrade
from ingestor.storage.gaps import GapRecord, Gaps, GapState, gap_id_of, reconcile_gap, refilled
from ingestor.storage.gaps_memory import MemoryGaps
from ingestor.storage.gaps_sql import SqlGaps


def _sql(folder: Path) -> Gaps:
    engine = open_database(f"sqlite:///{folder / 'meta.sqlite'}")
    upgrade(engine)
    return SqlGaps(engine)


PLACES: dict[str, Callable[[Path], Gaps]] = {"memory": lambda _: MemoryGaps(), "sql": _sql}


@pytest.fixture(params=PLACES)
def gaps(request: pytest.FixtureRequest, tmp_path: Path) -> Gaps:
    return PLACES[request.param](tmp_path)


def gap(start_us: int = 100, end_us: int = 0, home: str = "home", **more: object) -> GapRecord:
    made = GapRecord(gap_id_of(home, "websocket", start_us), home, "websocket", "cut", start_us, end_us)
    return replace(made, **more)  # type: ignore[arg-type]  # fields by name


def kept(gaps: Gaps, one: GapRecord) -> GapRecord:
    found = gaps.find(one.gap_id)
    assert found is not None
    return replace(found, updated_us=0)


def test_a_gap_is_open_until_its_end_is_told_and_then_to_be_filled(gaps: Gaps) -> None:
    gaps.observe(gap(event_types=("call_service",)))
    began = kept(gaps, gap())

    gaps.observe(gap(end_us=200, event_types=("call_service",)))

    assert (began.state, began.end_us) == (GapState.OPEN, 0)
    assert kept(gaps, gap()) == gap(end_us=200, state=GapState.FILLING, event_types=("call_service",))


def test_telling_the_same_twice_changes_nothing_not_even_what_has_ended(gaps: Gaps) -> None:
    gaps.observe(gap(end_us=200))
    ended = replace(kept(gaps, gap()), state=GapState.PARTLY_FILLED, why="so", counts={"written": 3})
    gaps.save(ended)

    gaps.observe(gap(end_us=200))
    gaps.observe(gap())

    assert kept(gaps, gap()) == ended


def test_a_gap_that_lasted_longer_than_was_known_is_filled_anew(gaps: Gaps) -> None:
    gaps.observe(gap(end_us=200, lost={"call_service": 1}))
    gaps.save(replace(kept(gaps, gap()), state=GapState.FILLED, progress={"next_us": 5}))

    gaps.observe(gap(end_us=300, lost={"call_service": 2}))

    assert kept(gaps, gap()) == gap(end_us=300, state=GapState.FILLING, lost={"call_service": 2})


def test_what_was_made_of_a_shorter_gap_does_not_end_one_that_grew_meanwhile(gaps: Gaps) -> None:
    gaps.observe(gap(end_us=200))
    work = kept(gaps, gap())
    gaps.observe(gap(end_us=300))

    gaps.save(replace(work, state=GapState.FILLED))

    assert kept(gaps, gap()).state is GapState.FILLING


def test_progress_counts_and_losses_are_kept_as_they_were_saved(gaps: Gaps) -> None:
    gaps.observe(gap(end_us=200))
    saved = gap(
        end_us=200,
        state=GapState.FILLING,
        progress={"stage": "reading", "entities": ["sensor.a"], "next_us": 2**52},
        counts={"written": 7},
        lost={"call_service": 4},
    )

    gaps.save(saved)

    assert kept(gaps, gap()) == saved


def test_gaps_are_listed_newest_first_by_home_time_and_whether_they_ended(gaps: Gaps) -> None:
    for one in (gap(100, 150), gap(200, 250), gap(300), gap(200, 260, home="cabin")):
        gaps.observe(one)
    gaps.save(replace(kept(gaps, gap(200)), state=GapState.FILLED))

    assert [one.start_us for one in gaps.list(home="home")] == [300, 200, 100]
    assert [one.start_us for one in gaps.list(home="home", since_us=200)] == [300, 200]
    assert [one.start_us for one in gaps.list(home="home", unended_only=True)] == [300, 100]
    assert [(one.home, one.start_us) for one in gaps.list(limit=2)] == [("home", 300), ("home", 200)]


def test_what_a_comparison_found_is_a_gap_of_these_entities_and_found_twice_the_same(gaps: Gaps) -> None:
    found = reconcile_gap("home", 100, 200, ["sensor.b", "sensor.a"])
    gaps.observe(found)
    gaps.observe(reconcile_gap("home", 100, 200, ["sensor.a", "sensor.b"]))
    gaps.observe(reconcile_gap("home", 100, 200, ["sensor.c"]))

    of_both = kept(gaps, found)

    assert (of_both.state, of_both.entities) == (GapState.FILLING, ("sensor.a", "sensor.b"))
    assert len(gaps.list()) == 2


def test_a_gap_can_be_filled_once_more(gaps: Gaps) -> None:
    found = reconcile_gap("home", 100, 200, ["sensor.a"])
    gaps.observe(found)
    gaps.save(replace(kept(gaps, found), state=GapState.NOT_FILLABLE, why="so", counts={"written": 1}))

    gaps.save(refilled(kept(gaps, found)))

    assert kept(gaps, found) == replace(found, state=GapState.FILLING)
