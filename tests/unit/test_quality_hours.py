"""What an hour of an entity is told in: counting, the lag sketch, adding two hours up."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from ingestor.quality.hours import HOUR_US, LAG_BUCKETS, HourFacts, lag_bucket, lag_ms, merged
from ingestor.quality.life import signs_of
from ingestor.quality.stored_hours import Beside, known_classes, stored_facts
from ingestor.quality.subjects import JudgeContext, Subject
from ingestor.quality.tally import Carry, HourTally, Told, hour_facts, is_number
from ingestor.storage.series_hours import SeriesHour, StoredValue

T0 = 1_800_000_000_000_000 // HOUR_US * HOUR_US
S = 1_000_000


def told(at_s: float, state: str, **more: Any) -> Told:
    try:
        value: float | None = float(state)
    except ValueError:
        value = None
    return Told("sensor.a", T0 + int(at_s * S), state=state, value=value, **more)


def one(*events: Told, carried: dict[str, Carry] | None = None, hour_us: int = T0) -> HourFacts:
    (facts,) = hour_facts("h", hour_us, events, {} if carried is None else carried)
    return facts


def test_an_hour_counts_events_values_and_changes() -> None:
    facts = one(told(1, "1"), told(2, "1"), told(3, "4"), told(4, "unknown"), told(5, "4"))

    assert (facts.events, facts.values, facts.changes, facts.distinct) == (5, 4, 3, 3)
    assert (facts.low, facts.high, facts.mean, facts.first, facts.last) == (1.0, 4.0, 2.5, 1.0, 4.0)
    assert facts.variance == pytest.approx(statistics.variance([1, 1, 4, 4]))


def test_time_unavailable_is_counted_over_the_end_of_an_hour() -> None:
    carried: dict[str, Carry] = {}

    first = one(told(0, "1"), told(3000, "unavailable"), carried=carried)
    second = one(carried=carried, hour_us=T0 + HOUR_US)
    third = one(told(7200 + 60, "2"), carried=carried, hour_us=T0 + 2 * HOUR_US)

    assert [f.unavailable_us // S for f in (first, second, third)] == [600, 3600, 60]
    assert (first.flaps, second.events, third.silence_s) == (1, 0, 4260.0)


def test_what_is_rejected_or_a_duplicate_changes_no_state() -> None:
    facts = one(told(1, "1"), told(2, "9", found="rejected"), told(3, "9", duplicate=True), told(4, "1"))

    assert (facts.events, facts.rejected, facts.duplicates, facts.changes, facts.high) == (4, 1, 1, 0, 1.0)


def test_a_counter_that_begins_anew_falls_to_nothing() -> None:
    facts = one(told(1, "500"), told(2, "499"), told(3, "501"), told(4, "0.5"))

    assert (facts.falls, facts.zeroes) == (2, 1)


def test_bounds_are_those_of_device_class_and_unit() -> None:
    facts = one(told(1, "101", unit="%", device_class="battery"), told(2, "99", unit="%", device_class="battery"))

    assert facts.out_of_bounds == 1


def test_lags_are_told_by_the_end_of_their_bucket() -> None:
    lags = [3] * 90 + [400] * 8 + [3_600_000] * 2
    facts = one(*(told(i, "1", received_us=T0 + i * S + lag * 1000) for i, lag in enumerate(lags)))

    assert [lag_ms(facts.lags, share) for share in (0.5, 0.95, 0.99)] == [5.0, 500.0, 4_200_000.0]
    assert (facts.late, facts.lag_max_ms) == (2, 3_600_000)


def test_two_hours_added_up_are_what_both_together_would_have_been() -> None:
    events = [told(i * 600, str(i * i)) for i in range(12)]
    carried: dict[str, Carry] = {}
    early = one(*events[:6], carried=carried)
    late = one(*events[6:], carried=carried, hour_us=T0 + HOUR_US)

    both, values = merged(early, late), [float(i * i) for i in range(12)]

    assert (both.events, both.values, both.changes, both.first, both.last) == (12, 12, 11, 0.0, 121.0)
    assert (both.low, both.high) == (0.0, 121.0)
    assert both.mean == pytest.approx(statistics.fmean(values))
    assert both.variance == pytest.approx(statistics.variance(values))


def test_a_sign_of_life_that_is_no_event_is_kept() -> None:
    tally = HourTally("h", T0)

    tally.add(told(1, "1"))
    tally.reported("sensor.a", T0 + 1800 * S)

    assert [facts.reported_us for facts in tally.done()] == [T0 + 1800 * S]


def test_signs_of_life_are_read_of_every_state_whatever_home_assistant_says() -> None:
    new = {
        "entity_id": "a.b",
        "state": "1",
        "attributes": {"y": 1, "x": 2},
        "last_reported": "2026-01-01T00:00:00Z",
    }
    old = {"entity_id": "a.c", "state": "unavailable", "attributes": {"x": 3, "y": 4}, "last_updated": "nonsense"}

    first, second = signs_of([new, old])

    assert (first.reported_us, first.there) == (1_767_225_600_000_000, True)
    assert (second.reported_us, second.updated_us, second.there) == (0, 0, False)
    assert first.attributes == second.attributes  # the same names


@pytest.mark.parametrize(
    ("state", "number"), [("1", True), ("-0.5", True), (".5", True), ("on", False), ("", False), (None, False)]
)
def test_a_state_is_a_number_where_it_is_written_as_one(state: str | None, number: bool) -> None:
    assert is_number(state) is number


def test_hours_that_a_store_adds_up_are_told_as_if_state_by_state() -> None:
    sums = SeriesHour(
        "sensor.a", "sensor.a", 4, 4, 3, (T0 + S) * 1000, (T0 + 1900 * S) * 1000, "3",
        *(1.0, 3.0, 2.0, 0.5, 1.0, 3.0), longest_s=900.0, units=("°C",), sources=(("websocket", 4),),
        delays_s=(0.02, 0.03, 0.04, 90.0),
    )  # fmt: skip
    carried = {"sensor.a": Carry("2", 2.0, T0 - 600 * S)}

    (facts,) = stored_facts(OneHour([sums]), ("h", T0), carried, JudgeContext(), Beside({}, {}, {"sensor.a": 1}))

    assert (facts.events, facts.values, facts.texts, facts.rejected) == (5, 4, 0, 1)
    assert (facts.low, facts.high) == (1.0, 3.0)
    assert facts.variance == pytest.approx(0.25)
    assert (facts.falls, facts.silence_s, facts.late, facts.lag_max_ms) == (1, 1700.0, 0, 90_000)
    assert (carried["sensor.a"].value, carried["sensor.a"].time_us) == (3.0, T0 + 1900 * S)


def test_only_troubled_hours_are_read_state_by_state() -> None:
    fine = SeriesHour("b", "b", 2, 2, 2, T0 * 1000, T0 * 1000, "1", 1.0, 1.0, 1.0)
    lamp = SeriesHour("light.c", "light.c", 2, 2, 2, T0 * 1000, T0 * 1000, "on", 0.0, 1.0, 0.5)
    away = SeriesHour("d", "d", 2, 1, 2, T0 * 1000, T0 * 1000, "unavailable", 1.0, 1.0, 1.0, not_there=1)
    store = OneHour([fine, lamp, away])

    found = {one.series: one for one in stored_facts(store, ("h", T0), {}, JudgeContext(), Beside())}

    assert store.asked == [("d",)]
    assert (found["b"].values, found["light.c"].values, found["light.c"].texts) == (2, 0, 2)


def test_what_the_write_stage_counted_and_home_assistant_said_is_added_to_what_is_stored() -> None:
    lags = [0] * LAG_BUCKETS
    lags[lag_bucket(30)], lags[lag_bucket(100_000)] = 8, 1
    beside = Beside(lags={"b": tuple(lags)}, duplicates={"b": 3}, state_classes={"b": "measurement"})
    fine = SeriesHour("b", "b", 9, 9, 9, T0 * 1000, T0 * 1000, "1", 1.0, 1.0, 1.0)

    (facts,) = stored_facts(OneHour([fine]), ("h", T0), {}, JudgeContext(), beside)

    assert (facts.events, facts.duplicates, facts.late) == (12, 3, 1)
    assert (lag_ms(facts.lags, 0.5), facts.lag_max_ms) == (50, 300_000)
    subjects = {name: Subject(name, name, state_class="total_increasing") for name in "bc"}
    assert {one.state_class for one in known_classes(subjects, beside).values()} == {"measurement", "total_increasing"}


@pytest.mark.parametrize(
    ("distinct", "last_state", "before", "changes"), [(6, "20.5", "20", 5), (1, "20", "20", 0), (1, "21", "20", 1)]
)
def test_changes_are_known_of_what_does_not_say_what_was_before(
    distinct: int, last_state: str, before: str, changes: int
) -> None:
    # As MQTT statestream has it: no point has a previous state.
    sums = SeriesHour("b", "b", 9, 9, distinct, T0 * 1000, T0 * 1000, last_state, 20.0, 21.0, 20.5)

    (facts,) = stored_facts(OneHour([sums]), ("h", T0), {"b": Carry(before, 20.0, T0)}, JudgeContext(), Beside())

    assert facts.changes == changes


class OneHour:
    """A store that has one hour."""

    def __init__(self, hours: list[SeriesHour]) -> None:
        self._hours = hours
        self.asked: list[tuple[str, ...]] = []

    def series_hours(self, home: str, since_ns: int, until_ns: int, series: Sequence[str] = ()) -> list[SeriesHour]:
        del home, since_ns, until_ns
        return self._hours

    def values_of(self, home: str, series: Sequence[str], since_ns: int, until_ns: int) -> Iterator[StoredValue]:
        del home, since_ns, until_ns
        self.asked.append(tuple(series))
        return iter(())
