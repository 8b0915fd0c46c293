"""The demo home's faults: planted the same for the same seed, each doing what its truth says and no more."""

from __future__ import annotations

from collections import Counter

import orjson
import pytest

from ingestor.demo.clock import DAY_US, HOUR_US, ManualClock
from ingestor.demo.faults import Faults, Said, Truth, UnitChange
from ingestor.demo.home import DemoHome
from ingestor.demo.month import Month
from ingestor.demo.planting import ALL, FEW, HOME
from ingestor.demo.wire import Event
from ingestor.quality.model import ProblemKind

START_US = 1_772_323_200_000_000
DAYS = 6


@pytest.fixture(scope="module")
def month() -> Month:
    """A home of six days with all faults."""
    return Month(3, START_US, days=DAYS)


@pytest.fixture(scope="module")
def said(month: Month) -> list[Said]:
    """What it says."""
    return list(month.told())


def truth_of(month: Month, kind: str) -> Truth:
    return next(truth for truth in month.faults.truths if truth.kind == kind)


def within(said: list[Said], truth: Truth, *, holds: bool = True) -> list[Said]:
    return [one for one in said if one.entity_id in truth.subjects and truth.holds(one.time_us) is holds]


def test_every_fault_is_planted_and_has_a_name_that_quality_knows(month: Month) -> None:
    kinds = [truth.kind for truth in month.faults.truths]

    assert len(kinds) == len(ALL) == 8
    assert set(kinds) <= {kind.value for kind in ProblemKind}


def test_the_same_seed_tells_the_same_and_another_one_plants_elsewhere(said: list[Said]) -> None:
    again, other = Month(3, START_US, days=DAYS), Month(4, START_US, days=DAYS)

    assert list(again.told())[:20_000] == said[:20_000]
    assert [one.subject for one in again.faults.truths] != [one.subject for one in other.faults.truths]


def test_no_entity_has_two_faults_but_for_rubbish_which_befalls_all(month: Month) -> None:
    named = Counter(one for truth in month.faults.truths if truth.subject != HOME for one in truth.subjects)

    assert max(named.values()) == 1


def test_a_frozen_sensor_says_one_thing_while_its_device_goes_on(month: Month, said: list[Said]) -> None:
    truth = truth_of(month, "frozen")
    device = month.places[truth.subject].device
    others = {one for one, place in month.places.items() if place.device == device and one != truth.subject}

    assert len(within(said, truth)) <= 1
    assert len(within(said, truth, holds=False)) > 100
    assert sum(one.entity_id in others and truth.holds(one.time_us) for one in said) > 50


def test_a_flapping_one_is_gone_every_second_time(month: Month, said: list[Said]) -> None:
    heard = within(said, truth_of(month, "flapping"))

    gone = sum(one.state == "unavailable" for one in heard)

    assert len(heard) > 10
    assert gone == pytest.approx(len(heard) / 2, abs=1)


def test_a_counter_begins_anew_and_goes_on(month: Month, said: list[Said]) -> None:
    truth = truth_of(month, "counter_reset")
    counted = [float(one.state) for one in within(said, truth, holds=False) if one.state != "unavailable"]
    anew = [float(one.state) for one in within(said, truth) if one.state[0].isdigit()]

    assert min(counted) > 50
    assert anew[0] == 0
    assert max(value for value in anew if value < 50) > 0


def test_a_unit_changes_with_its_value() -> None:
    truth = Truth("unit_changed", "sensor.a", 10, None, ("sensor.a",))
    faults = Faults([UnitChange(truth)])

    before = faults.told(Said(9, "sensor.a", "20.5", "°C"))
    after = faults.told(Said(10, "sensor.a", "20.5", "°C"))
    gone = faults.told(Said(11, "sensor.a", "unavailable", "°C"))

    assert [(one.state, one.unit) for one in (*before, *after, *gone)] == [
        ("20.5", "°C"),
        ("68.9", "°F"),
        ("unavailable", "°F"),
    ]


