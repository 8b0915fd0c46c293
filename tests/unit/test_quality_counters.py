"""A meter's resets, zero blips, dips and spikes are told apart, and the cleaned value never jumps with them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.enrichment.counter import CounterStep
from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event, Extra, Place
from ingestor.home.cache import MemoryHomeMap
from ingestor.quality.meters import HeldMeters, MemoryHeldMeters

T_US = 1_795_262_400_000_000
MINUTE_US = 60_000_000


def state(text: str, old: str | None, minute: float, **more: Any) -> Event:
    time_us = T_US + int(minute * MINUTE_US)
    fields: dict[str, Any] = {
        "state": text,
        "previous_state": old,
        "previous_changed_us": time_us - MINUTE_US,
        "state_class": "total_increasing",
        "device_class": "energy",
        "unit": "kWh",
        "place": 0,
        "value": float(text) if text.replace(".", "").isdecimal() else None,
    }
    fields |= more
    return Event(0, "state", "state_changed", "sensor.meter", "sensor.meter", time_us, 0, "websocket", 1, **fields)


def series(*values: str, **more: Any) -> list[Event]:
    pairs = itertools.pairwise((None, *values))
    return [state(value or "", old, minute, **more) for minute, (old, value) in enumerate(pairs)]


def judged(events: list[Event], held: HeldMeters | None = None, step: CounterStep | None = None) -> list[Any]:
    around = Surroundings("home", MemoryHomeMap(), places=[Place("sensor.meter", "sensor")])
    (step or CounterStep(held or MemoryHeldMeters())).finish(events, around)
    return [told(event.extras) for event in events]


def told(extras: dict[str, Extra] | None) -> Any:
    found = extras or {}
    return (found.get("counter_event"), found.get("value_clean")) if found else None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("100", "101", "101", "102"), [None] * 4),
        (("100", "3", "4"), [None, ("reset", None), None]),
        (("100", "0", "100.2", "101"), [None, ("zero", 100.0), None, None]),
        (("100", "0", "0.1", "0.2"), [None, ("zero", 100.0), ("reset", None), None]),
        (("100", "0", "99.9", "100"), [None, ("zero", 100.0), (None, 100.0), None]),
        (("100", "99.9", "99.95", "100.1"), [None, ("dip", 100.0), (None, 100.0), None]),
        (("100", "9000", "100.1"), [None, ("spike", 100.0), None]),
        (("100", "9000", "9000.5", "9001"), [None, ("spike", 100.0), None, None]),
        (("100", "unavailable", "0", "100.1"), [None, None, ("zero", 100.0), None]),
        (("100", "unavailable", "100.1"), [None, None, None]),
    ],
)
def test_what_happened_to_a_meter_is_told_and_its_last_good_value_stands(values: Any, expected: list[Any]) -> None:
    assert judged(series(*values)) == expected


def test_a_meter_that_may_fall_falls_and_its_zero_is_held_all_the_same() -> None:
    events = series("100", "90", "0", "91", state_class="total")

    assert judged(events) == [None, None, ("zero", 90.0), None]


def test_a_reset_that_is_told_needs_no_second_look() -> None:
    events = [state("100", None, 0), state("0", "100", 1, last_reset_us=T_US + MINUTE_US - 1)]

    assert judged(events) == [None, ("reset", None)]


def test_a_meter_that_stays_lower_is_believed_after_an_hour() -> None:
    events = [state("100", "99", 0), state("99.5", "100", 1), state("99.6", "99.5", 30), state("99.7", "99.6", 90)]

    assert judged(events) == [None, ("dip", 100.0), (None, 100.0), ("reset", None)]


def test_what_is_late_or_sent_again_gets_nothing() -> None:
    step = CounterStep(MemoryHeldMeters())
    judged(series("100", "101", "102"), step=step)

    assert judged([state("0", "100", 0.5)], step=step) == [None]
    assert judged([state("102", "101", 2)], step=step) == [None]


def test_another_worker_knows_of_a_value_that_is_held_and_an_older_word_does_not_win() -> None:
    held = MemoryHeldMeters()
    events = series("100", "0", "99.9", "100")

    first = judged(events[:2], held)
    second = judged(events[2:3], held)
    held.put("home", {})
    third = judged(events[3:], held)

    assert first + second + third == [None, ("zero", 100.0), (None, 100.0), None]
    assert held.read("home") == {}


def test_the_cleaned_value_is_in_the_unit_of_the_point() -> None:
    blip = state("0", "1.5", 1, unit="Wh", value=0.0, extras={"raw_unit": "kWh", "repaired_by": "energy_unit"})
    dip = state("99", "100", 1, unit="Wh", value=99_000.0, extras={"raw_unit": "kWh", "repaired_by": "energy_unit"})

    assert judged([blip]) == [("zero", 1500.0)]
    assert judged([dip]) == [("dip", 100_000.0)]


def test_other_entities_and_rows_of_history_are_not_looked_at() -> None:
    plain = state("0", "100", 1, state_class="measurement")
    read_back = state("0", "100", 1)
    read_back.source = "history"

    assert judged([plain, read_back]) == [None, None]


@given(st.lists(st.floats(0, 5, allow_nan=False), min_size=2, max_size=30))
def test_a_meter_that_only_rises_as_a_house_can_is_never_touched(rises: list[float]) -> None:
    values = [f"{value:.3f}" for value in itertools.accumulate(rises, initial=1.0)]

    assert judged(series(*values)) == [None] * len(values)


@given(st.lists(st.sampled_from(["0", "50", "99.5", "100", "101", "5000", "unavailable"]), min_size=1, max_size=20))
def test_the_cleaned_value_falls_at_a_reset_alone(values: list[str]) -> None:
    events = series(*values)
    judged(events)

    last: float | None = None
    for event in events:
        if event.value is None:
            continue
        extras = event.extras or {}
        clean = float(extras.get("value_clean", event.value))
        assert last is None or clean >= last or extras.get("counter_event") == "reset", [
            (one.state, one.extras) for one in events
        ]
        last = clean
