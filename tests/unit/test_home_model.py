"""Places over time: decided by an event's own time alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingestor.events.event import Place
from ingestor.home.model import NEVER_US, Snapshot, Timeline, bare_place
from ingestor.home.publication import pack, unpack


def place(area: str) -> Place:
    return Place("sensor.a", "sensor", area=area)


def snapshot(timeline: Timeline, **fields: int) -> Snapshot:
    return Snapshot("home", 1, timelines={"sensor.a": timeline}, **fields)


def test_the_first_place_holds_for_all_time_before() -> None:
    timeline = Timeline(500, place("Hall"), [(1000, place("Attic")), (2000, place("Cellar"))])

    areas = [timeline.at(time_us).area for time_us in (0, 499, 999, 1000, 1999, 2000, NEVER_US)]

    assert areas == ["Hall", "Hall", "Hall", "Attic", "Attic", "Cellar", "Cellar"]


def test_of_two_places_that_take_effect_together_the_later_one_holds() -> None:
    timeline = Timeline(0, place("Hall"), [(1000, place("Attic")), (1000, place("Cellar"))])

    assert [timeline.at(time_us).area for time_us in (999, 1000)] == ["Hall", "Cellar"]


def test_an_event_that_does_not_wait_has_a_place_only_since_the_entity_is_known() -> None:
    home = snapshot(Timeline(500, place("Hall")))

    assert home.place_of("sensor.a", 499, waits=False) is None
    assert home.place_of("sensor.a", 500, waits=False) == place("Hall")
    assert home.place_of("sensor.a", 499) == place("Hall")


def test_before_there_was_a_home_assistant_every_entity_is_a_series_of_its_own_name() -> None:
    home = snapshot(Timeline(1000, place("Hall")), mapped_from_us=1000)

    assert home.place_of("sensor.a", 999) == Place("sensor.a", "sensor")
    assert home.place_of("sensor.other", 999) == Place("sensor.other", "sensor")
    assert home.place_of("sensor.a", 1000) == place("Hall")
    assert home.place_of("sensor.other", 1000) is None


def test_an_unknown_entity_has_no_place() -> None:
    assert snapshot(Timeline(0, place("Hall"))).place_of("sensor.b", 0) is None
    assert bare_place("weird") == Place("weird", "weird")


PLACES = st.builds(Place, st.just("sensor.a"), st.just("sensor"), area=st.text(max_size=5), labels=st.tuples(st.text()))
TIMELINES = st.builds(
    Timeline,
    st.integers(0, 100),
    PLACES,
    st.lists(st.tuples(st.integers(0, NEVER_US), PLACES), max_size=6).map(
        lambda found: sorted(found, key=lambda e: e[0])
    ),
)


@given(timeline=TIMELINES, time_us=st.integers(0, NEVER_US))
def test_a_place_is_that_of_the_last_entry_not_after_the_time(timeline: Timeline, time_us: int) -> None:
    expected = timeline.first
    for effective_us, later in timeline.later:
        if effective_us <= time_us:
            expected = later

    assert timeline.at(time_us) == expected


@given(timelines=st.dictionaries(st.text(max_size=20), TIMELINES, max_size=5))
def test_a_snapshot_comes_out_as_it_was_packed(timelines: dict[str, Timeline]) -> None:
    home = Snapshot("home", 7, 5, timelines)

    assert unpack(pack(home)) == home


def test_a_damaged_snapshot_is_none() -> None:
    packed = pack(snapshot(Timeline(0, place("Hall"))))

    assert [unpack(packed[:-3]), unpack(b"rubbish"), unpack(b"")] == [None, None, None]
