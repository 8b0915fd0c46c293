"""A batch that the store fails over (HTTP 500) while it takes all others: taken apart, and not sent round for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import pytest
import redis

from ingestor import errors
from ingestor.events.event import EventBatch
from ingestor.events.point import Point
from ingestor.pipeline.write import Writer, Written
from ingestor.pipeline.write_alone import SuspectingWriter
from ingestor.settings import StorageSettings
from ingestor.storage.breaker import GuardedStore, StoreBreaker
from ingestor.storage.isolating import IsolatingStore
from ingestor.storage.memory import MemoryStore
from ingestor.storage.port import WriteResult
from ingestor.storage.schema import PointBuilder
from ingestor.storage.suspects import TIMES, Suspects
from ingestor.storage.written_memory import MemoryWrittenIndex
from tests.unit.test_write import batch, event

STATES = ["ok 0", "ok 1", "ok 2", "bad", "ok 4", "ok 5"]
POISON = batch(*(event(slot, state=state, time_us=1000 + slot) for slot, state in enumerate(STATES)))


class Sick(MemoryStore):
    """A store that answers 500 to whatever holds a state that it cannot bear, and to everything while it is down."""

    def __init__(self) -> None:
        super().__init__()
        self.unbearable = "bad"
        self.down = False
        self.flaky: Iterator[bool] = iter(())
        self.asked = 0

    def write(self, points: Sequence[Point]) -> WriteResult:
        self.asked += 1
        bad = any(point.fields.get("state") == self.unbearable for point in points)
        if self.down or bad or next(self.flaky, False):
            raise errors.StoreUnavailable("HTTP 500: internal error", broken=True)
        return super().write(points)


@pytest.fixture
def store() -> Sick:
    return Sick()


@pytest.fixture
def writer(state: redis.Redis[bytes], store: Sick) -> SuspectingWriter:
    clock = iter(range(0, 100_000, 10))
    breaker = StoreBreaker(state, clock=lambda: float(next(clock)), spread=lambda _low, _high: 0.001)
    builder, index = PointBuilder(StorageSettings()), MemoryWrittenIndex()
    alone = Writer(IsolatingStore(store, pause=lambda _s: None), builder, index)
    return SuspectingWriter(Writer(GuardedStore(store, breaker), builder, index), alone, Suspects(state, young_for_s=0))


def write(writer: SuspectingWriter, one: EventBatch) -> Written | None:
    """Write a batch as soon as the breaker lets it pass; None where the store has failed over it."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return writer.write(one)
        except errors.StoreUnavailable as error:
            if error.broken:
                return None
            assert time.monotonic() < deadline, "the breaker stays open"


def test_a_batch_that_fails_while_others_pass_is_taken_apart_and_one_event_is_blamed(
    writer: SuspectingWriter, store: Sick
) -> None:
    for number in range(TIMES):
        assert write(writer, POISON) is None
        assert write(writer, batch(event(state=f"fine {number}", time_us=number), batch_id=f"fine {number}"))

    written = write(writer, POISON)

    assert written is not None
    assert [(one.slot, one.reason) for one in written.quarantined] == [(3, "store_fails")]
    assert "HTTP 500" in written.quarantined[0].detail
    assert {one.outcome: sorted(one.slots) for one in written.mark.settled} == {
        "written": [0, 1, 2, 4, 5],
        "rejected": [3],
    }
    assert {fields.get("state") for fields in store.points.values()} >= set(STATES) - {"bad"}


def test_while_the_store_takes_nothing_no_batch_is_blamed_however_often_it_fails(
    writer: SuspectingWriter, store: Sick
) -> None:
    store.down = True

    for _ in range(5 * TIMES):
        assert write(writer, POISON) is None

    store.down, store.unbearable = False, "none"
    written = write(writer, POISON)
    assert written is not None
    assert written.quarantined == []


def test_a_young_suspect_is_not_blamed(state: redis.Redis[bytes]) -> None:
    suspects = Suspects(state, young_for_s=60)

    for number in range(5 * TIMES):
        state.set("ha_ingestor:store:taken", number)
        assert not suspects.note("a batch")


def test_what_fails_now_and_then_is_tried_again_before_it_is_blamed() -> None:
    store = Sick()
    store.flaky = iter([True, True, True, False, True, False])
    points = [Point("m", (("series", f"sensor.{number}"),), {"value": 1.0}, 1, number) for number in range(2)]

    result = IsolatingStore(store, pause=lambda _s: None).write(points)

    assert (result.written, result.rejected) == (2, [])


def test_a_search_in_a_slow_store_ends_and_refuses_together_what_is_left() -> None:
    store = Sick()
    store.down = True
    now_s = iter(range(1_000))
    points = [Point("m", (("series", f"sensor.{number}"),), {"value": 1.0}, 1, number) for number in range(500)]

    result = IsolatingStore(store, clock=lambda: float(next(now_s)), pause=lambda _s: None).write(points)

    assert len(result.rejected) == 500
    assert store.asked < 40


def test_a_store_that_goes_away_during_the_search_blames_nobody() -> None:
    class Gone(Sick):
        def write(self, points: Sequence[Point]) -> WriteResult:
            if self.asked > 2:
                raise errors.StoreUnavailable("connection refused")
            return super().write(points)

    store = Gone()
    store.down = True
    points = [Point("m", (("series", f"sensor.{number}"),), {"value": 1.0}, 1, number) for number in range(8)]

    with pytest.raises(errors.StoreUnavailable, match="connection refused"):
        IsolatingStore(store, pause=lambda _s: None).write(points)
