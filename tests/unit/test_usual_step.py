"""What is usual for an entity, and the rooms on its floor: fields that are there only where a point is to have them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ingestor.enrichment.neighbours import NeighboursStep
from ingestor.enrichment.opening import Means, enrichment_steps
from ingestor.enrichment.place import PlaceStep
from ingestor.enrichment.steps import Step
from ingestor.enrichment.usual import UsualStep
from ingestor.events.context import CONTEXT_FIELDS, TYPES
from ingestor.events.event import EventBatch, Extra, Place
from ingestor.events.observed import EntityPattern
from ingestor.home.cache import MemoryHomeMap
from ingestor.home.facts import AreaFacts, HomeFacts
from ingestor.home.model import Snapshot, Timeline
from ingestor.home.usual import Known, MemoryUsual, pack, unpack, usual_of
from ingestor.pipeline.enrich import enrich
from ingestor.settings import Settings
from tests.unit.test_watched_steps import T_US, state

HOUR_S = 3600
#: 2026-11-21 12:00 UTC is a Saturday, 13:00 in Berlin.
BERLIN = HomeFacts(
    "home",
    time_zone="Europe/Berlin",
    areas={
        name: AreaFacts(name, name.title(), floor)
        for name, floor in (
            ("kitchen", "Ground"),
            ("hall", "Ground"),
            ("cellar", ""),
            ("bath", "Ground"),
            ("attic", "Top"),
        )
    },
)


def counts(length: int, **at: int) -> list[int]:
    return [at.get(f"at_{number}", 0) for number in range(length)]


PATTERN = EntityPattern(
    "light.hall",
    hours=counts(24, at_13=50, at_7=30, at_20=15, at_2=5),
    weekdays=counts(7, at_5=75, at_6=25),
    months=counts(12, at_10=100),
    events=100,
    first_us=T_US - 10 * 86_400_000_000,
    last_us=T_US,
    recent_per_hour=2.5,
)


def enriched(
    step: Step, at_s: float = 0, *, facts: HomeFacts = BERLIN, place: Place | None = None
) -> Mapping[str, Extra]:
    home_map = MemoryHomeMap()
    home_map.publish(Snapshot("home", 1, 0, {"light.hall": Timeline(0, place or Place("light.hall", "light"))}), [])
    batch = EventBatch("b" * 26, "home", "websocket", "j", 0, 1, [state("light.hall", "on", at_s)])
    steps: list[Step] = [PlaceStep(), step]
    ready = enrich(batch, home_map, now_ns=0, wait_s=5, steps=steps, facts=facts).ready
    assert ready is not None
    assert ready.events[0].notes == []
    return ready.events[0].extras or {}


def usual(known: Known | None = None) -> UsualStep:
    return UsualStep(MemoryUsual({"home": {"light.hall": usual_of(PATTERN)} if known is None else known}))


def test_an_event_says_what_is_usual_at_its_own_local_time() -> None:
    assert enriched(usual()) == {
        "usual_per_hour": 2.5,
        "is_peak_hour": True,
        "usual_hour_share": 0.5,
        "usual_weekday_share": 0.75,
        "usual_month_share": 1.0,
    }


@pytest.mark.parametrize(
    ("hours", "peak", "share"), [(-6, True, 0.3), (7, True, 0.15), (13, False, 0.05), (1, False, 0)]
)
def test_a_peak_hour_is_one_of_the_three_with_most_events(hours: int, peak: bool, share: float) -> None:
    step = usual()
    enriched(step)

    found = enriched(step, hours * HOUR_S)

    assert (found["is_peak_hour"], found["usual_hour_share"]) == (peak, share)


def test_of_what_was_never_watched_nothing_is_said() -> None:
    assert enriched(usual({})) == {}


def test_where_the_time_zone_is_not_known_only_the_frequency_is_said() -> None:
    assert enriched(usual(), facts=HomeFacts("home")) == {"usual_per_hour": 2.5}


def test_what_is_told_anew_is_said_from_then_on() -> None:
    source = MemoryUsual({"home": {}})
    step = UsualStep(source)
    before = enriched(step)
    source._homes["home"] = {"light.hall": usual_of(PATTERN)}

    assert before == {}
    assert enriched(step)["usual_per_hour"] == 2.5


def test_what_is_usual_comes_through_packing_as_it_was_and_rubbish_says_nothing() -> None:
    known = {"light.küche": usual_of(PATTERN)}

    assert unpack(pack(known)) == known
    assert unpack(b"rubbish") == {}
    assert unpack(pack(known)[:-3]) == {}


def test_the_other_rooms_of_the_floor_are_named() -> None:
    def rooms(area: str, floor: str) -> Extra | None:
        return enriched(NeighboursStep(), place=Place("light.hall", "light", area=area, floor=floor)).get("floor_rooms")

    assert rooms("Hall", "Ground") == "Bath, Kitchen"
    assert rooms("Attic", "Top") is None
    assert rooms("Cellar", "") is None


@pytest.mark.parametrize(
    ("chosen", "run"),
    [((), set()), (("usual_per_hour",), {"usual"}), (("floor_*",), {"neighbours"}), (("*",), {"usual", "neighbours"})],
)
def test_these_steps_run_only_where_a_point_is_to_have_their_fields(chosen: tuple[str, ...], run: set[str]) -> None:
    settings = Settings.model_validate({"data_dir": "unused", "storage": {"context_fields": chosen}})

    steps = enrichment_steps(settings.enrichment.steps, Means(settings))

    assert {step.name for step in steps} & {"usual", "neighbours"} == run


def test_every_field_of_these_steps_is_declared_with_the_type_that_it_has() -> None:
    declared = {field.name: TYPES[field.kind] for field in CONTEXT_FIELDS}
    place = Place("light.hall", "light", area="Hall", floor="Ground")
    found = {**enriched(usual()), **enriched(NeighboursStep(), place=place)}

    assert {name: type(value) for name, value in found.items()} == {name: declared[name] for name in found}
    assert len(found) == 6
