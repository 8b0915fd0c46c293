"""What an automation did at its time gets that cause, also where another worker saw the effect first (rule 7)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache

import msgspec
import pytest

from ingestor import errors
from ingestor.demo.clock import ManualClock
from ingestor.demo.home import DemoHome
from ingestor.demo.wire import Event as DemoEvent
from ingestor.enrichment.cause import CauseStep
from ingestor.enrichment.cause_late import CauseSeeker
from ingestor.enrichment.cause_shared import MemoryContexts
from ingestor.enrichment.contexts import minute_from, time_ms_of
from ingestor.enrichment.place import PlaceStep
from ingestor.enrichment.steps import Step
from ingestor.events.event import Event
from ingestor.events.frame import new_batch_id
from ingestor.events.late import overtaken
from ingestor.events.point import StoredEvent
from ingestor.pipeline.enrich import enrich
from ingestor.pipeline.late_causes import LateCauses, LateOutcome
from ingestor.pipeline.write import Writer
from ingestor.queue.late_post import MemoryLatePost
from ingestor.settings import StorageSettings
from ingestor.storage.context_fields import ContextFields
from ingestor.storage.memory import MemoryStore
from ingestor.storage.port import EventQuery
from ingestor.storage.schema import STATES, PointBuilder
from ingestor.storage.written_memory import MemoryWrittenIndex
from tests.unit.cause_stage import START_NS, batches_of, events_of, frames_of, home_map
from tests.unit.test_cause import HALL, LIGHT, MOTION, NIGHT, about, changed, triggered

#: 17:00 in Amsterdam: everybody comes home.
EVENING_US = int(datetime(2026, 3, 11, 16, tzinfo=UTC).timestamp()) * 1_000_000
NAMES = ("cause_kind", "cause_id", "root_cause_kind", "root_cause_id", "cause_depth")
TIME = "time pattern"


class Bench:
    """Workers that enrich, one that writes, one that settles. Everything that may stand on a point does."""

    def __init__(self, workers: int = 2, wait_s: float = 0) -> None:
        shared = MemoryContexts()
        settings = StorageSettings(context_fields=("*",))
        self.store, self.post, self.now_s = MemoryStore(), MemoryLatePost(), 0.0
        self.workers = [CauseStep(shared.beside(), wait_s=wait_s) for _ in range(workers)]
        self.writer = Writer(self.store, PointBuilder(settings), MemoryWrittenIndex())
        self.settling = LateCauses(self.post, CauseSeeker(shared.beside()), self.store, ContextFields(("*",)))
        self.batches = 0

    def comes(self, worker: int, *events: Event) -> None:
        """Let a worker enrich a batch of these events, and write it."""
        self.batches += 1
        for slot, event in enumerate(events):
            event.slot, event.identity = slot, self.batches * 100 + slot
            event.time_us = (time_ms_of(event.context_id or "") or 0) * 1000 + slot
        (batch,) = batches_of(events, len(events))
        batch.batch_id = f"{self.batches:026}"
        steps: list[Step] = [PlaceStep(), self.workers[worker]]
        found = enrich(batch, home_map(events), now_ns=START_NS, wait_s=5, steps=steps)
        assert found.ready is not None
        self.post.put("home", [*self.writer.write(found.ready).late, *map(overtaken, found.overtaken)], self.now_s)

    def settle(self, after_s: float = 5) -> LateOutcome:
        self.now_s += after_s
        return self.settling.settle("home", lambda: self.now_s)

    def told(self) -> dict[str, str]:
        """Return the cause of each point by its entity (or type of event), as `kind id <- root kind id (depth)`."""
        return {
            str(one.fields.get("entity_id", one.fields.get("event_type"))): in_words(one.fields) for one in self.all()
        }

    def all(self) -> list[StoredEvent]:
        return list(self.store.read(EventQuery(limit=100_000)))


def in_words(fields: Mapping[str, object]) -> str:
    return " ".join(str(fields.get(name, "-")) for name in NAMES)


BY_TIME = f"automation {HALL} time {TIME} 2"


def test_a_light_that_another_worker_took_for_its_own_doing_is_told_to_be_the_automations() -> None:
    bench = Bench()
    bench.comes(0, changed(LIGHT, 2), about("call_service", None, 2))
    before = bench.told()

    bench.comes(1, triggered(HALL, 2, TIME))
    settled = bench.settle()

    assert before == {LIGHT: "device - - - -", "call_service": "unknown - - - -"}
    assert bench.told() == {LIGHT: BY_TIME, "call_service": BY_TIME, HALL: f"time {TIME} time {TIME} 1"}
    assert settled == LateOutcome(settled=2, waiting=1)


def test_one_worker_alone_that_sees_the_effect_a_batch_earlier_is_put_right_too() -> None:
    bench = Bench(workers=1)
    bench.comes(0, changed(LIGHT, 2))
    bench.comes(0, triggered(HALL, 2, TIME))

    bench.settle()

    assert bench.told()[LIGHT] == BY_TIME


def test_what_followed_from_the_effect_gets_the_same_root() -> None:
    bench = Bench(workers=3)
    bench.comes(0, changed(LIGHT, 2))
    bench.comes(2, triggered(NIGHT, 3, f"state of {LIGHT}", parent=2), changed(MOTION, 3, parent=2))
    wrong = bench.told()[MOTION]

    bench.comes(1, triggered(HALL, 2, TIME))
    bench.settle()
    bench.comes(2, changed("switch.fan", 3, parent=2))

    assert wrong == f"automation {NIGHT} device {LIGHT} 2"
    told = bench.told()
    assert told[MOTION] == told["switch.fan"] == f"automation {NIGHT} time {TIME} 3"
    assert told[NIGHT] == f"automation {HALL} time {TIME} 2"


def test_an_automation_that_was_heard_to_run_before_it_said_why_gets_its_root_then() -> None:
    bench = Bench()
    bench.comes(0, changed(HALL, 2, previous_state="on"), changed(LIGHT, 2))
    wrong = bench.told()

    bench.comes(1, triggered(HALL, 2, TIME))
    bench.settle()

    assert wrong[LIGHT] == f"automation {HALL} unknown - 2"
    assert bench.told() == {LIGHT: BY_TIME, HALL: f"time {TIME} time {TIME} 1"}


def test_what_comes_in_order_is_never_looked_up() -> None:
    bench = Bench()
    bench.comes(0, triggered(HALL, 2, TIME), changed(HALL, 2, previous_state="on"), changed(LIGHT, 2))
    bench.comes(1, changed("switch.fan", 2))
    bench.comes(1, changed(HALL, 2, previous_state="on"))
    bench.comes(0, changed("switch.dryer", 2), changed(HALL, 2, previous_state="on"))

    assert bench.post.waiting("home") == []
    assert set(bench.told().values()) == {BY_TIME, f"time {TIME} time {TIME} 1"}


def test_what_is_written_after_the_first_look_is_found_by_the_last() -> None:
    bench = Bench()
    bench.comes(0, changed(LIGHT, 2))
    (late,) = (one for one in bench.store.points.items() if one[0][0] == STATES)
    bench.comes(1, triggered(HALL, 2, TIME))
    bench.store.points.pop(late[0])
    looks = [bench.settle()]

    bench.store.points[late[0]] = late[1]
    looks += [bench.settle(after_s=30), bench.settle(after_s=30), bench.settle()]

    assert looks == [LateOutcome(waiting=1)] * 2 + [LateOutcome(settled=1), LateOutcome()]
    assert bench.told()[LIGHT] == BY_TIME


def test_a_store_that_cannot_be_read_keeps_no_other_cause_from_being_settled() -> None:
    class Unread(MemoryStore):
        fault: errors.IngestorError = errors.StoreUnavailable("away")

        def read(self, query: EventQuery) -> Iterator[StoredEvent]:
            del query
            raise self.fault

    bench = Bench()
    bench.comes(0, changed(LIGHT, 2), changed(MOTION, 9, parent=8))
    bench.comes(1, triggered(HALL, 2, TIME), triggered(NIGHT, 9, "time", parent=8))
    store, seeker = Unread(), bench.settling._seeker
    settling = LateCauses(bench.post, seeker, store, ContextFields(("*",)))

    away = settling.settle("home", lambda: 5.0)
    store.fault = errors.StoreRefused("may not read")
    refused = settling.settle("home", lambda: 9.0)

    assert (away.settled, away.waiting) == (1, 1)
    assert (refused.waiting, bench.post.waiting("home")) == (0, [])


def test_the_time_of_a_context_is_read_of_its_id_and_whoever_has_none_is_left_alone() -> None:
    made = new_batch_id(1_795_229_244_123)

    assert time_ms_of(made) == 1_795_229_244_123
    assert [time_ms_of(one) for one in ("", "x" * 26, "a" * 32)] == [None, None, None]
    assert [time_ms_of(one) for one in minute_from(made)] == [1_795_229_244_123 + 32_768 * n for n in range(3)]
    assert minute_from("own") == ["own"]


@cache
def demo_frames() -> tuple[bytes, ...]:
    """Return what a demo home says in an evening of those that are caused, or cause something."""
    home = DemoHome(clock=ManualClock(EVENING_US), entities=120, rate=0.3)
    home.begin()
    heard: list[DemoEvent] = []
    home.listen(heard.append)
    for _ in range(120):
        home.run_for(60)
    return tuple(one.message(1) for one in heard if not (one.entity_id or "").startswith("sensor."))


def at_its_time(events: Sequence[Event], every: int) -> list[Event]:
    """Let every so many automations be set off by the time, and by nothing else; return the events."""
    runs = [one.context_id for one in events if one.event_type == "automation_triggered" and one.parent_id]
    chosen = {one for number, one in enumerate(dict.fromkeys(runs)) if number % every == 0}
    for event in events:
        if event.context_id in chosen:
            event.parent_id = event.user_id = None
            if event.event_type == "automation_triggered":
                event.data = {**(event.data or {}), "source": TIME}
    return list(events)


def ended(
    bench: Bench, events: Sequence[Event], size: int, chance: random.Random | None = None
) -> list[dict[str, str]]:
    """Let a home's events come in batches, shuffled over the workers; return each point's cause, before and after."""
    places = home_map(events)
    batches = batches_of([msgspec.structs.replace(one, notes=[]) for one in events], size)
    if chance is not None:
        chance.shuffle(batches)
    for batch in batches:
        steps: list[Step] = [PlaceStep(), chance.choice(bench.workers) if chance else bench.workers[0]]
        found = enrich(batch, places, now_ns=START_NS, wait_s=5, steps=steps)
        assert found.ready is not None
        bench.post.put("home", [*bench.writer.write(found.ready).late, *map(overtaken, found.overtaken)], bench.now_s)
    before = {str(one.fields["event_id"]): in_words(one.fields) for one in bench.all()}
    bench.settle()
    return [before, {str(one.fields["event_id"]): in_words(one.fields) for one in bench.all()}]


@pytest.mark.parametrize("home", ["2024", "2026", "demo"])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_point_of_a_home_ends_with_the_cause_that_it_has_when_all_is_heard_in_order(home: str, seed: int) -> None:
    frames = list(demo_frames()) if home == "demo" else frames_of(home)
    events = at_its_time(events_of(frames), every=2)

    expected, _ = ended(Bench(workers=1), events, len(events))
    before, after = ended(Bench(workers=4), events, 5, random.Random(seed))

    mistaken = [one for one, truth in expected.items() if TIME in truth and before[one] != truth]
    assert len(mistaken) >= 5
    assert {one: (after[one], truth) for one, truth in expected.items() if after[one] != truth} == {}
