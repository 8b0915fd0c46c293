"""The judgement of `make soak`: what counts as growth, and what does not."""

from __future__ import annotations

import pytest

from tests.chaos.steady import Sample, Series, Verdict, judge

SECONDS = 1800


def process(
    memory_at: dict[int, float], *, begin_s: int = 0, end_s: int = SECONDS, leak: int = 0, is_judged: bool = True
) -> Series:
    """Return a process whose memory steps at those times, and that opens so many files more in each minute."""
    found = Series("write", 7, is_judged)
    for at_s in range(begin_s, end_s, 5):
        size = next(size for step_s, size in sorted(memory_at.items(), reverse=True) if step_s <= at_s)
        more = leak * (at_s // 60)
        found.samples.append(Sample(at_s, size, 20 + more, 6 + more))
    return found


def only(series: Series) -> Verdict:
    (verdict,) = judge([series], SECONDS)
    return verdict


def test_a_process_that_grows_while_it_warms_up_alone_is_steady() -> None:
    verdict = only(process({0: 40.0, 100: 90.0, 290: 100.0}))

    assert (verdict.fault, verdict.memory_mb, verdict.growth) == ("", (100.0, 100.0), 0.0)


@pytest.mark.parametrize(("end_mb", "is_steady"), [(104.9, True), (105.0, False), (140.0, False), (80.0, True)])
def test_growth_of_five_percent_after_the_first_five_minutes_is_a_fault(end_mb: float, is_steady: bool) -> None:
    verdict = only(process({0: 100.0, 900: end_mb}))

    assert (verdict.fault == "") == is_steady
    assert is_steady or "memory grew" in verdict.fault


def test_a_single_high_sample_is_no_growth() -> None:
    series = process({0: 100.0})
    series.samples[-1] = Sample(SECONDS - 5, 300.0, 20, 6)

    assert only(series).fault == ""


def test_open_files_and_connections_that_become_ever_more_are_a_fault() -> None:
    verdict = only(process({0: 100.0}, leak=1))

    assert "files" in verdict.fault
    assert "connections" in verdict.fault


@pytest.mark.parametrize(("begin_s", "end_s"), [(0, 1200), (900, SECONDS)])
def test_a_process_that_ends_or_takes_the_place_of_another_is_a_fault(begin_s: int, end_s: int) -> None:
    assert only(process({0: 100.0}, begin_s=begin_s, end_s=end_s)).fault


def test_what_is_not_ours_is_shown_and_not_judged() -> None:
    verdict = only(process({0: 100.0, 900: 500.0}, is_judged=False))

    assert (verdict.fault, verdict.growth) == ("", 4.0)
