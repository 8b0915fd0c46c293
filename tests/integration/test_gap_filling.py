"""Gaps are filled from a home's history: all that happened, once, whatever is killed or lost meanwhile."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from ingestor import errors
from ingestor.demo.clock import HOUR_US, SECOND_US
from ingestor.pipeline.history_batches import Shipment
from ingestor.storage.gaps import GapState, reconcile_gap
from ingestor.storage.port import StoredState
from tests.integration.gap_bench import HOME, Bench, ended, running_bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    with running_bench() as bench:
        yield bench


def test_every_change_of_the_interval_is_stored_with_its_own_time_and_marked_as_read_back(bench: Bench) -> None:
    start_us, end_us = bench.live(120)
    bench.live(60)

    gap = bench.fill(bench.gap(start_us, end_us))

    expected = bench.truth(start_us, end_us)
    assert ended(gap) == (GapState.FILLED, "")
    assert expected.total() > 100
    assert bench.stored(start_us, end_us) == expected
    assert bench.stored(start_us, end_us, origin="history", source="history") == expected
    points = Counter(measurement for measurement, *_ in bench.pipeline.store.points)
    assert gap.counts["written"] == points["home_assistant_events"]


def test_what_was_heard_live_stays_as_it_is_and_is_not_written_again(bench: Bench) -> None:
    start_us, end_us = bench.live(120)
    bench.live(10)
    expected = bench.truth(start_us, end_us)
    heard = Counter({change: 1 for number, change in enumerate(sorted(expected)) if number % 3})
    bench.hear(heard)

    gap = bench.fill(bench.gap(start_us, end_us))

    assert bench.stored(start_us, end_us) == expected
    assert bench.stored(start_us, end_us, source="websocket", context_id="C") == heard
    around = bench.truth(start_us - 2 * SECOND_US, end_us + 2 * SECOND_US)
    assert gap.counts["written"] == (around - heard).total()


def test_filled_twice_a_gap_is_stored_once(bench: Bench) -> None:
    start_us, end_us = bench.live(60)
    bench.live(10)
    gap = bench.fill(bench.gap(start_us, end_us))
    before = dict(bench.pipeline.store.points)

    bench.gaps.save(replace(gap, state=GapState.FILLING, progress={}, counts={}))
    again = bench.fill(gap)

    assert bench.pipeline.store.points == before
    assert again.counts.get("written", 0) == 0


def test_an_entity_that_moved_again_after_the_reconnect_is_read_back_too(bench: Bench) -> None:
    start_us, end_us = bench.live(30)
    (entity, *_), _count = bench.truth(start_us, end_us).most_common(1)[0]
    bench.live(30)
    bench.demo.control.set_state(entity, "12.25")

    bench.fill(bench.gap(start_us, end_us))

    assert bench.stored(start_us, end_us)[min(bench.truth(start_us, end_us, entity))]


def test_of_an_entity_that_is_missing_now_its_changes_and_its_removal_are_stored(bench: Bench) -> None:
    bench.demo.control.set_state("sensor.short_lived", "1")
    bench.live(1)
    start_us, _ = bench.live(10)
    bench.demo.control.set_state("sensor.short_lived", "2")
    bench.live(10)
    bench.demo.control.remove("sensor.short_lived")
    _, end_us = bench.live(10)
    bench.live(10)

    bench.fill(bench.gap(start_us, end_us))

    states = [state for name, _, state in sorted(bench.stored(start_us, end_us)) if name == "sensor.short_lived"]
    assert states == ["2", None]


def test_nothing_is_read_before_the_recorder_has_committed_the_end(bench: Bench) -> None:
    start_us, end_us = bench.live(30)
    bench.live(10)
    bench.keeps.committed_until_us = end_us - 10 * SECOND_US
    gap = bench.gap(start_us, end_us)

    waiting = [bench.step(gap).again_in_s for _ in range(3)]
    stored_before = len(bench.pipeline.store.points)
    bench.keeps.committed_until_us = 2**62
    done = bench.fill(gap)

    assert all(waiting)
    assert stored_before == 0
    assert ended(done) == (GapState.FILLED, "")
    assert bench.stored(start_us, end_us) == bench.truth(start_us, end_us)


def test_steps_that_are_killed_and_batches_that_are_lost_cost_nothing(bench: Bench) -> None:
    start_us, end_us = bench.live(600)
    bench.live(10)
    chance = random.Random(7)
    bench.pipeline.loses = lambda _: chance.random() < 0.4
    gap = bench.gap(start_us, end_us)

    for number in range(400):
        with _killed(chance):
            step = bench.step(gap, budget_s=0.02)
            if step.again_in_s is None:
                break
        if number > 60:
            bench.pipeline.loses = lambda _: False

    assert bench.kept(gap).state is GapState.FILLED
    assert bench.stored(start_us, end_us) == bench.truth(start_us, end_us)


@contextmanager
def _killed(chance: random.Random) -> Iterator[None]:
    """Break off now and then as a kill would: nothing but what was saved and sent is left."""
    sent = Shipment.send

    def dies(*given: object) -> int:
        if chance.random() < 0.3:
            raise errors.BrokerUnavailable("killed")
        return sent(*given)  # type: ignore[arg-type]  # as it is called

    with pytest.MonkeyPatch.context() as patch, suppress(errors.BrokerUnavailable):
        patch.setattr(Shipment, "send", dies)
        patch.setattr("ingestor.pipeline.history._MARKS_WITHIN_S", 0.05)
        yield


def test_while_the_queues_are_full_nothing_is_read(bench: Bench) -> None:
    start_us, end_us = bench.live(30)
    bench.live(10)
    bench.room = False
    gap = bench.gap(start_us, end_us)

    steps = [bench.step(gap) for _ in range(3)]
    bench.room = True

    assert all(step.again_in_s is not None for step in steps)
    assert bench.pipeline.batches == 0
    assert bench.fill(gap).state is GapState.FILLED


def test_one_request_at_a_time_asks_for_all_changes_of_at_most_fifty_entities(bench: Bench) -> None:
    start_us, end_us = bench.live(300)
    bench.live(10)

    bench.fill(bench.gap(start_us, end_us))

    assert all(len(asked.entity_ids) <= 50 for asked in bench.keeps.asked)
    assert not any(asked.significant_only or asked.include_start or asked.minimal for asked in bench.keeps.asked)


def test_a_slice_of_the_store_is_read_once_however_many_portions_of_entities_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running_bench(entities=400, rate=100) as bench:
        start_us, end_us = bench.live(20)
        bench.live(5)
        read: list[tuple[int, int]] = []
        states_between = bench.pipeline.store.states_between

        def counted(home: str, since_ns: int, until_ns: int, limit: int) -> list[StoredState]:
            read.append((since_ns, until_ns))
            return states_between(home, since_ns, until_ns, limit)

        monkeypatch.setattr(bench.pipeline.store, "states_between", counted)
        gap = bench.gap(start_us, end_us)
        bench.skip_waiting(gap)

        filled = bench.step(gap, budget_s=60).gap

    assert ended(filled) == (GapState.FILLED, "")
    assert filled.counts["entities"] > 50  # more than one portion
    assert bench.stored(start_us, end_us) == bench.truth(start_us, end_us)
    assert len(read) == 1


def test_entities_that_the_recorder_excludes_are_named_and_the_rest_is_filled(bench: Bench) -> None:
    start_us, end_us = bench.live(120)
    bench.live(10)
    expected = bench.truth(start_us, end_us)
    excluded = expected.most_common(1)[0][0][0]
    bench.keeps.excluded = {excluded}

    gap = bench.fill(bench.gap(start_us, end_us))

    assert ended(gap) == (GapState.PARTLY_FILLED, f"Home Assistant's recorder keeps no history of {excluded}")
    kept = Counter({change: 1 for change in expected if change[0] != excluded})
    assert bench.stored(start_us, end_us) == kept


def test_an_entity_that_moved_only_just_now_is_not_taken_for_excluded(bench: Bench) -> None:
    start_us, end_us = bench.live(60)
    bench.live(10)
    bench.keeps.committed_until_us = bench.now_us()
    bench.live(1)
    bench.demo.control.set_state("sensor.first_seen_now", "1")
    gap = bench.gap(start_us, end_us)

    first = bench.step(gap)
    bench.live(1)
    bench.keeps.committed_until_us = 2**62
    done = bench.fill(gap)

    assert first.again_in_s is not None
    assert ended(done) == (GapState.FILLED, "")


def test_a_gap_of_entities_that_have_no_history_is_not_fillable(bench: Bench) -> None:
    start_us, end_us = bench.live(60)
    bench.live(10)
    bench.keeps.excluded = {event.entity_id for event in bench.said if event.entity_id}
    gap = bench.gap(start_us, end_us)
    bench.skip_waiting(gap)

    done = bench.fill(gap)

    assert done.state is GapState.NOT_FILLABLE
    assert "history" in done.why


def test_hourly_statistics_fill_in_for_what_the_recorder_does_not_keep_any_more() -> None:
    with running_bench(entities=20, rate=0.1) as bench:
        bench.live(HOUR_US / SECOND_US - 60)
        start_us, _ = bench.live(HOUR_US / SECOND_US)
        for _ in range(4):
            _, end_us = bench.live(HOUR_US / SECOND_US)
        bench.live(100)
        purged_us = bench.keeps.purged_until_us = end_us - 2 * HOUR_US

        gap = bench.fill(bench.gap(start_us, end_us))

        statistics = bench.stored(0, 2**62, origin="statistics")
        first = start_us - start_us % HOUR_US
        assert gap.state is GapState.PARTLY_FILLED
        assert "hourly statistics fill in" in gap.why
        assert {at for _, at, _ in statistics} == {first + number * HOUR_US for number in range(4)}
        assert gap.counts["hours"] == statistics.total()
        history = bench.stored(purged_us + 1, end_us, origin="history")
        assert history == bench.truth(purged_us + 1, end_us)


def test_where_there_is_neither_history_nor_statistics_a_gap_is_not_fillable(bench: Bench) -> None:
    start_us, end_us = bench.live(120)
    bench.keeps.purged_until_us = end_us
    bench.live(10)

    gap = bench.fill(bench.gap(start_us, end_us - 4 * SECOND_US))

    assert ended(gap) == (GapState.NOT_FILLABLE, "Home Assistant keeps neither history nor statistics of it")


def test_what_a_comparison_found_is_read_back_for_these_entities_alone(bench: Bench) -> None:
    start_us, end_us = bench.live(120)
    bench.live(10)
    (entity, *_), _count = bench.truth(start_us, end_us).most_common(1)[0]
    found = reconcile_gap(HOME, start_us, end_us, [entity, "no entity"])
    bench.gaps.observe(found)

    done = bench.fill(found)

    assert done.state is GapState.FILLED
    assert bench.stored(start_us, end_us) == bench.truth(start_us, end_us, entity)


def test_a_home_that_answers_too_slowly_is_asked_for_less_next_time(bench: Bench) -> None:
    start_us, end_us = bench.live(120)
    bench.live(10)
    gap = bench.gap(start_us, end_us)
    bench.room = False
    bench.step(gap)
    bench.room = True
    before = bench.kept(gap).progress["slice_us"]

    bench.keeps.takes_s, bench.answer_within_s = 1.0, 0.2
    with pytest.raises(errors.HomeAssistantUnavailable):
        bench.step(gap)

    assert bench.kept(gap).progress["slice_us"] == before // 2


def test_a_home_that_refuses_its_history_again_and_again_ends_the_gap_with_its_words(bench: Bench) -> None:
    start_us, end_us = bench.live(60)
    bench.live(10)
    gap = bench.gap(start_us, end_us)
    bench.keeps.refuses = True
    bench.skip_waiting(gap)

    steps = [bench.step(gap) for _ in range(6)]

    assert [step.again_in_s is None for step in steps] == [False] * 5 + [True]
    assert bench.kept(gap).state is GapState.NOT_FILLABLE
    assert "Home Assistant refuses its history" in bench.kept(gap).why
