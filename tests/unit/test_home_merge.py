"""What a sync makes of a home that changed: series for ever, places from their effective time on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestor.events.event import Place
from ingestor.home.derive import Current
from ingestor.home.merge import MAX_ENTRIES, Diff, Merger
from ingestor.home.model import Snapshot


class Home:
    """A home that is merged again and again, each version 100 µs after the one before."""

    def __init__(self) -> None:
        self.merger = Merger([])
        self.entries: list[Any] = []
        self.version = 0

    def sync(self, *entities: tuple[str, str, str], decided: tuple[str, ...] = (), **fields: Any) -> Diff:
        """Merge (entity_id, registry id, area)."""
        current = {entity_id: now(entity_id, registry_id, area, **fields) for entity_id, registry_id, area in entities}
        return self.merge(current, decided)

    def merge(self, current: dict[str, Current] | None, decided: tuple[str, ...] = ()) -> Diff:
        added, diff = self.merger.merge(current, decided, version=self.version + 1, effective_us=self.version * 100)
        self.version += 1
        self.entries += added
        return diff

    def at(self, entity_id: str, time_us: int) -> tuple[str, str]:
        """Return series and area, as a fresh reading of the entries gives them."""
        place = Snapshot("home", 1, 0, Merger(self.entries).timelines()).place_of(entity_id, time_us)
        assert place is not None
        return place.series, place.area


def now(entity_id: str, registry_id: str, area: str, *, device_class: str | None = "power") -> Current:
    place = Place("", entity_id.partition(".")[0], area=area, device_class=device_class or "")
    return Current(registry_id, place, device_class is not None)


def test_a_new_entity_is_placed_for_all_time() -> None:
    home = Home()

    diff = home.sync(("sensor.a", "r1", "Hall"), ("sun.sun", "", ""))

    assert diff.added == ["sensor.a", "sun.sun"]
    assert [home.at("sensor.a", time_us) for time_us in (0, 10_000)] == [("sensor.a", "Hall")] * 2
    assert home.at("sun.sun", 0) == ("sun.sun", "")


def test_an_unchanged_home_adds_nothing() -> None:
    home = Home()
    home.sync(("sensor.a", "r1", "Hall"), ("sun.sun", "", ""))
    kept = len(home.entries)

    diff = home.sync(("sensor.a", "r1", "Hall"), ("sun.sun", "", ""))

    assert (bool(diff), str(diff), len(home.entries)) == (False, "unchanged", kept)


def test_another_area_holds_from_its_effective_time_on() -> None:
    home = Home()
    home.sync(("sensor.a", "r1", "Hall"))

    diff = home.sync(("sensor.a", "r1", "Attic"))

    assert (diff.changed, str(diff)) == (["sensor.a"], "1 changed")
    assert [home.at("sensor.a", time_us) for time_us in (99, 100)] == [("sensor.a", "Hall"), ("sensor.a", "Attic")]


def test_a_renamed_entity_stays_one_series_under_both_names() -> None:
    home = Home()
    home.sync(("sensor.a", "r1", "Hall"))

    diff = home.sync(("sensor.b", "r1", "Hall"))
    again = home.sync(("sensor.c", "r1", "Attic"))

    assert (diff.renamed, diff.added, diff.removed) == ([("sensor.a", "sensor.b")], [], [])
    assert again.renamed == [("sensor.b", "sensor.c")]
    assert home.at("sensor.a", 0) == home.at("sensor.b", 0) == ("sensor.a", "Hall")
    assert home.at("sensor.c", 0) == ("sensor.a", "Attic")


def test_a_rename_there_and_back_leaves_one_series() -> None:
    home = Home()
    home.sync(("sensor.a", "r1", "Hall"))
    home.sync(("sensor.b", "r1", "Hall"))

    diff = home.sync(("sensor.a", "r1", "Hall"))

    assert diff.renamed == [("sensor.b", "sensor.a")]
    assert {home.at(name, time_us) for name in ("sensor.a", "sensor.b") for time_us in (0, 500)} == {
        ("sensor.a", "Hall")
    }


def test_two_entities_that_swap_their_names_keep_their_series() -> None:
    home = Home()
    home.sync(("sensor.a", "r1", "Hall"), ("sensor.b", "r2", "Attic"))

    diff = home.sync(("sensor.a", "r2", "Attic"), ("sensor.b", "r1", "Hall"))

    assert sorted(diff.renamed) == [("sensor.a", "sensor.b"), ("sensor.b", "sensor.a")]
    assert [home.at("sensor.a", time_us)[0] for time_us in (99, 100)] == ["sensor.a", "sensor.b"]
    assert [home.at("sensor.b", time_us)[0] for time_us in (99, 100)] == ["sensor.b", "sensor.a"]


def test_a_new_entity_under_the_old_name_of_one_that_lives_on_gets_a_series_of_its_own() -> None:
    home = Home()
    home.sync(("sensor.a", "r1", "Hall"))
    home.sync(("sensor.old", "r1", "Hall"))

    home.sync(("sensor.old", "r1", "Hall"), ("sensor.a", "r2", "Attic"))
    home.sync(("sensor.old", "r1", "Hall"), ("sensor.older", "r2", "Attic"), ("sensor.a", "r3", "Cellar"))

    assert home.at("sensor.old", 10_000) == ("sensor.a", "Hall")
    assert [home.at("sensor.a", time_us)[0] for time_us in (199, 200, 300)] == ["sensor.a", "sensor.a~2", "sensor.a~3"]
    assert home.at("sensor.older", 10_000) == ("sensor.a~2", "Attic")


def test_an_entity_that_is_removed_and_made_again_goes_on_with_its_series() -> None:
    home = Home()
    home.sync(("sensor.a", "r1", "Hall"))

    gone, still_gone = home.sync(), home.sync()
    back = home.sync(("sensor.a", "r2", "Attic"))

    assert (gone.removed, bool(still_gone), back.added) == (["sensor.a"], False, ["sensor.a"])
    assert [home.at("sensor.a", time_us) for time_us in (250, 300)] == [("sensor.a", "Hall"), ("sensor.a", "Attic")]


def test_an_entity_that_comes_back_while_another_has_taken_its_series_gets_a_new_one() -> None:
    home = Home()
    home.sync(("sensor.a", "r1", "Hall"))
    home.sync(("sensor.a", "r2", "Hall"))

    home.sync(("sensor.a", "r1", "Hall"), ("sensor.b", "r2", "Hall"))

    assert home.at("sensor.b", 10_000)[0] == "sensor.a"
    assert [home.at("sensor.a", time_us)[0] for time_us in (199, 200)] == ["sensor.a", "sensor.a~2"]


def test_a_device_class_that_nobody_says_now_stays_as_it_was() -> None:
    home = Home()
    home.sync(("sensor.a", "r1", "Hall"))

    silent = home.sync(("sensor.a", "r1", "Hall"), device_class=None)
    renamed = home.sync(("sensor.b", "r1", "Hall"), device_class=None)

    assert not silent
    assert renamed.renamed
    assert Merger(home.entries).timelines()["sensor.b"].first.device_class == "power"


def test_an_entity_that_has_only_a_state_may_be_missing_for_a_while() -> None:
    home = Home()
    home.sync(("sun.sun", "", ""))

    assert not home.sync()
    assert not home.sync(("sun.sun", "", ""))


def test_a_state_that_outlives_its_rename_for_a_moment_does_not_make_a_new_entity() -> None:
    home = Home()
    home.sync(("sensor.a", "r1", "Hall"))

    home.sync(("sensor.b", "r1", "Hall"), ("sensor.a", "", ""))
    moment = home.at("sensor.a", 10_000)
    home.sync(("sensor.b", "r1", "Hall"), ("sensor.a", "", ""))

    assert moment == ("sensor.a", "Hall")
    assert home.at("sensor.a", 10_000) == ("sensor.a~2", "")


def test_a_state_that_gets_a_registry_entry_goes_on_with_its_series() -> None:
    home = Home()
    home.sync(("sensor.a", "", ""))

    diff = home.sync(("sensor.a", "r1", "Hall"))

    assert diff.changed == ["sensor.a"]
    assert [home.at("sensor.a", time_us) for time_us in (99, 100)] == [("sensor.a", ""), ("sensor.a", "Hall")]


def test_a_decision_holds_until_the_version_that_knows_better_takes_effect() -> None:
    home = Home()
    home.sync(("sensor.a", "r1", "Hall"))

    diff = home.sync(("sensor.b", "r1", "Hall"), decided=("sensor.b", "sensor.a", "sensor.other"))

    assert diff.decided == ["sensor.b", "sensor.other"]
    assert [home.at("sensor.b", time_us) for time_us in (99, 100)] == [("sensor.b", ""), ("sensor.a", "Hall")]
    assert home.at("sensor.other", 10_000) == ("sensor.other", "")
    assert home.at("sensor.a", 10_000) == ("sensor.a", "Hall")


def test_where_there_is_nobody_to_ask_only_decisions_are_taken() -> None:
    home = Home()
    home.sync(("sensor.a", "r1", "Hall"))

    diff = home.merge(None, ("sensor.b",))

    assert (diff.decided, diff.removed) == (["sensor.b"], [])


def test_an_entity_that_changes_with_every_sync_is_kept_as_it_is_in_the_end() -> None:
    home = Home()

    diffs = [home.sync(("sensor.a", "r1", f"Area {number}")) for number in range(MAX_ENTRIES + 5)]

    assert len(home.entries) == MAX_ENTRIES
    assert [bool(diff) for diff in diffs[-6:]] == [True] + [False] * 5
    assert diffs[-1].frozen == ["sensor.a"]
    assert home.at("sensor.a", 10**9)[1] == f"Area {MAX_ENTRIES - 1}"


NAMES = st.sampled_from(["sensor.a", "sensor.b", "sensor.c"])
HOMES = st.dictionaries(
    NAMES, st.tuples(st.sampled_from(["r1", "r2", "r3", ""]), st.sampled_from(["Hall", "Attic", ""])), max_size=3
)


def unique(home: dict[str, tuple[str, str]]) -> dict[str, Current]:
    """A registry entry has one entity_id."""
    owners = {registry_id: name for name, (registry_id, _) in home.items()}
    return {
        name: now(name, registry_id, area)
        for name, (registry_id, area) in home.items()
        if not registry_id or owners[registry_id] == name
    }


@given(homes=st.lists(HOMES, min_size=1, max_size=8), decided=st.lists(st.lists(NAMES, max_size=2), max_size=8))
@settings(max_examples=200, deadline=None)
def test_whatever_happens_a_place_that_held_is_never_changed_and_living_entities_share_no_series(
    homes: list[dict[str, tuple[str, str]]], decided: list[list[str]]
) -> None:
    home = Home()
    answers: dict[tuple[str, int], Place | None] = {}

    for number, one in enumerate(homes):
        current = unique(one)
        home.merge(current, tuple(decided[number]) if number < len(decided) else ())
        snapshot = Snapshot("home", 1, 0, home.merger.timelines())
        # An event is asked for only before the next version is made: before the next effective time.
        for name in snapshot.timelines:
            for time_us in (0, 50, number * 100, number * 100 + 99):
                found = snapshot.place_of(name, time_us)
                assert answers.setdefault((name, time_us), found) == found

        registered = {name for name, entity in current.items() if entity.registry_id}
        series = [snapshot.timelines[name].at(number * 100).series for name in registered]
        assert len(set(series)) == len(series)
        assert Merger(home.entries).timelines() == home.merger.timelines()


@pytest.mark.parametrize("names", [["sensor.a", "sensor.b", "sensor.c"], ["sensor.c", "sensor.a", "sensor.b"]])
def test_the_series_of_a_registry_entry_never_changes_through_any_names(names: list[str]) -> None:
    home = Home()

    for name in names:
        home.sync((name, "r1", "Hall"))

    assert {home.at(name, 10**6)[0] for name in names} == {names[0]}
