"""Degree days: by the mean of a local day, and only where the day is known."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from ingestor.home.observation import Observation
from ingestor.weather.degree_days import DegreeDay, bounds_us, degree_day, point_of

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 11, 20)
START_US = 1_795_129_200_000_000  # 2026-11-20 00:00 in Berlin
HOUR_US = 3_600_000_000


def hourly(*degrees: float | None, start_us: int = START_US) -> list[Observation]:
    return [Observation(start_us + at * HOUR_US, "p", temperature_c=value) for at, value in enumerate(degrees)]


def of(observations: list[Observation], day: date = DAY) -> DegreeDay | None:
    return degree_day(day, BERLIN, observations, heating_base_c=18.0, cooling_base_c=22.0)


def test_a_cold_day_asks_for_heating_and_a_hot_one_for_cooling() -> None:
    cold, hot, mild = of(hourly(*[5.0] * 12, *[7.0] * 12)), of(hourly(*[25.5] * 24)), of(hourly(*[20.0] * 24))

    assert cold == DegreeDay(DAY, START_US, 6.0, 24.0, 12.0, 0.0, "p")
    assert hot is not None
    assert mild is not None
    assert (hot.heating, hot.cooling) == (0.0, 3.5)
    assert (mild.heating, mild.cooling) == (0.0, 0.0)


def test_the_mean_is_over_time_and_not_over_observations() -> None:
    often = [Observation(START_US + at * 60_000_000, "p", temperature_c=30.0) for at in range(60)]

    found = of([*often, *hourly(*[6.0] * 23, start_us=START_US + HOUR_US)])

    assert found is not None
    assert found.mean_c == 7.0


def test_a_value_from_before_midnight_holds_into_the_day_and_none_holds_for_ever() -> None:
    every_two_hours = [Observation(START_US - HOUR_US + at * 2 * HOUR_US, "p", temperature_c=8.0) for at in range(13)]

    assert of(every_two_hours) == DegreeDay(DAY, START_US, 8.0, 24.0, 10.0, 0.0, "p")
    assert of(hourly(8.0)) is None
    assert of([]) is None
    assert of(hourly(*[None] * 24)) is None


def test_a_day_of_which_too_little_is_known_says_nothing() -> None:
    assert of(hourly(*[8.0] * 16)) is None
    found = of(hourly(*[8.0] * 18))
    assert found is not None
    assert found.hours == 20.0


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (DAY, 24)])
def test_a_day_is_the_homes_own_with_its_summer_time(day: date, hours: int) -> None:
    start_us, end_us = bounds_us(day, BERLIN)

    found = of(hourly(*[8.0] * hours, start_us=start_us), day)

    assert (end_us - start_us) / HOUR_US == hours
    assert found is not None
    assert found.hours == hours


def test_the_same_day_is_the_same_point() -> None:
    found = of(hourly(*[6.0] * 24))
    assert found is not None

    point = point_of("home", found)

    assert (point.measurement, point.tags, point.time_ns) == (
        "home_degree_days",
        (("home", "home"),),
        START_US * 1000,
    )
    assert point.fields == {
        "heating_degree_days": 12.0,
        "cooling_degree_days": 0.0,
        "mean_temperature": 6.0,
        "hours": 24.0,
        "day": "2026-11-20",
        "weather_provider": "p",
    }
