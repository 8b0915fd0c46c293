"""The moment of an event: found once for all events of a stretch of time, and never longer than what it says holds."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from typing import get_args

import pytest
from pydantic import ValidationError

from ingestor.enrichment.daytime import TimePart
from ingestor.enrichment.moments import MINUTE_US, MomentStep, Stretch
from ingestor.enrichment.opening import PARTS, STEPS, enrichment_steps
from ingestor.enrichment.steps import Surroundings
from ingestor.events.context import CONTEXT_FIELDS, TYPES
from ingestor.events.event import Event, Extra
from ingestor.home.cache import MemoryHomeMap
from ingestor.home.facts import HomeFacts
from ingestor.settings import EnrichmentSettings
from ingestor.settings_types import StepName

NOON_US = 1_795_262_400_000_000  # 2026-11-21 12:00:00 UTC, a Saturday
BERLIN = HomeFacts("home", 1, 52.52, 13.4, 34.0, "Europe/Berlin", "DE")
SYDNEY = HomeFacts("home", 1, -33.87, 151.2, 3.0, "Australia/Sydney", "AU")
TROMSOE = HomeFacts("home", 1, 69.65, 18.96, 0.0, "Europe/Oslo", "NO")


def event(time_us: int) -> Event:
    return Event(0, "state", "state_changed", "light.lamp", "light.lamp", time_us, 0, "websocket", 1, state="on")


def around(facts: HomeFacts = BERLIN) -> Surroundings:
    return Surroundings(facts.home, MemoryHomeMap(), facts=facts)


def run(step: MomentStep, facts: HomeFacts, *times_us: int) -> list[dict[str, Extra]]:
    """Enrich a batch; return the fields that each event's moment has."""
    events, place = [event(time_us) for time_us in times_us], around(facts)
    step.begin(events, place)
    for one in events:
        step.apply(one, place)
    return [place.moments[one.moment].fields for one in events]


def at(facts: HomeFacts, text: str, part: TimePart | None = None) -> dict[str, Extra]:
    time_us = int(datetime.fromisoformat(text).timestamp()) * 1_000_000
    (found,) = run(MomentStep([part or TimePart()]), facts, time_us)
    return found


def fail() -> None:
    raise ValueError("broken")


class Changing:
    """A part that says which of its stretches a time is in; counts how often it was asked."""

    name = "changing"

    def __init__(self, *changes_us: int) -> None:
        self.changes_us = [-(2**62), *changes_us, 2**62]
        self.asked = 0
        self.known = 0
        self.fault: Callable[[], None] = lambda: None

    def begin(self, events: Sequence[Event], around: Surroundings) -> None:
        self.fault()

    def version(self, home: str) -> Hashable:
        return self.known

    def at(self, facts: HomeFacts, time_us: int) -> Stretch:
        self.fault()
        self.asked += 1
        number = sum(change <= time_us for change in self.changes_us)
        return Stretch({"part": number}, self.changes_us[number - 1], self.changes_us[number])


def test_the_clock_of_the_home_says_hour_weekday_weekend_holiday_and_season() -> None:
    found = at(BERLIN, "2026-11-21T12:00:00+00:00")

    assert found == {
        "time_zone": "Europe/Berlin",
        "local_hour": 13,
        "weekday": 6,
        "weekend": True,
        "holiday": False,
        "season": "autumn",
        "sun_phase": "day",
        "sun_elevation": found["sun_elevation"],
    }


@pytest.mark.parametrize(
    ("utc", "hour"),
    [
        ("2026-03-29T00:59:00+00:00", 1),
        ("2026-03-29T01:00:00+00:00", 3),
        ("2026-10-25T00:59:00+00:00", 2),
        ("2026-10-25T01:00:00+00:00", 2),
        ("2026-10-25T02:00:00+00:00", 3),
    ],
)
def test_the_hour_follows_summer_time(utc: str, hour: int) -> None:
    assert at(BERLIN, utc)["local_hour"] == hour


def test_a_holiday_has_its_name_by_country_and_by_state() -> None:
    bavaria = TimePart(subdivision="BY")

    assert at(BERLIN, "2026-12-25T12:00:00+01:00")["holiday_name"] == "Erster Weihnachtstag"
    assert at(BERLIN, "2026-11-01T12:00:00+01:00")["holiday"] is False
    assert at(BERLIN, "2026-11-01T12:00:00+01:00", bavaria)["holiday_name"] == "Allerheiligen"
    assert at(BERLIN, "2026-07-04T12:00:00+02:00", TimePart(country="US"))["holiday"] is True


def test_the_weekend_is_that_of_the_country() -> None:
    jerusalem = HomeFacts("home", 1, 31.78, 35.22, 750.0, "Asia/Jerusalem", "IL")

    friday, sunday = (at(jerusalem, f"2026-11-{day}T12:00:00+02:00")["weekend"] for day in (20, 22))

    assert (friday, sunday) == (True, False)


@pytest.mark.parametrize("country", ["", "XX"])
def test_without_a_known_country_nothing_is_said_of_holidays(country: str) -> None:
    found = at(HomeFacts("home", 1, 1.0, 1.0, 0.0, "Europe/Berlin", country), "2026-12-25T12:00:00+01:00")

    assert "holiday" not in found
    assert found["weekend"] is False


