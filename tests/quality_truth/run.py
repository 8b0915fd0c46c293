"""`python -m tests.quality_truth.run`: simulates homes with planted faults, judges them, prints what was found."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from ingestor.demo.month import Month
from ingestor.demo.planting import ALL, FaultName
from ingestor.quality.hours import HOUR_US
from ingestor.quality.judging import HomeJudge
from ingestor.quality.sums import Sums
from tests.quality_truth.comparing import Comparison, Told, compare
from tests.quality_truth.feeding import HOME, Feeding

#: A Sunday in March at midnight UTC.
START_US: Final = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000
SEEDS: Final = range(1, 11)
#: Of the healthy rest, so many may be alarmed about.
MOST_FALSE: Final = 0.02


def judged(seed: int, faults: Sequence[FaultName] = ALL) -> Comparison:
    """Simulate a home, judge it, compare with the truth."""
    month = Month(seed, START_US, faults=faults)
    return compare(month.faults.truths, told_by_hour(Feeding(month)), month.places)


def told_by_hour(feeding: Feeding) -> list[Told]:
    """Judge hour after hour, as the tasks do; return every problem as it was in the end, and when it was told first."""
    judging, sums = HomeJudge(HOME, feeding.context()), dict[str, Sums]()
    first: dict[tuple[str, int], int] = {}
    found: list[Told] = []
    for hour_us, facts in groupby(feeding.facts(), key=lambda one: one.hour_us):
        end_us = hour_us + HOUR_US
        ended = judging.hour(hour_us, list(facts), sums)
        for one in (*ended, *judging.open()):
            first.setdefault((one.key, one.since_us), end_us)
        found += [Told(one, first[one.key, one.since_us]) for one in ended]
    return found + [Told(one, first[one.key, one.since_us]) for one in judging.open()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge the seeds; 0: all found, few false alarms."""
    parser = argparse.ArgumentParser(description="See whether every planted fault is found.")
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    parser.add_argument("--healthy", action="store_true", help="plant nothing: every alarm is false")
    parser.add_argument("--alarms", action="store_true", help="show every false alarm")
    chosen = parser.parse_args(arguments)
    good = True
    for seed in chosen.seeds:
        begun = time.perf_counter()
        comparison = judged(seed, () if chosen.healthy else ALL)
        good = _show(seed, comparison, time.perf_counter() - begun, alarms=chosen.alarms) and good
    _say("every fault was found, and few alarms were false" if good else "NOT as it should be")
    return 0 if good else 1


def _show(seed: int, comparison: Comparison, seconds: float, *, alarms: bool) -> bool:
    is_good = not comparison.missed and comparison.false_share <= MOST_FALSE
    found = len(comparison.found) - len(comparison.missed)
    _say(
        f"seed {seed:2}: found {found} of {len(comparison.found)}, "
        f"{comparison.false_share:.1%} false alarms on {comparison.healthy} healthy entities, {seconds:.1f} s"
    )
    for truth, told in comparison.found:
        when = "MISSED" if told is None else f"told after {(told.told_us - truth.since_us) / HOUR_US:.1f} h"
        _say(f"    {truth.kind:17} {truth.subject:45} {when}")
    for alarm in comparison.false_alarms if alarms else ():
        _say(f"    false: {alarm.kind} {alarm.scope} {alarm.subject}: {alarm.evidence}")
    return is_good


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
