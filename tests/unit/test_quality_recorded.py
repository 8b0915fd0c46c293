"""What two recorded homes said is judged by the same code: what their drivers did on purpose is found, no more."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ingestor.events.event import Event
from ingestor.events.frame import Frame
from ingestor.events.websocket import decode_websocket
from ingestor.quality.gate import Gate
from ingestor.quality.hours import HOUR_US
from ingestor.quality.judging import JudgeContext, Judgement, judge
from ingestor.quality.model import Dimension, ProblemKind, Scope
from ingestor.quality.tally import Carry, hour_facts
from ingestor.settings_quality import QualitySettings
from tests.quality_truth.feeding import told_of

RECORDINGS = Path(__file__).parents[1] / "recordings"
#: Whom the driver gave strange states and another unit each time.
PROBES = {"sensor.probe", "sensor.bad_case", "custom_domain.thing", "light.fake_rest_light"}


def events_of(year: str) -> list[Event]:
    found: list[Event] = []
    with gzip.open(RECORDINGS / f"states_{year}.jsonl.gz") as lines:
        for line in lines:
            heard = json.loads(line)
            frame = Frame("websocket", round(heard["t"] * 1e9), heard["raw"].encode())
            for event in decode_websocket(frame, len(found), frozenset()):
                assert isinstance(event, Event)
                found.append(event)
    return found


@pytest.fixture(scope="module", params=["2024", "2026"])
def judged(request: pytest.FixtureRequest) -> tuple[str, Judgement]:
    """The year of a recording, and what was found in it."""
    events = events_of(request.param)
    looked = Gate(QualitySettings()).look(list(events), events[-1].received_ns)
    rejected = {event.slot for event, _error in looked.rejected}
    hours: dict[int, list[Event]] = {}
    for event in events:
        hours.setdefault(event.time_us // HOUR_US * HOUR_US, []).append(event)
    carried: dict[str, Carry] = {}
    facts = [hour_facts("home", hour_us, told_of(hours[hour_us], rejected), carried) for hour_us in sorted(hours)]
    return request.param, judge("home", [one for of_hour in facts for one in of_hour], JudgeContext())


def named(judged: Judgement, kind: ProblemKind) -> set[str]:
    return {one.subject for one in judged.problems if one.kind is kind}


def test_strange_states_and_changing_units_are_found_with_those_that_have_them(judged: tuple[str, Judgement]) -> None:
    year, found = judged

    also = {"2024": {"binary_sensor.odd_b"}, "2026": {"sensor.last_odd_event"}}[year]
    assert named(found, ProblemKind.RUBBISH) == PROBES | also
    assert named(found, ProblemKind.UNIT_CHANGED) <= PROBES | also
    assert named(found, ProblemKind.UNIT_CHANGED) >= {"sensor.probe", "sensor.bad_case", "custom_domain.thing"}


def test_devices_that_came_and_went_flap_and_nothing_else_is_told_of_minutes(judged: tuple[str, Judgement]) -> None:
    year, found = judged

    kinds = {one.kind for one in found.problems}
    flapping = named(found, ProblemKind.FLAPPING)
    assert kinds <= {ProblemKind.RUBBISH, ProblemKind.UNIT_CHANGED, ProblemKind.FLAPPING}
    assert all("zoo_node" in one or one == "sensor.level_ratio" for one in flapping)
    # Only the recording of 2026 goes over a full hour: one hour alone may be a restart.
    assert bool(flapping) is (year == "2026")


def test_scores_say_who_is_away_and_that_minutes_tell_nothing_of_life(judged: tuple[str, Judgement]) -> None:
    _year, found = judged

    home = next(one for one in found.scores if one.scope is Scope.HOME)
    parts = {part.dimension: part for part in home.parts}
    assert home.score is not None
    assert 90 < home.score < 99
    assert parts[Dimension.LIVENESS].score is None
    assert "zoo_node" in parts[Dimension.AVAILABILITY].explanation
    assert (parts[Dimension.AVAILABILITY].score or 0) < (parts[Dimension.VALIDITY].score or 0) < 100
    assert all(part.explanation for score in found.scores for part in score.parts)