def test_a_clock_that_is_off_says_an_hour_ago(month: Month, said: list[Said]) -> None:
    truth = truth_of(month, "clock_off")

    assert {one.behind_us for one in within(said, truth)} == {HOUR_US}
    assert {one.behind_us for one in said if one.entity_id not in truth.subjects} == {0}


def test_nothing_is_heard_behind_a_dead_hub(month: Month, said: list[Said]) -> None:
    truth = truth_of(month, "hub_dead")
    behind = {entity_id for entity_id, place in month.places.items() if place.via == truth.subject}

    assert set(truth.subjects) == behind
    assert not within(said, truth)
    assert within(said, truth, holds=False)


def test_a_second_road_brings_the_same_as_another_entity(month: Month, said: list[Said]) -> None:
    first, copy = truth_of(month, "duplicate_source").subjects

    def states(entity_id: str) -> list[str]:
        rubbish = truth_of(month, "rubbish").since_us
        return [one.state for one in said if one.entity_id == entity_id and one.time_us < rubbish]

    assert len(states(copy)) > 100
    assert states(copy) == states(first)
    assert month.places[copy].device != month.places[first].device


def test_one_value_in_a_hundred_is_rubbish(month: Month, said: list[Said]) -> None:
    truth = truth_of(month, "rubbish")
    heard = [one for one in within(said, truth) if one.state != "unavailable"]
    odd = [one for one in heard if not one.state.replace(".", "").removeprefix("-").isdigit() or one.state == "-99999"]

    assert 0.005 < len(odd) / len(heard) < 0.02


def test_the_truth_can_be_read_by_people_and_programs(month: Month) -> None:
    written = orjson.loads(month.faults.as_json())

    assert {one["kind"] for one in written} == {truth.kind for truth in month.faults.truths}
    assert written[0]["since"] == "2026-03-04T14:24:00+00:00"
    assert all(one["why"] and one["subjects"] for one in written)


def test_a_home_without_faults_says_all_as_it_is() -> None:
    plain = Month(3, START_US, days=1, faults=())

    assert not plain.faults.truths
    assert all(one.time_us < START_US + DAY_US and not one.behind_us for one in plain.told())


def test_the_default_home_that_lives_has_a_few_faults_and_says_which() -> None:
    home = DemoHome(clock=ManualClock(START_US), faults=FEW, rate=2)
    home.begin()
    kinds = {truth.kind for truth in home.faults.truths}
    wrong = {truth.kind: truth.subject for truth in home.faults.truths}
    heard: Counter[tuple[str, str | None]] = Counter()

    def note(event: Event) -> None:
        if event.new is not None:
            heard[event.entity_id, event.new.attributes.get("unit_of_measurement")] += 1

    home.listen(note)
    home.run_for(600)

    assert kinds == {"rubbish", "flapping", "frozen", "unit_changed", "counter_reset"}
    assert len({unit for entity_id, unit in heard if entity_id == wrong["unit_changed"]}) == 2
    assert home.bus.states[wrong["counter_reset"]].state.startswith("0.")
    assert len(home.bus.states) == 300


def test_in_a_home_that_lives_a_wrong_clock_and_a_second_road_are_heard_too() -> None:
    home = DemoHome(clock=ManualClock(START_US), faults=ALL, rate=2)
    home.begin()
    behind = next(truth for truth in home.faults.truths if truth.kind == "clock_off")
    copied = next(truth for truth in home.faults.truths if truth.kind == "duplicate_source")
    late: list[Event] = []

    home.run_for(590)
    home.listen(lambda event: late.append(event) if event.entity_id in behind.subjects else None)
    home.run_for(300)

    last = [event for event in late if home.clock.now_us() - event.fired_us > HOUR_US - 600_000_000]
    assert len(last) > 3
    assert {home.bus.states[entity_id].state for entity_id in copied.subjects} == {
        home.bus.states[copied.subject].state
    }
    assert len(home.bus.states) == 301
