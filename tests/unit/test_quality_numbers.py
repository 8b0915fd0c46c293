"""Numbers as people write them are read, and nothing that could mean two things is guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.events.values import number_of
from ingestor.quality.bounds import BOUNDS, bounds_of
from ingestor.quality.numbers import is_non_finite, read_number
from ingestor.quality.units import normal_unit, wanted_energy, wanted_temperature


@pytest.mark.parametrize(
    ("text", "unit", "value", "used"),
    [
        ("21,5", "°C", 21.5, ("decimal_comma",)),
        ("-0,125", "kWh", -0.125, ("decimal_comma",)),
        ("21.5 °C", "°C", 21.5, ("unit_in_state",)),
        ("21,5°C", "°C", 21.5, ("unit_in_state", "decimal_comma")),
        ("12 µg/m³", "μg/m³", 12.0, ("unit_in_state",)),
        ("1,234.5", "W", 1234.5, ("thousands_separator",)),
        ("1.234,5", "W", 1234.5, ("thousands_separator", "decimal_comma")),
        ("1.234.567", "Wh", 1234567.0, ("thousands_separator",)),
        ("1 234 567", "Wh", 1234567.0, ("thousands_separator",)),
        ("1\u202f234,5 kWh", "kWh", 1234.5, ("unit_in_state", "thousands_separator", "decimal_comma")),
        ("1'234.5", "CHF", 1234.5, ("thousands_separator",)),
        ("\u221221,5", "°C", -21.5, ("decimal_comma",)),
    ],
)
def test_a_number_is_read_as_it_is_meant(text: str, unit: str, value: float, used: tuple[str, ...]) -> None:
    reading = read_number(text, unit, "auto")

    assert reading is not None
    assert (reading.value, reading.used) == (value, used)


@pytest.mark.parametrize(
    "text", ["1,234", "12,34,56", "1.23,4.5", "1,2,3", "21.5 °F", "5 apples", "--5", "1 2", "", "1,,5"]
)
def test_what_means_no_number_or_could_mean_two_is_not_guessed(text: str) -> None:
    assert read_number(text, "°C", "auto") is None


def test_the_setting_says_what_a_comma_before_three_digits_means() -> None:
    as_comma, as_point = read_number("1,234", "kWh", "comma"), read_number("1,234", "kWh", "point")

    assert as_comma is not None
    assert as_point is not None
    assert (as_comma.value, as_point.value) == (1.234, 1234.0)


@given(st.text(max_size=80), st.sampled_from(["°C", "kWh", None]))
def test_no_text_makes_the_reader_fail(text: str, unit: str | None) -> None:
    reading = read_number(text, unit, "auto")

    assert reading is None or abs(reading.value) < float("inf")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_that_is_written_as_it_should_be_is_read_as_itself(value: float) -> None:
    reading = read_number(repr(value), "W", "auto")

    assert reading is None or (reading.value, reading.used) == (number_of(repr(value)), ())


@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-Infinity", "1e999"])
def test_what_is_not_finite_is_known(text: str) -> None:
    assert is_non_finite(text)
    assert not is_non_finite("21.5")


def test_both_spellings_of_a_unit_are_one_and_temperatures_and_energies_convert() -> None:
    fahrenheit, watt_hours = wanted_temperature("°F", "°C"), wanted_energy("kWh", "Wh")

    assert normal_unit("\u00b5g/m³") == normal_unit("\u03bcg/m³") == "\u03bcg/m³"
    assert fahrenheit is not None
    assert watt_hours is not None
    assert (fahrenheit.value(212.0), watt_hours.value(1.5)) == (100.0, 1500.0)
    assert wanted_temperature("°C", "°C") is None
    assert wanted_energy("m³", "kWh") is None


def test_every_bound_has_a_reason_and_lets_zero_or_air_pressure_pass() -> None:
    for name, by_unit in BOUNDS.items():
        for unit, bounds in by_unit.items():
            assert bounds.why
            assert bounds.low < bounds.high
            assert bounds_of(name, unit) == bounds
    found = bounds_of("temperature", "\u2103")
    assert found is not None
    assert found.low == -273.15
