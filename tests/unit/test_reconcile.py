"""Reconciliation without a Home Assistant: hours are held against the ledger, and what they say is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from ingestor import errors
from ingestor.events.point import Point
from ingestor.pipeline.reconcile import Reconciler, Sources
from ingestor.pipeline.reconcile_history import OTHERS, Comparison, Present, changes_of
from ingestor.pipeline.reconcile_repair import GapRepair
from ingestor.storage.gaps import GapState
from ingestor.storage.gaps_memory import MemoryGaps
from ingestor.storage.memory import MemoryStore
from ingestor.storage.port import HOUR_US, StoredState
from ingestor.storage.reconciled import HourState, ReconciledHour
from ingestor.storage.reconciled_memory import MemoryReconciledHours
from ingestor.storage.schema import OTHERS as OTHER_EVENTS
from ingestor.storage.schema import STATES

H0 = 1_795_230_000_000_000 // HOUR_US * HOUR_US
SETTLE_US = HOUR_US // 4


@dataclass
class Bench:
    """A reconciler on memory twins; `now_us` is the time, `ledger` what was counted."""

    store: MemoryStore = field(default_factory=MemoryStore)
    hours: MemoryReconciledHours = field(default_factory=MemoryReconciledHours)
    gaps: MemoryGaps = field(default_factory=MemoryGaps)
    ledger: dict[int, int] = field(default_factory=dict)
    now_us: int = H0 + HOUR_US + SETTLE_US
    waits: str = ""
    comparable: bool = True

    def reconciler(self) -> Reconciler:
        sources = Sources(
            self.store if self.comparable else None,
            self._expected,
            None,
            series=dict,
            under_way=lambda _since, _until: self.waits,
            why_no_history="there is no Home Assistant to ask",
        )
        return Reconciler(
            "home", self.hours, sources, GapRepair(self.gaps), settle_us=SETTLE_US, now_us=lambda: self.now_us
        )

    def _expected(self, since_us: int, until_us: int) -> Mapping[int, int]:
        return {hour: points for hour, points in self.ledger.items() if since_us <= hour < until_us}

    def put(self, count: int, hour_us: int = H0, *, measurement: str = STATES, home: str = "home") -> None:
        tags = (("home", home), ("series", "sensor.a"))
        self.store.write(
            [
                Point(measurement, tags, {"source": "websocket", "state": "on"}, (hour_us + number) * 1000)
                for number in range(count)
            ]
        )

    def only(self) -> ReconciledHour:
        (hour,) = self.hours.list()
        return hour


def test_an_hour_of_which_all_is_stored_is_complete() -> None:
    bench = Bench(ledger={H0: 7})
    bench.put(5)
    bench.put(2, measurement=OTHER_EVENTS)
    bench.put(9, home="another")

    more = bench.reconciler().step(10)

    hour = bench.only()
    assert not more
    assert (hour.state, hour.expected, hour.stored, hour.missing) == (HourState.COMPLETE, 7, 7, 0)
    assert hour.why == "compared by number alone: there is no Home Assistant to ask"


def test_points_that_the_ledger_counts_and_the_store_has_not_are_missing_in_numbers_and_words() -> None:
    bench = Bench(ledger={H0: 7})
    bench.put(4)

    bench.reconciler().step(10)

    hour = bench.only()
    assert (hour.state, hour.expected, hour.stored, hour.missing) == (HourState.MISSING, 7, 4, 3)
    assert hour.why == ("3 points that the ledger counts are not in the store: there is no Home Assistant to ask")
    (summary,) = bench.hours.summaries()
    assert (summary.until_us, summary.missing, summary.repaired) == (H0 + HOUR_US, 3, 0)


def test_more_than_the_ledger_counts_is_a_surplus_and_no_loss() -> None:
    bench = Bench(ledger={H0: 4})
    bench.put(5)

    bench.reconciler().step(10)

    hour = bench.only()
    assert (hour.state, hour.missing, hour.surplus) == (HourState.COMPLETE, 0, 1)


def test_an_hour_is_left_alone_until_it_is_over_for_some_time() -> None:
    bench = Bench(ledger={H0: 1}, now_us=H0 + HOUR_US + SETTLE_US - 1)

    bench.reconciler().step(10)

    assert bench.hours.list() == []


def test_an_hour_of_which_something_is_under_way_waits_and_says_for_what() -> None:
    bench = Bench(ledger={H0: 3}, waits="7 batches of home:websocket are not written yet")
    bench.reconciler().step(10)
    waiting = bench.only()

    bench.waits = ""
    bench.put(3)
    bench.reconciler().step(10)

    assert (waiting.state, waiting.why) == (HourState.WAITING, "7 batches of home:websocket are not written yet")
    assert bench.only().state is HourState.COMPLETE


def test_while_the_store_is_away_hours_wait_and_are_compared_later() -> None:
    bench = Bench(ledger={H0: 3, H0 + HOUR_US: 0}, now_us=H0 + 3 * HOUR_US)
    bench.put(3)
    bench.store.away = True
    bench.reconciler().step(10)
    waiting = bench.only()

    bench.store.away = False
    bench.reconciler().step(10)

    assert (waiting.state, waiting.missing) == (HourState.WAITING, 0)
    assert waiting.why.startswith("tried again later")
    assert [hour.state for hour in bench.hours.list()] == [HourState.COMPLETE] * 2


def test_hours_begin_with_the_first_that_was_counted_and_leave_none_out() -> None:
    bench = Bench(ledger={H0 + HOUR_US: 1}, now_us=H0 + 4 * HOUR_US + SETTLE_US)
    bench.put(1, H0 + HOUR_US)

    bench.reconciler().step(10)

    assert [(hour.hour_us, hour.expected) for hour in bench.hours.list()] == [
        (H0 + 3 * HOUR_US, None),
        (H0 + 2 * HOUR_US, None),
        (H0 + HOUR_US, 1),
    ]


def test_without_a_ledger_of_it_hours_begin_with_what_the_store_holds() -> None:
    bench = Bench()
    bench.put(2)

    bench.reconciler().step(10)

    assert (bench.only().hour_us, bench.only().expected, bench.only().stored) == (H0, None, 2)


def test_an_hour_that_has_ended_is_not_looked_at_again_unless_somebody_asks() -> None:
    bench = Bench(ledger={H0: 3})
    bench.put(3)
    bench.reconciler().step(10)
    bench.store.points.popitem()

    bench.reconciler().step(10)
    before = bench.only()
    asked = bench.reconciler().again(H0 + 5)
    bench.reconciler().step(10)

    assert (before.state, asked) == (HourState.COMPLETE, 1)
    assert (bench.only().state, bench.only().missing) == (HourState.MISSING, 1)


def test_an_hour_looked_at_again_remembers_what_was_repaired() -> None:
    bench = Bench(ledger={H0: 8})
    bench.put(5)
    bench.hours.save(ReconciledHour("home", H0, HourState.COMPLETE, repaired=3))

    bench.reconciler().again(H0)
    bench.reconciler().step(10)

    assert (bench.only().state, bench.only().missing, bench.only().repaired) == (HourState.COMPLETE, 0, 3)


def test_a_store_of_home_assistants_own_schema_cannot_be_compared() -> None:
    bench = Bench(ledger={H0: 3}, comparable=False)

    bench.reconciler().step(10)

    assert bench.only().state is HourState.UNCOMPARABLE
    assert "Home Assistant's own schema" in bench.only().why


def test_a_home_that_was_never_heard_has_no_hours() -> None:
    bench = Bench()

    assert bench.reconciler().step(10) is False

    assert bench.hours.list() == []
    assert bench.hours.summaries() == []


def test_a_gap_of_a_find_is_opened_once_and_filled_again_when_it_had_ended() -> None:
    gaps = MemoryGaps()
    repair = GapRepair(gaps)

    first = repair.begin("home", H0, H0 + 5, ["sensor.b", "sensor.a"])
    again = repair.begin("home", H0, H0 + 5, ["sensor.a", "sensor.b"])
    open_yet = repair.ended(first)
    gap = gaps.find(first)
    assert gap is not None
    gaps.save(replace(gap, state=GapState.PARTLY_FILLED, why="no history"))
    how = repair.ended(first)
    repair.begin("home", H0, H0 + 5, ["sensor.a", "sensor.b"])

    assert (first, open_yet, how) == (again, None, "partly filled: no history")
    assert (gap.reason, gap.entities, gap.state) == ("reconcile", ("sensor.a", "sensor.b"), GapState.FILLING)
    assert repair.ended(first) is None


def stored(at_us: int, text: str | None = "on", series: str = "light.a", **more: str) -> StoredState:
    return StoredState(at_us * 1000 + 42, series, more.get("entity_id", series), text, more.get("source", "websocket"))


def test_a_change_is_there_by_its_series_its_name_of_the_day_its_time_and_its_state() -> None:
    present = Present([stored(10), stored(11, None), stored(12, entity_id="light.new")])

    assert present.lacking({"light.a"}, [(10, "on"), (11, None), (12, "on")]) == []
    assert present.lacking({"light.new"}, [(12, "on")]) == []
    assert present.lacking({"light.a"}, [(10, "off"), (11, "on"), (13, "on")]) == [10, 11, 13]
    assert present.lacking({"light.b"}, [(10, "on")]) == [10]


def test_a_renamed_entity_is_found_by_its_series() -> None:
    present = Present([stored(10, series="light.old")])

    assert present.lacking({"light.new", "light.old"}, [(10, "on")]) == []


def test_an_event_without_a_time_of_its_own_stands_for_one_change_alone() -> None:
    present = Present([stored(5_000_000, source="statestream")])

    assert present.lacking({"light.a"}, [(1_000_000, "on"), (2_000_000, "on")]) == [2_000_000]
    assert Present([stored(5_000_000)]).lacking({"light.a"}, [(1_000_000, "on")]) == [1_000_000]
    assert present.lacking({"light.a"}, [(5_000_000, "on"), (1_000_000, "on")]) == [1_000_000]


def test_rubbish_in_history_is_no_change() -> None:
    rows = [{"s": "on", "lu": 1.5}, {"s": None, "lu": 2.0}, {"lu": "x"}, {"s": "on"}, None, "row", {"lu": float("nan")}]

    assert changes_of(rows) == [(1_500_000, "on"), (2_000_000, None)]


def test_what_lacks_is_named_for_so_many_entities_and_counted_for_all() -> None:
    found = Comparison(next_us=0)

    for number in range(60):
        found.note(f"sensor.s{number}", 2, [100 + number, 90])

    assert (found.compared, sum(found.lacking.values()), found.lacking[OTHERS]) == (120, 120, 20)
    assert (found.first_us, found.last_us) == (90, 159)


@pytest.mark.parametrize("error", [errors.StoreUnavailable("gone"), errors.StoreRefused("no such database")])
def test_a_store_that_refuses_leaves_the_hour_waiting_too(error: Exception) -> None:
    class Refusing(MemoryStore):
        """A store behind which nobody lets us in."""

        def _require_here(self) -> None:
            raise error

    bench = Bench(ledger={H0: 1}, store=Refusing())

    bench.reconciler().step(10)

    assert bench.only().state is HourState.WAITING
    assert str(error) in bench.only().why


def test_hours_from_before_the_first_that_was_heard_are_never_compared() -> None:
    bench = Bench(ledger={H0: 1}, now_us=H0 + 2 * HOUR_US + SETTLE_US)
    bench.put(1)
    bench.reconciler().step(10)

    asked = bench.reconciler().again(H0 - 1000 * HOUR_US)
    bench.reconciler().step(10)

    assert asked == 2
    assert [hour.hour_us for hour in bench.hours.list()] == [H0 + HOUR_US, H0]


def test_hours_of_a_long_silence_are_all_compared_however_old() -> None:
    bench = Bench(ledger={H0: 1})
    bench.put(1)
    bench.reconciler().step(10)
    bench.now_us = H0 + 400 * HOUR_US + SETTLE_US

    while bench.reconciler().step(10):
        pass

    assert len(bench.hours.list()) == 400
    assert all(hour.ended for hour in bench.hours.list())
