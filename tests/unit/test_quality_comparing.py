"""The comparer of found problems with planted truth: what counts as found, as missed, as a false alarm."""

from __future__ import annotations

from ingestor.demo.clock import DAY_US, HOUR_US
from ingestor.demo.faults import Truth
from ingestor.demo.month import Month
from ingestor.quality.model import Problem, ProblemKind, Scope
from tests.quality_truth.comparing import Comparison, Told, compare

START_US = 1_772_323_200_000_000
MONTH = Month(1, START_US, days=1)
SICK, WELL = "sensor.kitchen_climate_humidity", "sensor.bedroom_climate_humidity"
FROZEN = Truth("frozen", SICK, START_US, START_US + DAY_US, (SICK,))
RUBBISH = Truth("rubbish", "home", START_US, None, (SICK, WELL))


def problem(
    kind: ProblemKind = ProblemKind.FROZEN, subject: str = SICK, since_us: int = START_US, scope: Scope = Scope.ENTITY
) -> Problem:
    return Problem(kind, scope, subject, since_us, None, 1, "seen", "look")


def compared(truth: Truth, *problems: Problem, told_us: int = START_US + 2 * HOUR_US) -> Comparison:
    return compare([truth], [Told(one, max(told_us, one.since_us)) for one in problems], MONTH.places)


def test_a_problem_of_the_same_kind_and_subject_near_in_time_is_the_fault() -> None:
    told = compared(FROZEN, problem(since_us=START_US + HOUR_US))

    assert not told.missed
    assert told.false_share == 0


def test_another_kind_or_subject_or_a_problem_too_late_is_a_miss() -> None:
    for wrong in (
        problem(ProblemKind.SPIKES),
        problem(subject=WELL),
        problem(since_us=START_US + 2 * DAY_US),
        problem(since_us=START_US - DAY_US),
    ):
        assert compared(FROZEN, wrong).missed == [FROZEN]


def test_a_fault_that_is_told_too_late_is_a_miss_whenever_it_is_said_to_have_begun() -> None:
    late = START_US + 37 * HOUR_US

    assert compared(FROZEN, problem(), told_us=late).missed == [FROZEN]


def test_what_follows_from_a_fault_is_no_false_alarm_but_what_was_before_it_is() -> None:
    follows = problem(ProblemKind.DISTRIBUTION, since_us=START_US + 2 * DAY_US)
    device = problem(ProblemKind.DEAD, "kitchen_climate", scope=Scope.DEVICE)
    before = problem(ProblemKind.SPIKES, since_us=START_US - DAY_US)
    silent = problem(ProblemKind.DEAD, since_us=START_US - DAY_US)
    long_after = problem(ProblemKind.SPIKES, since_us=START_US + 9 * DAY_US)

    told = compare(
        [FROZEN],
        [
            *(Told(one, one.since_us) for one in (follows, device, before, long_after)),
            # Silence is told when it has lasted too long: it began with the last word.
            Told(silent, START_US + HOUR_US),
        ],
        MONTH.places,
    )

    assert told.false_alarms == [before, long_after]


def test_the_share_counts_each_healthy_subject_once() -> None:
    alarms = [problem(ProblemKind.SPIKES, WELL), problem(ProblemKind.DEAD, WELL)]

    told = compared(FROZEN, *alarms)

    assert told.healthy == len(MONTH.places) - 1
    assert told.false_share == 1 / told.healthy


def test_rubbish_of_the_whole_home_excuses_only_what_rubbish_is() -> None:
    excused = [
        problem(ProblemKind.RUBBISH, WELL),
        problem(ProblemKind.OUT_OF_BOUNDS, WELL),
        problem(ProblemKind.RUBBISH, "home", scope=Scope.HOME),
    ]
    dead = problem(ProblemKind.DEAD, WELL)

    told = compared(RUBBISH, *excused, dead)

    assert told.false_alarms == [dead]
    assert not told.missed
    assert compared(RUBBISH, dead).missed == [RUBBISH]
