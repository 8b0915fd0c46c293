"""write: an event is one point, whoever brings it, however often, in whatever order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from ingestor import errors
from ingestor.events.event import Event, EventBatch, Place, Settled
from ingestor.events.identity import state_identity
from ingestor.events.point import Point
from ingestor.pipeline.write import Writer, Written
from ingestor.settings import StorageSettings
from ingestor.storage.descriptions import ENTITIES
from ingestor.storage.memory import MemoryStore
from ingestor.storage.port import Rejection, WriteResult
from ingestor.storage.schema import STATES, PointBuilder
from ingestor.storage.written import Mark
from ingestor.storage.written_memory import MemoryWrittenIndex

T0_US = 1_795_229_244_000_000
PLACE = Place("sensor.kitchen", "sensor", area="Kitchen")


def event(slot: int = 0, *, state: str | None = "21.5", source: str = "websocket", **changes: Any) -> Event:
    made = Event(
        slot=slot,
        kind="state",
        event_type="state_changed",
        subject="sensor.kitchen",
        entity_id="sensor.kitchen",
        time_us=T0_US,
        received_ns=T0_US * 1000,
        source=source,
        identity=state_identity(state),
        state=state,
        place=0,
    )
    return msgspec.structs.replace(made, **changes)


def batch(*events: Event, batch_id: str = "A", settled: Sequence[Settled] = ()) -> EventBatch:
    return EventBatch(batch_id, "home", "any", "journal", 1, len(events), list(events), list(settled), [PLACE])


@dataclass
class Bench:
    """A writer on memory twins."""

    store: MemoryStore = field(default_factory=MemoryStore)
    index: MemoryWrittenIndex = field(default_factory=MemoryWrittenIndex)

    def write(self, *events: Event, batch_id: str = "A", settled: Sequence[Settled] = ()) -> Written:
        writer = Writer(self.store, PointBuilder(StorageSettings()), self.index)
        return writer.write(batch(*events, batch_id=batch_id, settled=settled), lambda: T0_US * 1000 + 5_000_000)

    def outcomes(self, written: Written) -> dict[int, str]:
        return {slot: settled.outcome for settled in written.mark.settled for slot in settled.slots}

    def fields(self) -> list[dict[str, Any]]:
        """The points of events: beside them stands what is known of their entity."""
        return [fields for (measurement, _, _), fields in self.store.points.items() if measurement != ENTITIES]


def test_every_slot_ends_with_an_outcome_and_what_was_settled_before_goes_along() -> None:
    bench = Bench()

    written = bench.write(event(0), event(2, time_us=T0_US + 1), settled=[Settled("rejected", [1])])

    assert bench.outcomes(written) == {0: "written", 1: "rejected", 2: "written"}
    assert (written.mark.batch_id, written.mark.target, written.mark.lag_ns) == ("A", "store", 5_000_000)
    assert len(bench.fields()) == 2


def test_the_same_event_by_another_batch_is_a_duplicate_and_one_point() -> None:
    bench = Bench()
    bench.write(event())

    written = bench.write(event(), batch_id="B")

    assert bench.outcomes(written) == {0: "duplicate"}
    assert len(bench.fields()) == 1


def test_a_batch_sent_again_counts_its_own_points_as_written() -> None:
    bench = Bench()
    bench.write(event())

    written = bench.write(event())

    assert bench.outcomes(written) == {0: "written"}
    assert len(bench.fields()) == 1


def test_the_same_event_twice_in_one_batch_is_one_point_and_one_duplicate() -> None:
    bench = Bench()

    written = bench.write(event(0), event(1))

    assert bench.outcomes(written) == {0: "written", 1: "duplicate"}
    assert len(bench.fields()) == 1


@pytest.mark.parametrize("order", [("websocket", "statestream"), ("statestream", "websocket")])
def test_the_richer_source_wins_whichever_comes_first(order: tuple[str, str]) -> None:
    bench = Bench()
    knows: dict[str, dict[str, Any]] = {"websocket": {"context_id": "C", "previous_state": "21.0"}, "statestream": {}}

    told = [
        bench.write(event(source=source, **knows[source]), batch_id=str(number)) for number, source in enumerate(order)
    ]

    (fields,) = bench.fields()
    assert fields["source"] == "websocket"
    assert (fields["context_id"], fields["previous_state"]) == ("C", "21.0")
    assert [bench.outcomes(written) for written in told] == [{0: "written"}, {0: "duplicate"}]


@pytest.mark.parametrize("order", [("websocket", "history"), ("history", "websocket")])
def test_of_twins_that_are_sent_again_the_first_is_still_the_one_that_counts(order: tuple[str, str]) -> None:
    bench = Bench()
    for number, source in enumerate(order):
        bench.write(event(source=source), batch_id=str(number))

    again = [bench.write(event(source=source), batch_id=str(number)) for number, source in enumerate(order)]

    assert [bench.outcomes(written) for written in again] == [{0: "written"}, {0: "duplicate"}]


@pytest.mark.parametrize("sources", [("websocket", "history"), ("history", "websocket"), ("history", "history")])
def test_a_batch_with_twins_that_is_sent_again_has_one_written_as_before(sources: tuple[str, str]) -> None:
    bench = Bench()
    twins = [event(slot, source=source) for slot, source in enumerate(sources)]
    bench.write(*twins)

    again = bench.write(*twins)

    assert sorted(bench.outcomes(again).values()) == ["duplicate", "written"]


def test_twins_that_another_batch_wrote_before_are_both_duplicates() -> None:
    bench = Bench()
    bench.write(event(source="eventstream"))
    twins = event(0, source="websocket"), event(1, source="history")

    written = bench.write(*twins, batch_id="B")

    assert bench.outcomes(written) == {0: "duplicate", 1: "duplicate"}
    assert [fields["source"] for fields in bench.fields()] == ["websocket"]


def test_two_events_of_one_series_in_one_microsecond_are_two_points() -> None:
    bench = Bench()

    bench.write(event(0, state="1"), event(1, state="2"))

    assert sorted(fields["state"] for fields in bench.fields()) == ["1", "2"]


def colliding_states() -> tuple[str, str]:
    """Return two states whose digits below the microsecond are equal."""
    seen: dict[int, str] = {}
    for number in range(10_000):
        digits = state_identity(str(number)) % 1000
        if digits in seen:
            return seen[digits], str(number)
        seen[digits] = str(number)
    raise AssertionError("no collision")


@pytest.mark.parametrize("together", [True, False])
def test_a_collision_takes_the_next_free_digit_and_keeps_it_when_sent_again(together: bool) -> None:
    bench = Bench()
    one, two = colliding_states()
    sendings = (
        [[event(0, state=one), event(1, state=two)]] if together else [[event(0, state=one)], [event(0, state=two)]]
    )

    for _ in range(2):
        moved = [bench.write(*events, batch_id=str(number)).moved for number, events in enumerate(sendings)]

    assert sorted(fields["state"] for fields in bench.fields()) == sorted((one, two))
    assert len(bench.fields()) == 2
    assert sum(moved) == 1


def test_what_the_store_refuses_is_quarantined_and_its_neighbours_are_written() -> None:
    class Refusing(MemoryStore):
        def _fault(self, point: Point) -> str:
            return "too odd" if point.fields.get("state") == "odd" else ""

    bench = Bench(store=Refusing())

    written = bench.write(event(0), event(1, state="odd"))

    assert bench.outcomes(written) == {0: "written", 1: "rejected"}
    (piece,) = written.quarantined
    assert (piece.slot, piece.reason, piece.detail) == (1, "field_type_conflict", "too odd")
    assert b'"odd"' in piece.raw


def test_an_event_that_the_chosen_schema_has_no_point_for_is_filtered() -> None:
    bench = Bench()
    writer = Writer(bench.store, PointBuilder(StorageSettings(schema_="home-assistant")), bench.index)

    written = writer.write(batch(event(0, state="unavailable"), event(1, time_us=T0_US + 1)))

    assert bench.outcomes(written) == {0: "filtered", 1: "written"}
    assert len(bench.fields()) == 1


def test_a_field_that_no_store_can_keep_is_quarantined() -> None:
    bench = Bench()

    written = bench.write(event(0, previous_state="x" * 70_000), event(1, time_us=T0_US + 9))

    assert bench.outcomes(written) == {0: "rejected", 1: "written"}
    assert written.quarantined[0].reason == "field_too_long"


def test_a_store_that_is_away_leaves_nothing_called_written() -> None:
    bench = Bench()
    bench.store.away = True

    with pytest.raises(errors.StoreUnavailable):
        bench.write(event())
    bench.store.away = False
    written = bench.write(event(), batch_id="B")

    assert bench.outcomes(written) == {0: "written"}
    assert len(bench.fields()) == 1


class Interrupted(MemoryStore):
    """Lets another worker do its whole work just before, or just after, the first write lands."""

    def __init__(self, *, before: bool) -> None:
        super().__init__()
        self.meanwhile: Callable[[], Any] | None = None
        self._before = before

    def write(self, points: Sequence[Point]) -> WriteResult:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile and self._before:
            meanwhile()
        result = super().write(points)
        if meanwhile and not self._before:
            meanwhile()
        return result


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("slower", ["websocket", "statestream"])
def test_two_workers_with_twins_at_the_same_moment_end_with_the_richer_source(slower: str, *, before: bool) -> None:
    faster = "statestream" if slower == "websocket" else "websocket"
    store = Interrupted(before=before)
    bench = Bench(store=store)
    told: list[Written] = []
    store.meanwhile = lambda: told.append(bench.write(event(source=faster), batch_id="fast"))

    told.append(bench.write(event(source=slower), batch_id="slow"))

    (fields,) = bench.fields()
    assert fields["source"] == "websocket"
    assert [bench.outcomes(written) for written in told] == [{0: "written"}, {0: "duplicate"}]


@pytest.mark.parametrize("before", [True, False])
def test_two_workers_with_colliding_events_at_the_same_moment_lose_neither(*, before: bool) -> None:
    one, two = colliding_states()
    store = Interrupted(before=before)
    bench = Bench(store=store)
    store.meanwhile = lambda: bench.write(event(state=one), batch_id="fast")

    bench.write(event(state=two), batch_id="slow")

    assert {fields["state"] for fields in bench.fields()} == {one, two}


def test_of_twins_in_one_batch_the_richer_is_written() -> None:
    bench = Bench()

    written = bench.write(event(0, source="statestream"), event(1, source="eventstream"))

    assert bench.outcomes(written) == {0: "duplicate", 1: "written"}
    assert [fields["source"] for fields in bench.fields()] == ["eventstream"]


def test_a_claim_of_a_worker_that_died_makes_no_event_a_duplicate() -> None:
    bench = Bench()
    bench.store.away = True
    with pytest.raises(errors.StoreUnavailable):
        bench.write(event(), batch_id="dead")
    bench.store.away = False

    written = bench.write(event(), batch_id="other")

    assert bench.outcomes(written) == {0: "written"}


def test_points_are_claimed_before_the_store_has_them_and_recorded_after() -> None:
    told: list[tuple[str, int]] = []

    class Watching(MemoryWrittenIndex):
        def claim(self, home: str, marks: Sequence[Mark]) -> list[Mark | None]:
            told.append(("claimed", bench.store.writes))
            return super().claim(home, marks)

        def record(self, home: str, marks: Sequence[Mark]) -> list[Mark | None]:
            told.append(("recorded", bench.store.writes))
            return super().record(home, marks)

    bench = Bench(index=Watching())

    bench.write(event())

    assert told == [("claimed", 0), ("recorded", 2)]


def test_of_two_points_the_piece_says_which_was_refused_and_that_the_other_is_stored() -> None:
    class RefusesOne(MemoryStore):
        def write(self, points: Sequence[Point]) -> WriteResult:
            super().write([point for point in points if point.measurement == STATES])
            bad = [n for n, point in enumerate(points) if point.measurement != STATES]
            return WriteResult(len(points) - len(bad), [Rejection(n, "field_type_conflict", "odd") for n in bad])

    store, index = RefusesOne(), MemoryWrittenIndex()
    both = PointBuilder(StorageSettings.model_validate({"schema": "both"}))

    written = Writer(store, both, index).write(batch(event(attributes={"unit_of_measurement": "°C"})))

    assert [(piece.reason, piece.slot) for piece in written.quarantined] == [("field_type_conflict", 0)]
    assert written.quarantined[0].detail == (
        "odd · Refused is this event's point in `°C`; its point in `home_assistant_events` is stored."
    )
    assert [(settled.outcome, settled.slots) for settled in written.mark.settled] == [("rejected", [0])]
    assert len(store.points) == 1


def test_an_event_both_points_of_which_are_refused_is_one_piece() -> None:
    class RefusesAll(MemoryStore):
        def write(self, points: Sequence[Point]) -> WriteResult:
            return WriteResult(0, [Rejection(n, "odd", point.measurement) for n, point in enumerate(points)])

    both = PointBuilder(StorageSettings.model_validate({"schema": "both"}))

    written = Writer(RefusesAll(), both, MemoryWrittenIndex()).write(batch(event()))

    (piece,) = written.quarantined
    assert piece.detail == "home_assistant_events · sensor.kitchen"


@pytest.mark.parametrize("order", [("websocket", "statestream"), ("statestream", "websocket")])
def test_an_event_that_came_by_two_roads_is_told_once_and_again_only_where_the_second_knew_more(
    order: tuple[str, str],
) -> None:
    bench = Bench()

    first, second = (bench.write(event(source=one), batch_id=str(number)).told for number, one in enumerate(order))

    assert [(one.source, over) for one, _, over in first] == [(order[0], False)]
    expected = [("websocket", True)] if order[1] == "websocket" else []
    assert [(one.source, over) for one, _, over in second] == expected


def test_twins_in_one_batch_are_told_once_and_a_batch_sent_again_is_told_again() -> None:
    bench = Bench()

    first, again = (bench.write(event(0), event(1, source="statestream")).told for _ in range(2))

    assert [(one.source, over) for one, _, over in first] == [("websocket", False)]
    assert again == first


@pytest.mark.parametrize("slower", ["websocket", "statestream"])
def test_of_two_workers_with_twins_at_the_same_moment_the_first_tells_and_the_richer_once_more(slower: str) -> None:
    store = Interrupted(before=True)
    bench = Bench(store=store)
    faster = "statestream" if slower == "websocket" else "websocket"
    told: list[Written] = []
    store.meanwhile = lambda: told.append(bench.write(event(source=faster), batch_id="fast"))

    told.append(bench.write(event(source=slower), batch_id="slow"))

    heard = [(one.source, over) for written in told for one, _, over in written.told]
    assert heard == [(faster, False)] + ([("websocket", True)] if slower == "websocket" else [])


def test_what_was_not_written_is_not_told() -> None:
    bench = Bench()
    too_long = event(0, previous_state="x" * 70_000)

    written = bench.write(too_long, event(1, time_us=T0_US + 9), settled=[Settled("filtered", [2])])

    assert [one.slot for one, _, _ in written.told] == [1]
