"""The step `observed`: who acts on whom, what changes together, and when; each event counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from ingestor import errors
from ingestor.enrichment import observed_counts
from ingestor.enrichment.cause import CauseStep
from ingestor.enrichment.observed import ObservedStep
from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event
from ingestor.events.observed import ObservedEdge, ObservedPage
from ingestor.home.cache import MemoryHomeMap
from ingestor.home.facts import HomeFacts
from ingestor.queue.observed_post import MemoryObservedPost
from ingestor.storage.observed_memory import MemoryObserved
from tests.unit.cause_stage import batches_of, enriched, events_of, frames_of, home_map
from tests.unit.test_cause import ANNA, HALL, LIGHT, MOTION, NIGHT, SWITCH, changed, triggered

NOON_US = 1_795_262_400_000_000
SECOND_US = 1_000_000


class Watch:
    """A step, the time it goes by, and what it has sent."""

    def __init__(self, post: MemoryObservedPost | None = None) -> None:
        self.now = 1000.0
        self.post = post or MemoryObservedPost()
        self.step = ObservedStep(self.post, clock=lambda: self.now)
        self.cause = CauseStep()
        self.batches = 0

    def see(self, *events: Event, batch_id: str | None = None) -> None:
        self.batches += 1
        name = f"b{self.batches}" if batch_id is None else batch_id
        around = Surroundings(
            "home", MemoryHomeMap(), batch_id=name, facts=HomeFacts("home", time_zone="Europe/Berlin")
        )
        self.cause.begin(events, around)
        assert all(self.cause.apply(event, around) and self.step.apply(event, around) for event in events)
        self.step.finish(events, around)
        self.often = around.ran_often

    def pages(self, after_s: float = 10) -> list[ObservedPage]:
        self.now += after_s
        self.see()
        found = self.post.waiting()
        self.post.confirm(found)
        return found

    def edges(self) -> dict[tuple[str, str, str], int]:
        return counts([edge for page in self.pages() for edge in page.edges])


def counts(edges: Sequence[ObservedEdge]) -> dict[tuple[str, str, str], int]:
    found: Counter[tuple[str, str, str]] = Counter()
    for edge in edges:
        found[edge.kind, edge.source, edge.target] += edge.count
    return dict(found)


def at(event: Event, seconds: float, **fields: Any) -> Event:
    event.time_us = NOON_US + int(seconds * SECOND_US)
    for name, value in fields.items():
        setattr(event, name, value)
    return event


def gone(entity_id: str, seconds: float, context: int) -> Event:
    return at(changed(entity_id, context, state="unavailable", previous_state="on"), seconds, available=False)


def test_who_changes_what_is_counted_once_for_each_run() -> None:
    watch = Watch()

    for run in (10, 20):
        watch.see(
            at(changed(MOTION, run), run),
            at(triggered(HALL, run + 1, f"state of {MOTION}", parent=run), run),
            at(changed(LIGHT, run + 1, parent=run), run + 0.1),
            at(changed(LIGHT, run + 1, parent=run, previous_state="on"), run + 0.2),
        )
    watch.see(at(changed(LIGHT, 50, user=ANNA), 60))

    assert watch.edges() == {
        ("triggers", MOTION, HALL): 2,
        ("controls", HALL, LIGHT): 2,
        ("controls", f"user:{ANNA}", LIGHT): 1,
    }


def test_an_automation_that_sets_another_one_off_starts_it() -> None:
    watch = Watch()

    watch.see(
        triggered(HALL, 2, "time pattern"),
        changed(SWITCH, 2),
        triggered(NIGHT, 3, f"state of {SWITCH}", parent=2),
    )

    assert watch.edges() == {
        ("controls", HALL, SWITCH): 1,
        ("triggers", SWITCH, NIGHT): 1,
        ("starts", HALL, NIGHT): 1,
    }


def test_what_has_run_is_named_once_whoever_set_it_off() -> None:
    watch = Watch()

    watch.see(triggered(HALL, 2, "time pattern"), triggered(HALL, 3, "time pattern"), triggered(NIGHT, 4, "x"))
    first, second = watch.pages(), watch.pages()

    assert [sorted(page.started) for page in first] == [sorted((HALL, NIGHT))]
    assert second == []


def test_first_and_last_time_are_those_of_the_events() -> None:
    watch = Watch()

    watch.see(
        at(changed(LIGHT, 1, user=ANNA), 9), at(changed(LIGHT, 2, user=ANNA), 3), at(changed(LIGHT, 3, user=ANNA), 5)
    )

    (page,) = watch.pages()
    (edge,) = page.edges
    assert (edge.count, edge.first_us, edge.last_us) == (3, NOON_US + 3 * SECOND_US, NOON_US + 9 * SECOND_US)


def test_what_changes_in_one_context_or_within_a_quarter_of_a_second_belongs_together() -> None:
    watch = Watch()

    watch.see(
        at(changed("light.a", 1, user=ANNA), 1),
        at(changed("light.b", 1, user=ANNA), 2),
        at(changed("switch.x", 2), 10),
        at(changed("cover.y", 3), 10.2),
        at(changed("fan.z", 4), 10.6),
    )

    together = {key: count for key, count in watch.edges().items() if key[0] == "together"}
    assert together == {("together", "light.a", "light.b"): 1, ("together", "cover.y", "switch.x"): 1}


def test_numbers_are_not_paired_and_neither_is_a_crowd() -> None:
    watch = Watch()
    numbers = [at(changed(f"number.n{one}", one, state="2", unit="W"), 1) for one in range(1, 9)]
    crowd = [at(changed(f"switch.n{one}", one), 2) for one in range(100, 400)]

    watch.see(*numbers)
    watch.see(*crowd)

    assert 0 < len(watch.edges()) <= 400


def test_what_goes_unavailable_after_another_within_seconds_was_lost_with_it() -> None:
    watch = Watch()

    watch.see(gone("light.hub", 1, 1), gone("light.a", 1.5, 2), gone("light.b", 4, 3), gone("light.c", 30, 4))
    watch.see(at(changed("light.d", 5, state=None), 31, available=False))

    assert watch.edges() == {("lost_with", "light.hub", "light.a"): 1, ("lost_with", "light.hub", "light.b"): 1}


def test_activity_is_counted_by_the_homes_own_clock() -> None:
    watch = Watch()

    watch.see(*(at(changed("sensor.t", one, state=str(one), unit="°C"), one * 60) for one in range(20)))

    (page,) = watch.pages(after_s=301)
    # Noon in UTC is one o'clock in Berlin; that day was a Saturday.
    assert [(one.hour, one.weekday, one.month, one.events) for one in page.activity] == [
        (13, 6, 11, {"sensor.t": 15}),
        (13, 6, 11, {"sensor.t": 5}),
    ]


def test_a_batch_that_is_sent_again_and_an_event_that_comes_by_two_roads_count_once() -> None:
    watch = Watch()
    events = [at(changed("sensor.t", one, state=str(one), unit="°C"), one) for one in range(5)]
    twin = at(changed("sensor.t", None, state="4", unit="°C"), 4)

    watch.see(*events, batch_id="again")
    watch.see(twin)
    watch.see(*events, batch_id="again")

    (page,) = watch.pages(after_s=301)
    assert [one.events for one in page.activity] == [{"sensor.t": 5}]


def test_nothing_goes_out_more_often_than_every_few_seconds() -> None:
    watch = Watch()

    for number in range(100):
        watch.now += 0.1
        watch.see(at(changed(LIGHT, number + 1, user=ANNA), number))

    assert len(watch.post.waiting()) <= 2
    assert watch.edges()["controls", f"user:{ANNA}", LIGHT] == 100


def test_a_page_that_could_not_be_sent_is_sent_later_with_the_same_number() -> None:
    class Away(MemoryObservedPost):
        away = True

        def put(self, page: ObservedPage) -> bool:
            if self.away:
                super().put(page)
                raise errors.StateUnavailable("the answer was lost")
            return super().put(page)

    post = Away()
    watch, kept = Watch(post), MemoryObserved()
    watch.see(at(changed(LIGHT, 1, user=ANNA), 1))
    watch.pages()
    post.away = False
    kept.add(post.waiting())
    watch.see(at(changed(LIGHT, 2, user=ANNA), 2))
    kept.add(watch.pages())
    kept.add(watch.pages())

    assert counts(kept.load("home")) == {("controls", f"user:{ANNA}", LIGHT): 2}


def test_what_finds_no_room_waits_with_its_worker() -> None:
    watch = Watch(MemoryObservedPost(most=0))
    for number in range(1, 4):
        watch.see(at(changed(LIGHT, number, user=ANNA), number))
        assert watch.pages() == []

    watch.post = watch.step._post = MemoryObservedPost()

    assert sum(edge.count for page in watch.pages() + watch.pages() for edge in page.edges) == 3


def test_counts_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed_counts, "MAX_EDGES", 10)
    monkeypatch.setattr(observed_counts, "MAX_ENTITIES", 10)
    watch = Watch()

    for number in range(1, 100):
        watch.see(changed(f"light.l{number}", number, user=ANNA))

    page = watch.pages(after_s=301)[0]
    assert len(page.edges) == 10
    assert sum(len(one.events) for one in page.activity) <= 11


@pytest.mark.parametrize("year", ["2024", "2026"])
def test_the_recorded_homes_give_the_same_edges_in_any_order(year: str) -> None:
    """Known of the recording: chain A, B, C; a pair that sets each other off; a light that follows a motion sensor."""
    events = events_of(frames_of(year))
    found = []
    for seed in (None, 5):
        watch = Watch()
        some = enriched(batches_of(events, 50), [watch.cause], home_map(events), seed)
        watch.see(*sorted((event for each in some.values() for event in each), key=lambda event: event.slot))
        found.append({key: count for key, count in watch.edges().items() if key[0] not in {"together", "lost_with"}})

    assert found[0] == found[1]
    assert ("starts", "automation.chain_a", "automation.chain_b") in found[0]
    assert ("starts", "automation.chain_b", "automation.chain_c") in found[0]
    assert found[0]["starts", "automation.circular_ping", "automation.circular_pong"] > 10
    assert found[0]["starts", "automation.circular_pong", "automation.circular_ping"] > 10
    assert ("triggers", "binary_sensor.motion", "automation.motion_light") in found[0]


def test_what_runs_often_is_told_at_once_but_not_every_time() -> None:
    watch = Watch()

    def runs(automation: str, times: int, after_s: float = 0.0) -> list[str]:
        watch.now += after_s
        watch.see(*(at(triggered(automation, watch.batches * 100 + number), watch.now) for number in range(times)))
        return watch.often

    assert [runs(HALL, 2), runs(NIGHT, 1), runs(HALL, 1)] == [[], [], [HALL]]
    assert [runs(HALL, 3, after_s=0.5), runs(NIGHT, 2), runs(NIGHT, 0, after_s=2)] == [[], [], [HALL, NIGHT]]
    assert [runs(HALL, 2, after_s=9), runs(HALL, 2, after_s=16), runs(HALL, 1, after_s=1)] == [[], [], [HALL]]


def test_what_ran_twice_in_every_quarter_of_a_minute_is_fetched_with_the_others() -> None:
    watch = Watch()
    told = []
    for number in range(20):
        watch.now += 8
        watch.see(at(triggered(HALL, number), watch.now))
        told += watch.often

    assert told == []
