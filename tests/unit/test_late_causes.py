"""Causes that become known after their event was written are rewritten on the same point, nothing else (rule 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from ingestor import errors
from ingestor.enrichment.cause import CauseStep
from ingestor.enrichment.cause_late import CauseSeeker
from ingestor.enrichment.cause_shared import Exchange, MemoryContexts
from ingestor.enrichment.place import PlaceStep
from ingestor.enrichment.steps import Step
from ingestor.events.event import Event, EventBatch, Place
from ingestor.events.point import Point
from ingestor.home.cache import MemoryHomeMap
from ingestor.home.model import Snapshot, Timeline
from ingestor.pipeline.enrich import enrich
from ingestor.pipeline.late_causes import LateCauses, LateOutcome
from ingestor.pipeline.write import Writer, Written
from ingestor.queue.late_post import LatePost, MemoryLatePost
from ingestor.settings import StorageSettings
from ingestor.storage.context_fields import ContextFields
from ingestor.storage.memory import MemoryStore
from ingestor.storage.port import EventQuery, WriteResult
from ingestor.storage.schema import PointBuilder
from ingestor.storage.written_memory import MemoryWrittenIndex
from tests.unit.test_cause import ANNA, HALL, LIGHT, MOTION, changed, triggered

T0_S = 1_795_229_244
WAITED = 10.0
BY_HALL = {"cause_kind": "automation", "cause_id": HALL, "root_cause_kind": "user", "root_cause_id": ANNA}


class AwayStore(MemoryStore):
    """A store that is away when it is told to be."""

    away = False
    last: Sequence[Point] = ()

    def write(self, points: Sequence[Point]) -> WriteResult:
        if self.away:
            raise errors.StoreUnavailable("away")
        self.last = points
        return super().write(points)


@dataclass
class Bench:
    """Two workers that enrich, one that writes, one that settles; and their clock."""

    contexts: MemoryContexts = field(default_factory=MemoryContexts)
    store: AwayStore = field(default_factory=AwayStore)
    post: LatePost = field(default_factory=MemoryLatePost)
    settings: StorageSettings = field(default_factory=StorageSettings)
    index: MemoryWrittenIndex = field(default_factory=MemoryWrittenIndex)
    now_s: float = float(T0_S)
    batches: int = 0

    def __post_init__(self) -> None:
        self.home_map = MemoryHomeMap()
        names = (LIGHT, MOTION, HALL)
        places = {name: Timeline(0, Place(name, name.partition(".")[0], area="Hall")) for name in names}
        self.home_map.publish(Snapshot("home", 1, 0, places), [])
        self.settling = self.settler()

    def settler(self) -> LateCauses:
        seeker = CauseSeeker(self.contexts.beside())
        return LateCauses(self.post, seeker, self.store, ContextFields(self.settings.context_fields))

    def comes(self, *events: Event) -> Written:
        """Let a batch come whose events have waited in vain for their parents."""
        self.batches += 1
        for slot, event in enumerate(events):
            event.slot, event.time_us, event.identity = slot, T0_S * 1_000_000 + slot, self.batches
        batch = EventBatch(f"{self.batches:026}", "home", "websocket", "j", 1, len(events), list(events))
        batch.first_tried_ns = 1
        steps: list[Step] = [PlaceStep(), CauseStep(self.contexts.beside())]
        ready = enrich(batch, self.home_map, now_ns=int(WAITED * 1e9), wait_s=5, steps=steps).ready
        assert ready is not None
        return self.write(ready)

    def write(self, batch: EventBatch) -> Written:
        self.batch = batch
        written = Writer(self.store, PointBuilder(self.settings), self.index).write(batch)
        self.post.put("home", written.late, self.now_s)
        return written

    def settle(self, after_s: float = 0) -> LateOutcome:
        self.now_s += after_s
        return self.settling.settle("home", lambda: self.now_s)

    def fields(self, entity_id: str) -> dict[str, object]:
        """Return all fields of the one point of an entity."""
        (found,) = (one for one in self.store.read(EventQuery(entity=entity_id)) if one.kind == "state")
        return dict(found.fields)


def switched() -> Event:
    return changed(LIGHT, 2, parent=1)


def without_cause(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if "cause" not in name}


def parents() -> list[Event]:
    return [changed(MOTION, 1, user=ANNA), triggered(HALL, 2, f"state of {MOTION}", parent=1)]


def test_a_parent_whose_batch_comes_ten_seconds_later_is_written_to_the_same_point() -> None:
    bench = Bench()
    bench.comes(switched())
    before = bench.fields(LIGHT)

    early = bench.settle(after_s=5)
    bench.comes(*parents())
    late = bench.settle(after_s=5)

    assert early == LateOutcome(waiting=1)
    assert late == LateOutcome(settled=1)
    after = bench.fields(LIGHT)
    assert BY_HALL.items() <= after.items()
    assert (before["root_cause_kind"], after["root_cause_kind"]) == ("unknown", "user")
    assert without_cause(after) == without_cause(before)
    assert bench.settle(after_s=5) == LateOutcome()


def test_a_parent_that_never_comes_is_given_up_after_a_minute_and_the_point_stays_as_it_is() -> None:
    bench = Bench()
    bench.comes(switched())
    before = bench.fields(LIGHT)

    looks = [bench.settle(after_s=10) for _ in range(7)]

    assert [look.waiting for look in looks] == [1, 1, 1, 1, 1, 0, 0]
    assert [look.given_up for look in looks] == [0, 0, 0, 0, 0, 1, 0]
    assert bench.fields(LIGHT) == before


def test_after_a_restart_who_waits_is_looked_up_by_what_others_heard() -> None:
    bench = Bench()
    bench.comes(switched())
    bench.settle(after_s=5)

    bench.settling = bench.settler()
    bench.comes(*parents())

    assert bench.settle(after_s=5) == LateOutcome(settled=1)
    assert BY_HALL.items() <= bench.fields(LIGHT).items()


def test_a_stop_of_minutes_costs_nobody_the_last_look() -> None:
    bench = Bench()
    bench.comes(switched())
    bench.comes(*parents())

    assert bench.settle(after_s=300) == LateOutcome(settled=1)


def test_only_fields_of_the_cause_are_written_and_with_the_points_own_series_and_time() -> None:
    bench = Bench()
    bench.comes(switched())
    (written,) = bench.store.read(EventQuery(entity=LIGHT))
    bench.comes(*parents())

    bench.settle(after_s=5)

    (point,) = bench.store.last
    assert (point.time_ns, dict(point.tags)["series"], dict(point.tags)["area"]) == (written.time_ns, LIGHT, "Hall")
    assert set(point.fields) == {*BY_HALL, "cause_depth"}


def test_fields_that_no_point_wants_are_not_written_late_either() -> None:
    bench = Bench(settings=StorageSettings(context_fields=("root_cause_id",)))
    bench.comes(switched())
    bench.comes(*parents())

    bench.settle(after_s=5)

    assert {name: value for name, value in bench.fields(LIGHT).items() if "cause" in name} == {"root_cause_id": ANNA}


def test_while_the_store_is_away_all_go_on_waiting() -> None:
    bench = Bench()
    bench.comes(switched())
    bench.comes(*parents())
    bench.store.away = True

    with pytest.raises(errors.StoreUnavailable):
        bench.settle(after_s=5)
    bench.store.away = False

    assert bench.settle(after_s=100) == LateOutcome(settled=1)


def test_an_event_that_had_to_move_is_rewritten_where_it_stands() -> None:
    bench = Bench()
    bench.comes(switched())
    rewritten = bench.post.waiting("home")

    moved = bench.batch.events[0]
    moved.identity += 1000  # the same digits below the microsecond, another event
    moved.state = "off"
    bench.batch.batch_id = "Z" * 26
    written = bench.write(bench.batch)

    assert written.moved == 1
    (other,) = (one.late for one in bench.post.waiting("home") if one not in rewritten)
    assert other.time_ns == rewritten[0].late.time_ns + 1


def test_a_batch_that_is_sent_again_waits_once_and_since_it_was_written_first() -> None:
    bench = Bench()
    bench.comes(switched())
    bench.now_s += 50

    again = bench.write(bench.batch)

    assert again.points == 0
    assert [one.since_s for one in bench.post.waiting("home")] == [T0_S]


def test_who_is_no_point_of_ours_waits_for_nothing() -> None:
    bench = Bench(settings=StorageSettings(schema_="home-assistant"))

    assert bench.comes(switched()).late == []


def test_a_batch_without_such_events_remembers_none() -> None:
    bench = Bench()

    assert bench.comes(*parents(), switched()).late == []


def test_a_chain_whose_parents_come_one_by_one_is_settled_when_its_beginning_is_known() -> None:
    bench = Bench()
    bench.comes(changed(LIGHT, 3, parent=2))
    bench.comes(triggered(HALL, 3, f"state of {MOTION}", parent=2))
    first = bench.settle(after_s=5)
    bench.comes(changed(MOTION, 2, user=ANNA))

    assert first.waiting == 2
    assert bench.settle(after_s=5).settled == 2
    assert bench.fields(LIGHT)["root_cause_id"] == ANNA


def test_of_thousands_that_wait_the_oldest_are_let_go() -> None:
    post = MemoryLatePost(most=1)
    bench = Bench(post=post)
    first = bench.comes(switched()).late
    bench.now_s += 1

    let_go = post.put("home", bench.comes(changed(LIGHT, 9, parent=8)).late, bench.now_s)

    assert let_go == 0
    assert len(post.waiting("home")) == 1
    assert post.waiting("home")[0].late not in first


def test_a_state_server_that_is_away_leaves_all_waiting() -> None:
    bench = Bench()
    bench.comes(switched())

    class Away(MemoryContexts):
        def exchange(self, exchange: Exchange) -> None:
            raise errors.StateUnavailable(exchange.home)

    bench.settling = LateCauses(bench.post, CauseSeeker(Away()), bench.store, ContextFields(("*",)))

    with pytest.raises(errors.StateUnavailable):
        bench.settle(after_s=100)
    assert len(bench.post.waiting("home")) == 1
