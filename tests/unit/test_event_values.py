"""Text of the wire becomes typed values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor import errors
from ingestor.events.values import is_available, number_of, time_us


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01+00:00", 1_000_000),
        ("1970-01-01T00:00:01.000002+00:00", 1_000_002),
        ("1970-01-01T02:00:01+02:00", 1_000_000),
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T00:00:01", 1_000_000),
        ("1970-01-01 00:00:01", 1_000_000),
    ],
)
def test_a_time_is_read_with_or_without_a_zone(text: str, expected: int) -> None:
    assert time_us(text) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00+00:00", "1969-12-31T23:59:59+00:00", "21.5"])
def test_what_is_no_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(errors.InvalidEvent) as refused:
        time_us(text)

    assert refused.value.reason in {"invalid_time", "time_out_of_range"}


@given(
    st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1)),  # noqa: DTZ001 -- hypothesis adds the zone
    st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_every_time_keeps_its_microseconds_in_every_zone(moment: datetime, offset_min: int) -> None:
    zoned = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=offset_min)))

    micros = time_us(zoned.isoformat())

    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros) == zoned


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("21.5", 21.5),
        ("-0.0", 0.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("on", 1.0),
        ("off", 0.0),
        ("not_home", 0.0),
        ("below_horizon", 0.0),
        ("unknown", None),
        ("unavailable", None),
        ("", None),
        (None, None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("1_000", None),
        ("12:30", None),
        ("2026-11-21", None),
        ("21,5", None),
    ],
)
def test_a_state_is_a_number_only_where_a_person_would_say_so(state: str | None, expected: float | None) -> None:
    assert number_of(state) == expected


def test_only_a_state_that_can_be_heard_is_available() -> None:
    assert [is_available(state) for state in ("on", "unknown", "unavailable", None)] == [True, True, False, False]