@pytest.mark.parametrize(
    ("facts", "month", "season"),
    [(BERLIN, "01", "winter"), (BERLIN, "03", "spring"), (BERLIN, "12", "winter"), (SYDNEY, "01", "summer")],
)
def test_the_season_is_that_of_the_hemisphere(facts: HomeFacts, month: str, season: str) -> None:
    assert at(facts, f"2026-{month}-15T12:00:00+00:00")["season"] == season


# Berlin, 2026-11-21: civil dawn 06:58, sunrise 07:37, sunset 16:06, civil dusk 16:46 (local time; timeanddate almanac).
@pytest.mark.parametrize(
    ("local", "phase"),
    [("06:50", "night"), ("07:05", "dawn"), ("07:45", "day"), ("16:00", "day"), ("16:15", "dusk"), ("16:55", "night")],
)
def test_the_sun_rises_and_sets(local: str, phase: str) -> None:
    assert at(BERLIN, f"2026-11-21T{local}:00+01:00")["sun_phase"] == phase


def test_beyond_the_polar_circle_the_sun_may_not_rise_or_not_set() -> None:
    assert at(TROMSOE, "2026-12-21T23:00:00+01:00")["sun_phase"] == "night"
    assert at(TROMSOE, "2026-06-21T00:30:00+02:00")["sun_phase"] == "day"


def test_of_a_home_of_which_nothing_is_known_nothing_is_said() -> None:
    assert at(HomeFacts("home"), "2026-11-21T12:00:00+00:00") == {}


def test_every_field_is_declared_with_its_type() -> None:
    declared = {field.name: TYPES[field.kind] for field in CONTEXT_FIELDS}

    found = at(BERLIN, "2026-12-25T12:00:00+01:00")

    assert {name: type(value) for name, value in found.items()} == {name: declared[name] for name in found}
    assert {field.step for field in CONTEXT_FIELDS} <= {*STEPS, *PARTS}


def test_events_of_a_minute_share_one_moment_and_the_next_minute_has_its_own() -> None:
    part = Changing()
    events, place = [event(NOON_US + at_s * 1_000_000) for at_s in (0, 59, 30, 60, 1)], around()
    step = MomentStep([part])

    step.begin(events, place)
    for one in events:
        step.apply(one, place)

    assert [one.moment for one in events] == [0, 0, 0, 1, 0]
    assert [(one.from_us, one.until_us) for one in place.moments] == [
        (NOON_US, NOON_US + MINUTE_US),
        (NOON_US + MINUTE_US, NOON_US + 2 * MINUTE_US),
    ]
    assert part.asked == 2


def test_a_moment_ends_where_any_part_of_it_changes() -> None:
    step = MomentStep([Changing(NOON_US + 10), TimePart()])

    found = run(step, BERLIN, NOON_US + 9, NOON_US + 10, NOON_US + 9)

    assert [fields["part"] for fields in found] == [1, 2, 1]
    assert {fields["local_hour"] for fields in found} == {13}


def test_a_later_batch_asks_again_only_what_may_have_changed() -> None:
    part = Changing()
    step = MomentStep([part])

    for known, asked in [(0, 1), (0, 1), (1, 2), (1, 2)]:
        part.known = known
        run(step, BERLIN, NOON_US)
        assert part.asked == asked
    run(step, SYDNEY, NOON_US)

    assert part.asked == 3


def test_a_part_that_fails_leaves_a_note_and_the_others_go_on() -> None:
    part, place, one = Changing(), around(), event(NOON_US)
    part.fault = fail
    step = MomentStep([part, TimePart()])

    step.begin([one], place)

    assert step.apply(one, place)
    assert one.notes == ["changing: ValueError: broken"]
    assert place.moments[0].fields["local_hour"] == 13


def test_the_moments_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestor.enrichment.moments._MAX_MINUTES", 4)
    step = MomentStep([Changing()])

    run(step, BERLIN, *(NOON_US + number * MINUTE_US for number in range(50)))

    (home,) = step._homes.values()
    assert len(home.minutes) == 4


def test_a_time_beyond_every_calendar_costs_a_note_not_the_event() -> None:
    far, place = event(2**61), around()
    step = MomentStep([TimePart()])

    step.begin([far], place)

    assert step.apply(far, place)
    assert far.notes[0].startswith("time: ")
    assert place.moments[far.moment].fields == {}


def test_parts_become_one_step_where_the_first_of_them_is_named() -> None:
    assert [step.name for step in enrichment_steps(("time",))] == ["place", "moment"]
    assert [step.name for step in enrichment_steps(("place",))] == ["place"]


def test_the_settings_name_every_step_there_is_and_no_other() -> None:
    assert set(get_args(StepName)) == {*STEPS, *PARTS}
    assert set(EnrichmentSettings().steps) == {*STEPS, *PARTS}

    with pytest.raises(ValidationError, match="steps"):
        EnrichmentSettings.model_validate({"steps": ["place", "horoscope"]})
