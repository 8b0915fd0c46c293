"""So many messages a second, or a share of all of them, and nothing waits."""

from __future__ import annotations

import pytest

from ingestor import errors
from ingestor.live.pacing import MOST_PER_S, Pace

MESSAGES = [b"message %d" % number for number in range(1000)]


def test_without_a_limit_all_is_taken() -> None:
    pace = Pace()

    assert pace.select(MESSAGES) == MESSAGES
    assert (pace.limits, pace.skipped) == (False, 0)


def test_a_second_may_have_so_many_whenever_they_come_and_the_rest_is_counted() -> None:
    now_s = [0.0]
    pace = Pace(max_per_s=10, clock=lambda: now_s[0])

    first = pace.select(MESSAGES[:4])
    second = pace.select(MESSAGES[4:20])
    now_s[0] = 0.5
    third = pace.select(MESSAGES[20:40])
    now_s[0] = 100.0
    fourth = pace.select(MESSAGES[40:60])

    assert first == MESSAGES[:4]
    assert second == MESSAGES[4:10]
    assert third == MESSAGES[20:25]
    assert fourth == MESSAGES[40:50]
    assert pace.skipped == 10 + 15 + 10


def test_less_than_one_a_second_is_one_now_and_then() -> None:
    now_s = [0.0]
    pace = Pace(max_per_s=0.1, clock=lambda: now_s[0])

    taken = []
    for second in range(25):
        now_s[0] = float(second)
        taken.append(len(pace.select(MESSAGES[:3])))

    assert [second for second, count in enumerate(taken) if count] == [0, 10, 20]


@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_a_sample_is_a_share_and_the_same_messages_for_all_who_ask(share: float) -> None:
    one, other = Pace(sample=share), Pace(sample=share)

    found = one.select(MESSAGES)

    assert found == [message for half in (MESSAGES[:500], MESSAGES[500:]) for message in other.select(half)]
    assert abs(len(found) / 1000 - share) < 0.05
    assert set(Pace(sample=share / 2).select(MESSAGES)) <= set(found)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan"), MOST_PER_S + 1.0])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(errors.Unanswerable, match="messages a second"):
        Pace(max_per_s=rate)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, float("inf"), float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(errors.Unanswerable, match="share"):
        Pace(sample=share)
