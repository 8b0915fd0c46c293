"""What is found of weeks of hours: each fault once with its beginning, and nothing of what is healthy."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import msgspec
import pytest

from ingestor.quality.hours import HOUR_US, LAG_BUCKETS, HourFacts, lag_bucket
from ingestor.quality.judging import HomeJudge, HomeState, JudgeContext, Subject, judge
from ingestor.quality.model import Dimension, Problem, ProblemKind, Scope
from ingestor.quality.sums import Sums

T0 = 1_800_000_000_000_000 // (24 * HOUR_US) * 24 * HOUR_US
DAY = 24
K = ProblemKind
NAMES = ("sensor.a", "sensor.b", "sensor.c", "sensor.d")
MAP = {
    name: Subject(name, name, name, "sensor", device="ab" if name in NAMES[:2] else name[-1], via="hub")
    for name in NAMES
}
CONTEXT = JudgeContext(subjects=MAP)
Change = Callable[[HourFacts], HourFacts | None]


def healthy(series: str, hour: int, chance: random.Random) -> HourFacts:
    mean, start_us = 20 + chance.gauss(0, 0.3), T0 + hour * HOUR_US
    lags = [0] * LAG_BUCKETS
    lags[lag_bucket(30)] = 6
    return HourFacts(
        home="h",
        series=series,
        hour_us=start_us,
        events=6,
        values=6,
        changes=6,
        distinct=6,
        low=mean - 0.2 - chance.random(),
        high=mean + 0.2 + chance.random(),
        mean=mean,
        first=mean,
        last=mean,
        first_us=start_us + int(chance.random() * 9e8),
        last_us=start_us + HOUR_US - int(chance.random() * 9e8),
        lags=tuple(lags),
        silence_s=600.0,
        units=("°C",),
        types=("number",),
        sources={"websocket": 6},
    )


def weeks(
    change: Change = lambda facts: facts, who: tuple[str, ...] = NAMES[:1], *, days: tuple[int, int] = (16, 19)
) -> Iterator[HourFacts]:
    """Yield three weeks of a home, of which some entities are changed for some days."""
    chance = random.Random(4)
    for hour in range(21 * DAY):
        for name in NAMES:
            facts: HourFacts | None = healthy(name, hour, chance)
            if name in who and days[0] * DAY <= hour < days[1] * DAY:
                facts = change(healthy(name, hour, chance))
            if facts is not None:
                yield facts


def found(facts: Iterator[HourFacts], context: JudgeContext = CONTEXT) -> list[Problem]:
    return judge("h", facts, context).problems


def day_of(time_us: int | None) -> float | None:
    return None if time_us is None else (time_us - T0) / HOUR_US / DAY


def silent(_facts: HourFacts) -> None:
    return None


def reporting(facts: HourFacts) -> HourFacts:
    return HourFacts("h", facts.series, facts.hour_us, reported_us=facts.last_us)


def test_nothing_is_found_of_a_healthy_home_and_its_scores_say_so() -> None:
    judgement = judge("h", weeks(), CONTEXT)

    assert judgement.problems == []
    assert {score.scope for score in judgement.scores} == {Scope.HOME, Scope.DEVICE, Scope.ENTITY}
    assert all(score.score is not None and score.score > 99 for score in judgement.scores)
    assert all(part.explanation.endswith(".") for score in judgement.scores for part in score.parts)


@pytest.mark.parametrize(
    ("changed", "least", "most"),
    [
        pytest.param(lambda hour, facts: None if hour % DAY < 10 else facts, 100, 100, id="who is silent at night"),
        pytest.param(lambda hour, facts: replaced(facts, events=6 - hour % 3), 100, 100, id="who says more or less"),
        pytest.param(lambda _hour, facts: facts, 50, 90, id="who lost two of three for a week"),
    ],
)
def test_nobody_lacks_what_its_pace_does_not_make_sure_of(
    changed: Callable[[int, HourFacts], HourFacts | None], least: float, most: float
) -> None:
    chance, facts = random.Random(4), list[HourFacts]()
    for hour in range(21 * DAY):
        facts.append(healthy("sensor.b", hour, chance))
        one = healthy("sensor.a", hour, chance)
        found = changed(hour, one) if hour < 14 * DAY or least == most else replaced(one, events=2)
        facts += [found] if found else []

    scores = judge("h", facts, CONTEXT).scores

    (part,) = [
        part
        for score in scores
        if (score.scope, score.subject) == (Scope.ENTITY, "sensor.a")
        for part in score.parts
        if part.dimension is Dimension.COMPLETENESS
    ]
    assert part.score is not None
    assert least <= part.score <= most, part.explanation


def replaced(facts: HourFacts, **fields: int) -> HourFacts:
    return msgspec.structs.replace(facts, **fields)


def test_who_is_silent_alone_is_dead_until_it_speaks_again() -> None:
    (problem,) = found(weeks(silent, ("sensor.c",)))

    assert (problem.kind, problem.scope, problem.subject) == (K.DEAD, Scope.ENTITY, "sensor.c")
    assert day_of(problem.since_us) == pytest.approx(16, abs=0.05)
    assert day_of(problem.until_us) == pytest.approx(19, abs=0.05)


def test_who_is_silent_while_its_device_speaks_is_frozen() -> None:
    (problem,) = found(weeks(silent, ("sensor.a",)))

    assert (problem.kind, problem.subject) == (K.FROZEN, "sensor.a")
    assert "its device goes on" in problem.evidence


def test_who_reports_the_same_for_ever_is_frozen_and_not_dead() -> None:
    (problem,) = found(weeks(reporting, ("sensor.c",)))

    assert (problem.kind, "goes on reporting" in problem.evidence) == (K.FROZEN, True)


def test_a_dead_hub_is_said_once_for_all_that_hangs_on_it() -> None:
    (problem,) = found(weeks(silent, NAMES))

    assert (problem.kind, problem.scope, problem.subject) == (K.HUB_DEAD, Scope.DEVICE, "hub")


def test_time_in_which_the_home_was_not_heard_is_a_gap_and_nobody_is_dead() -> None:
    gap = (T0 + 16 * DAY * HOUR_US, T0 + 19 * DAY * HOUR_US)

    problems = found(weeks(silent, NAMES), replace(CONTEXT, gaps=[gap]))

    assert [(one.kind, one.scope, day_of(one.since_us), day_of(one.until_us)) for one in problems] == [
        (K.GAP, Scope.HOME, 16, 19)
    ]
    assert problems[0].evidence == "not heard for 4320 min"


@pytest.mark.parametrize("who", [("sensor.a",), ("sensor.c",), NAMES])
def test_a_gap_in_the_middle_does_not_end_a_silence_and_begin_it_anew(who: tuple[str, ...]) -> None:
    gaps = [(T0 + hour * HOUR_US, T0 + hour * HOUR_US + 1_500_000_000) for hour in (17 * DAY, 17 * DAY + 9)]

    problems = found(weeks(silent, who), replace(CONTEXT, gaps=gaps))

    assert len([one for one in problems if one.kind is not K.GAP]) == 1


def test_what_home_assistant_does_not_have_any_more_is_not_dead() -> None:
    assert found(weeks(silent, ("sensor.c",)), replace(CONTEXT, gone=frozenset({"sensor.c"}))) == []


def test_a_lamp_that_nobody_switches_is_no_problem() -> None:
    def lamp(facts: HourFacts) -> HourFacts | None:
        # Switched every hour for ten days, then not at all: its device goes on.
        return None if facts.hour_us > T0 + 10 * DAY * HOUR_US else msgspec.structs.replace(facts, values=0, texts=6)

    assert found(weeks(lamp, ("sensor.a",), days=(0, 21))) == []


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (K.FLAPPING, {"flaps": 3}),
        (K.UNAVAILABLE, {"unavailable_us": HOUR_US, "events": 0, "last_state": "unavailable"}),
        (K.UNIT_CHANGED, {"units": ("°F",)}),
        (K.TYPE_CHANGED, {"values": 0, "texts": 6, "mean": None, "low": None, "high": None, "last_state": "warm"}),
        (K.RUBBISH, {"rejected": 1}),
        (K.OUT_OF_BOUNDS, {"out_of_bounds": 2}),
        (K.DUPLICATE_SOURCE, {"sources": {"websocket": 6, "statestream": 6}}),
        (K.LATE, {"late": 6}),
        (K.VOLUME, {"events": 600}),
        (K.SCHEMA_DRIFT, {"attributes": 2}),
    ],
)
def test_each_fault_is_found_once_by_its_name(kind: ProblemKind, fields: dict[str, object]) -> None:
    def faulty(facts: HourFacts) -> HourFacts:
        bad = 16 * DAY <= (facts.hour_us - T0) // HOUR_US < 18 * DAY
        return msgspec.structs.replace(facts, **({"attributes": 1} | (fields if bad else {})))

    problems = [one for one in found(weeks(faulty, days=(0, 21))) if one.kind is kind]

    assert [one.subject for one in problems] == ["sensor.a"]
    assert day_of(problems[0].since_us) == pytest.approx(16, abs=0.1)
    assert problems[0].until_us is not None
    assert problems[0].evidence
    assert problems[0].advice


def test_what_flapped_until_lately_is_told_without_counting_an_hour_in_which_it_did_not() -> None:
    def flaps(facts: HourFacts) -> HourFacts:
        return msgspec.structs.replace(facts, flaps=9 if facts.hour_us - T0 < (16 * DAY + 2) * HOUR_US else 0)

    (flapping,) = [one for one in found(weeks(flaps)) if one.kind is K.FLAPPING]

    assert "times in the last hours" in flapping.evidence
    assert " 0 " not in flapping.evidence


def test_a_clock_that_is_an_hour_off_is_the_devices_and_a_gap_does_not_set_it() -> None:
    lags = tuple(6 if bucket == lag_bucket(3_600_000) else 0 for bucket in range(LAG_BUCKETS))
    gaps = [(T0 + 17 * DAY * HOUR_US, T0 + (17 * DAY + 5) * HOUR_US)]

    problems = found(
        weeks(lambda facts: msgspec.structs.replace(facts, lags=lags), NAMES[:2]), replace(CONTEXT, gaps=gaps)
    )

    (problem,) = [one for one in problems if one.kind is not K.GAP]
    assert (problem.kind, problem.scope, problem.subject) == (K.CLOCK_OFF, Scope.DEVICE, "ab")


def test_a_counter_that_begins_anew_every_day_is_told_until_it_is_usual() -> None:
    def counter(facts: HourFacts) -> HourFacts:
        hour = facts.hour_us // HOUR_US % DAY
        return msgspec.structs.replace(facts, low=float(hour), high=hour + 1.0, mean=hour + 0.5, last=hour + 1.0)

    meters = {**MAP, "sensor.a": replace(MAP["sensor.a"], state_class="total_increasing")}

    problems = found(weeks(counter, days=(0, 21)), JudgeContext(subjects=meters))

    assert [(one.kind, day_of(one.since_us)) for one in problems] == [(K.COUNTER_RESET, 1), (K.COUNTER_RESET, 2)]


def test_two_who_say_the_same_at_once_are_one_thing_by_two_roads() -> None:
    facts = [one for one in weeks() if one.series != "sensor.b"]
    copies = [
        msgspec.structs.replace(one, series="sensor.b", first_us=one.first_us + 9)
        for one in facts
        if one.series == "sensor.a"
    ]

    problems = found(iter(sorted(facts + copies, key=lambda one: one.hour_us)))

    assert [(one.kind, one.subject, one.until_us) for one in problems] == [(K.DUPLICATE_SOURCE, "sensor.b", None)]


def test_a_sensor_that_says_other_than_its_room_is_named_where_there_are_three() -> None:
    room = {name: replace(MAP[name], area="kitchen", device_class="temperature") for name in NAMES}

    problems = found(
        weeks(lambda facts: msgspec.structs.replace(facts, mean=(facts.mean or 0) + 7)), JudgeContext(subjects=room)
    )

    assert (K.DISAGREES, "sensor.a") in {(one.kind, one.subject) for one in problems}
    assert {one.subject for one in problems} == {"sensor.a"}


def test_a_judge_goes_on_from_what_another_one_left() -> None:
    whole, parts = judge("h", weeks(silent, ("sensor.c",)), CONTEXT), []
    state, sums = HomeState(), dict[str, Sums]()
    by_hour: dict[int, list[HourFacts]] = {}
    for one in weeks(silent, ("sensor.c",)):
        by_hour.setdefault(one.hour_us, []).append(one)

    for hour_us, facts in by_hour.items():
        judging = HomeJudge("h", CONTEXT, state)
        parts += judging.hour(hour_us, facts, sums)
        state = judging.state()
        if hour_us // HOUR_US % 100 == 0:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=HomeState)

    assert parts == [one for one in whole.problems if one.until_us is not None]


def test_a_score_tells_how_each_of_its_parts_came_about() -> None:
    judgement = judge("h", weeks(silent, ("sensor.c",)), CONTEXT)

    (score,) = [one for one in judgement.scores if one.subject == "sensor.c"]
    parts = {part.dimension: part for part in score.parts}

    assert score.score is not None
    assert score.score < 98
    assert parts[Dimension.LIVENESS].score == pytest.approx(100 - 100 * 3 / 21, abs=1)
    assert "Dead or frozen 13.9%" in parts[Dimension.LIVENESS].explanation
    assert parts[Dimension.AVAILABILITY].score == 100
