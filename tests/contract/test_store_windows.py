"""States added up by windows of time: every store says what the plain way says."""

from __future__ import annotations

import pytest

from ingestor.events.event import Event
from ingestor.storage.windows import Window, WindowQuery
from tests.contract.test_store_contract import T0_US, Bench, bench, called, database_1, place, state

__all__ = ["bench", "database_1"]  # fixtures
T0_NS = T0_US * 1000
MINUTE_NS = 60_000_000_000
#: T0 is 24 s into its minute.
FIRST_NS = T0_NS // MINUTE_NS * MINUTE_NS
S = 1_000_000


def windows(bench: Bench, *series: str, window_ns: int = MINUTE_NS) -> list[Window]:
    span = (T0_NS - 3600 * 10**9, T0_NS + 3600 * 10**9)
    return bench.store.windows(WindowQuery(bench.home, series, *span, window_ns))


def numbers(bench: Bench, series: str, *values: tuple[float, float]) -> None:
    bench.write_events(*[(number(at_s, value, series), place(series)) for at_s, value in values])


def number(at_s: float, value: float, series: str) -> Event:
    event = state(int(at_s * S), f"{value:g}", series)
    event.value = value
    return event


def test_numbers_are_added_up_by_window(bench: Bench) -> None:
    numbers(bench, "sensor.a", (0, 2.0), (10, 4.0), (35.999999, 9.0), (36, 1.0), (200, -1.5))

    assert windows(bench, "sensor.a") == [
        Window("sensor.a", FIRST_NS, 3, 3, 2.0, 9.0, 5.0, 15.0, 9.0, "9"),
        Window("sensor.a", FIRST_NS + MINUTE_NS, 1, 1, 1.0, 1.0, 1.0, 1.0, 1.0, "1"),
        Window("sensor.a", FIRST_NS + 3 * MINUTE_NS, 1, 1, -1.5, -1.5, -1.5, -1.5, -1.5, "-1.5"),
    ]


def test_a_state_without_a_number_counts_as_a_state(bench: Bench) -> None:
    numbers(bench, "sensor.a", (0, 5.0))
    bench.write_events(
        (state(S, "unavailable", "sensor.a", available=False), place("sensor.a")),
        (state(61 * S, "on", "light.b"), place("light.b")),
        (state(62 * S, None, "light.b", available=False), place("light.b")),
    )

    assert windows(bench, "light.b", "sensor.a") == [
        Window("light.b", FIRST_NS + MINUTE_NS, 2, 0, None, None, None, None, None, "on"),
        Window("sensor.a", FIRST_NS, 2, 1, 5.0, 5.0, 5.0, 5.0, 5.0, "unavailable"),
    ]


def test_of_the_first_and_last_window_only_what_is_in_the_span_counts(bench: Bench) -> None:
    numbers(bench, "sensor.a", (0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0))
    at_1_ns, at_3_ns = (T0_NS + second * 10**9 + 42 for second in (1, 3))

    found = bench.store.windows(WindowQuery(bench.home, ("sensor.a",), at_1_ns, at_3_ns, MINUTE_NS))

    assert [(one.start_ns, one.total) for one in found] == [(FIRST_NS, 5.0)]


def test_only_the_series_and_the_home_that_are_asked_for_and_only_states(bench: Bench) -> None:
    numbers(bench, "sensor.a", (0, 1.0))
    numbers(bench, "sensor.aa", (0, 7.0))
    bench.write_events((called(0), place("call_service:sensor.a")))
    elsewhere = Bench(bench.store, f"{bench.home}-x")
    numbers(elsewhere, "sensor.a", (1, 100.0))

    assert [one.total for one in windows(bench, "sensor.a")] == [1.0]
    assert windows(bench) == []
    assert windows(bench, "sensor.none", "it's' OR '1'='1") == []


def test_an_entity_that_moved_to_another_room_is_one_series(bench: Bench) -> None:
    bench.write_events(
        (number(0, 1.0, "sensor.a"), place("sensor.a", area="Kitchen")),
        (number(1, 3.0, "sensor.a"), place("sensor.a", area="Hall")),
    )

    assert [(one.states, one.mean, one.last) for one in windows(bench, "sensor.a")] == [(2, 2.0, 3.0)]


@pytest.mark.parametrize("window_ns", [1_000_000_000, 7_000_000_000, 86_400_000_000_000])
def test_windows_of_any_length_begin_where_they_are_counted_from_1970(bench: Bench, window_ns: int) -> None:
    numbers(bench, "sensor.a", *((second * 11.0, float(second)) for second in range(50)))

    found = windows(bench, "sensor.a", window_ns=window_ns)

    starts = [(T0_NS + second * 11 * 10**9) // window_ns * window_ns for second in range(50)]
    assert [one.start_ns for one in found] == sorted(set(starts))
    assert sum(one.states for one in found) == 50
