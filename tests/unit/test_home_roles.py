"""A replaced device: its successor goes on with the old series, from a time on, and can be taken out of it again."""

from __future__ import annotations

from typing import Any

import pytest

from ingestor import errors
from ingestor.home.derive import Current
from ingestor.home.merge import Entry, Merger
from ingestor.home.model import Snapshot
from ingestor.home.roles import match_entities, plan_role
from tests.unit.test_home_merge import now


class Home:
    """A home that is merged again and again, each version 100 µs after the one before, with roles."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.joined: dict[str, str] = {}
        self.version = 0

    def sync(self, *entities: tuple[str, str]) -> str:
        """Merge (entity_id, registry id)."""
        current: dict[str, Current] = {name: now(name, registry_id, "Hall") for name, registry_id in entities}
        merger = Merger(self.entries, self.joined)
        added, diff = merger.merge(current, (), version=self.version + 1, effective_us=self.version * 100)
        self.version += 1
        self.entries += added
        return str(diff)

    def join(self, new: str, old: str) -> None:
        role = plan_role(self.entries, new, old, 0)
        self.joined[role.registry_id] = role.series

    def leave(self, new: str, old: str) -> None:
        """End the role, as `Roles.end` does."""
        role = next(entry for entry in self.entries if entry.entity_id == new)
        self.joined[role.registry_id] = role.place.series

    def series(self, entity_id: str, time_us: int) -> str:
        place = Snapshot("home", 1, 0, Merger(self.entries).timelines()).place_of(entity_id, time_us)
        assert place is not None
        return place.series


@pytest.fixture
def home() -> Home:
    """Return a home in which sensor.old was removed and sensor.new has come: three versions."""
    found = Home()
    found.sync(("sensor.old", "r1"), ("sensor.other", "r3"))
    found.sync(("sensor.other", "r3"))
    found.sync(("sensor.other", "r3"), ("sensor.new", "r2"))
    return found


def test_a_successor_goes_on_with_the_old_series_from_the_next_version_on_and_not_before(home: Home) -> None:
    home.join("sensor.new", "sensor.old")

    diff = home.sync(("sensor.other", "r3"), ("sensor.new", "r2"))

    assert diff == "1 changed"
    assert [home.series("sensor.new", at) for at in (0, 299, 300, 9_999)] == ["sensor.new"] * 2 + ["sensor.old"] * 2
    assert home.series("sensor.old", 9_999) == "sensor.old"
    assert home.sync(("sensor.other", "r3"), ("sensor.new", "r2")) == "unchanged"


def test_a_successor_that_is_renamed_keeps_its_role(home: Home) -> None:
    home.join("sensor.new", "sensor.old")
    home.sync(("sensor.new", "r2"))

    home.sync(("sensor.old", "r2"))

    assert home.series("sensor.old", 9_999) == "sensor.old"


def test_an_ended_role_leaves_what_it_was_and_the_entity_goes_back_to_its_own_series(home: Home) -> None:
    home.join("sensor.new", "sensor.old")
    home.sync(("sensor.new", "r2"))
    home.leave("sensor.new", "sensor.old")

    home.sync(("sensor.new", "r2"))

    assert [home.series("sensor.new", at) for at in (299, 300, 399, 400)] == [
        "sensor.new",
        "sensor.old",
        "sensor.old",
        "sensor.new",
    ]


def test_the_old_one_that_comes_back_gets_another_series_while_its_role_is_played(home: Home) -> None:
    home.join("sensor.new", "sensor.old")
    home.sync(("sensor.new", "r2"))

    home.sync(("sensor.new", "r2"), ("sensor.old", "r1"))

    assert home.series("sensor.new", 9_999) == "sensor.old"
    assert home.series("sensor.old", 9_999) == "sensor.old~2"


@pytest.mark.parametrize(
    ("new", "old", "says"),
    [
        ("sensor.new", "sensor.other", "still lives"),
        ("sensor.new", "sensor.nobody", "never seen"),
        ("sensor.nobody", "sensor.old", "never seen"),
        ("sensor.new", "sensor.new", "one series already"),
        ("sensor.old", "sensor.new", "no entry in the registry"),
    ],
)
def test_what_cannot_be_one_series_is_refused(home: Home, new: str, old: str, says: str) -> None:
    with pytest.raises(errors.IngestorError, match=says):
        plan_role(home.entries, new, old, 0)


def test_a_switch_does_not_go_on_with_the_series_of_a_sensor(home: Home) -> None:
    home.sync(("switch.new", "r9"))

    with pytest.raises(errors.IngestorError, match="different domains"):
        plan_role(home.entries, "switch.new", "sensor.old", 0)


def row(entity_id: str, device_class: str = "", name: str = "") -> dict[str, Any]:
    return {"entity_id": entity_id, "original_name": name, "capabilities": {"device_class": device_class}}


def test_the_entities_of_two_devices_are_matched_by_kind_and_name_else_by_kind_alone() -> None:
    old = [
        row("sensor.old_temperature", "temperature", "Temperature"),
        row("sensor.old_power", "power", "Power"),
        row("sensor.old_power_2", "power", "Power 2"),
        row("switch.old"),
    ]
    new = [
        row("sensor.new_temp", "temperature", "Temp"),
        row("sensor.new_power_2", "power", "Power 2"),
        row("sensor.new_power", "power", "Power"),
        row("light.new"),
    ]

    pairs, left = match_entities(new, old)

    assert sorted(pairs) == [
        ("sensor.new_power", "sensor.old_power"),
        ("sensor.new_power_2", "sensor.old_power_2"),
        ("sensor.new_temp", "sensor.old_temperature"),
    ]
    assert left == ["light.new"]
