"""RFC 3339 in and out: every digit kept, every zone understood, nothing that a store could not hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.reading.times import LAST_NS, ns_of_rfc3339, rfc3339_of_ns, rfc3339_of_us

T_S = 1_795_229_244


@given(st.integers(0, LAST_NS))
def test_a_time_that_was_told_is_understood_to_the_nanosecond(time_ns: int) -> None:
    assert ns_of_rfc3339(rfc3339_of_ns(time_ns)) == time_ns


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("2026-11-21T02:47:24Z", T_S * 10**9),
        ("2026-11-21t02:47:24z", T_S * 10**9),
        ("2026-11-21 02:47:24.5+00:00", T_S * 10**9 + 500_000_000),
        ("2026-11-21T03:47:24+01:00", T_S * 10**9),
        ("2026-11-20T21:17:24-05:30", T_S * 10**9),
        ("2026-11-21T02:47:24.0000000019Z", T_S * 10**9 + 1),
        ("2016-12-31T23:59:60Z", 1_483_228_799_999_999_999),
        ("0001-01-01T00:00:00+23:59", 0),
        ("9999-12-31T23:59:59-23:59", LAST_NS),
    ],
)
def test_times_of_all_forms_are_understood(text: str, expected_ns: int) -> None:
    assert ns_of_rfc3339(text) == expected_ns


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026-11-21", "2026-11-21T02:47:24", "2026-13-01T00:00:00Z", "2026-11-21T25:00:00Z", "1795229244"),
        *("2026-11-21T02:47:24+24:00", "2026-11-21T02:47:24-00:60"),
    ],
)
def test_what_is_no_time_with_its_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        ns_of_rfc3339(text)


def test_microseconds_are_told_with_six_digits() -> None:
    assert rfc3339_of_us(T_S * 10**6 + 7) == "2026-11-21T02:47:24.000007Z"
