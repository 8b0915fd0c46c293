"""What Home Assistant's time is, though events may say any."""

from __future__ import annotations

import pytest

from ingestor.intake.gaps.clock import HomeClock

S = 1_000_000
NOW = 1_800_000_000 * S
HOUR = 3600 * S


class Seconds:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_the_clocks_difference_is_that_of_the_event_that_was_heard_soonest() -> None:
    clock = HomeClock()

    assert clock.heard(NOW - 90 * S, NOW)
    assert clock.heard(NOW + 4 * S, NOW + 5 * S)

    assert clock.at(NOW) == NOW - S
    assert clock.late_us == 0
    assert clock.heard(NOW, NOW + 3 * S)
    assert clock.late_us == 2 * S


def test_an_event_from_the_future_tells_nothing_where_the_clocks_difference_is_known() -> None:
    clock = HomeClock()
    clock.begin(S)

    assert not clock.heard(NOW + HOUR, NOW)
    assert clock.heard(NOW, NOW)
    assert not clock.heard(NOW + HOUR, NOW)

    assert (clock.at(NOW), clock.late_us) == (NOW, 0)


def test_an_event_that_is_far_older_than_the_others_tells_nothing_and_a_late_one_does() -> None:
    clock = HomeClock()
    clock.begin(S)
    clock.heard(NOW, NOW)

    assert not clock.heard(NOW - HOUR, NOW)
    assert clock.late_us == 0
    assert clock.heard(NOW - 60 * S, NOW)
    assert clock.late_us == 60 * S


def test_a_home_whose_clock_is_wrong_is_believed_by_its_greeting() -> None:
    clock = HomeClock()
    clock.begin(HOUR + S)

    assert clock.heard(NOW + HOUR, NOW)
    assert not clock.heard(NOW + 2 * HOUR, NOW)
    assert clock.at(NOW) == NOW + HOUR


@pytest.mark.parametrize("by_us", [HOUR, -HOUR])
def test_a_clock_that_was_set_is_believed_once_all_events_agree_for_ten_seconds(by_us: int) -> None:
    seconds = Seconds()
    clock = HomeClock(seconds)
    clock.begin(S)
    clock.heard(NOW, NOW)

    believed = []
    for seconds.now_s in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10):
        believed.append(clock.heard(NOW + by_us, NOW))

    assert believed == [False] * 10 + [True]
    assert clock.at(NOW) == NOW + by_us


def test_events_from_the_future_are_not_believed_however_many_while_others_say_the_time() -> None:
    seconds = Seconds()
    clock = HomeClock(seconds)
    clock.begin(S)

    believed = []
    for seconds.now_s in range(30):
        believed.append(clock.heard(NOW + HOUR, NOW))
        if seconds.now_s % 7 == 0:
            assert clock.heard(NOW, NOW)

    assert believed == [False] * 30


def test_events_from_many_a_future_are_not_believed() -> None:
    seconds = Seconds()
    clock = HomeClock(seconds)
    clock.begin(S)

    for seconds.now_s in range(30):
        assert not clock.heard(NOW + int(seconds.now_s + 1) * HOUR, NOW)


def test_where_the_difference_is_not_known_events_are_believed() -> None:
    clock = HomeClock()

    assert clock.heard(NOW, NOW)
    assert clock.heard(NOW + HOUR, NOW)
    assert clock.at(NOW) == NOW + HOUR
