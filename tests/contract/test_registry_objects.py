"""The contract of the objects of a home over time, in SQLite and in PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ingestor.home.objects import Held, Observed
from ingestor.home.objects_store import OBJECTS, RegistryObjects
from ingestor.storage.database import open_database
from tests.servers_stores import PostgreSQL

S = 1_000_000
DAY = 86_400 * S
MARCH = 1_773_000_000 * S


@dataclass
class Bench:
    """The objects of one home, on a clock of the test."""

    engine: sa.Engine
    home: str = field(default_factory=lambda: f"home-{uuid.uuid4().hex[:12]}")
    now_us: int = MARCH

    @property
    def objects(self) -> RegistryObjects:
        return RegistryObjects(self.engine, keep_days=30, max_past_rows=4, clock=lambda: self.now_us)

    def take(self, at_us: int | None = None, **kinds: Any) -> str:
        self.now_us = at_us or self.now_us
        return str(self.objects.take(self.home, Observed(kinds)))


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'metadata.sqlite'}"
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.create_database(f"objects_{uuid.uuid4().hex[:8]}")
    engine = open_database(url)
    yield Bench(engine)
    engine.dispose()


def test_a_home_that_was_never_seen_has_no_objects(bench: Bench) -> None:
    assert bench.objects.load(bench.home) == {}
    assert bench.objects.history(bench.home, "area", "hall") == []


def test_a_sync_says_what_was_added_changed_and_removed_and_nothing_twice(bench: Bench) -> None:
    first = bench.take(area={"hall": {"name": "Hall"}, "attic": {"name": "Attic"}}, label={"x": {"name": "X"}})
    same = bench.take(area={"attic": {"name": "Attic"}, "hall": {"name": "Hall"}}, label={"x": {"name": "X"}})
    last = bench.take(MARCH + S, area={"hall": {"name": "Entry"}, "shed": {"name": "Shed"}}, label={"x": {"name": "X"}})

    assert first == "2 area added, 1 label added"
    assert same == "unchanged"
    assert last == "1 area added, 1 area changed, 1 area removed"
    assert bench.objects.load(bench.home, "area") == {"area": {"hall": {"name": "Entry"}, "shed": {"name": "Shed"}}}


def test_the_home_can_be_asked_as_it_was_at_any_time(bench: Bench) -> None:
    bench.take(MARCH, device={"d": {"area_id": "hall"}})
    bench.take(MARCH + DAY, device={"d": {"area_id": "attic"}})
    bench.take(MARCH + 2 * DAY, device={})

    seen = [bench.objects.load(bench.home, "device", at) for at in (MARCH - 1, MARCH, MARCH + DAY - 1, MARCH + DAY)]
    assert seen == [{}, {"device": {"d": {"area_id": "hall"}}}, seen[1], {"device": {"d": {"area_id": "attic"}}}]
    assert bench.objects.load(bench.home, at_us=MARCH + 2 * DAY) == {}
    assert bench.objects.history(bench.home, "device", "d") == [
        Held(MARCH, MARCH + DAY, {"area_id": "hall"}),
        Held(MARCH + DAY, MARCH + 2 * DAY, {"area_id": "attic"}),
    ]


def test_what_was_not_asked_for_stays_as_it_is(bench: Bench) -> None:
    bench.take(user={"u": {"name": "Anna"}}, area={"hall": {}})

    told = bench.take(MARCH + S, area={})

    assert told == "1 area removed"
    assert bench.objects.load(bench.home) == {"user": {"u": {"name": "Anna"}}}


def test_what_comes_back_begins_anew(bench: Bench) -> None:
    bench.take(MARCH, area={"hall": {}})
    bench.take(MARCH + S, area={})

    told = bench.take(MARCH + 2 * S, area={"hall": {}})

    assert told == "1 area added"
    held = bench.objects.history(bench.home, "area", "hall")
    assert bench.objects.histories(bench.home, "area", ["hall", "nowhere"]) == {"hall": held, "nowhere": []}
    assert [(one.from_us, one.until_us) for one in held] == [(MARCH, MARCH + S), (MARCH + 2 * S, None)]


def test_a_clock_that_was_set_back_does_not_turn_the_history_round(bench: Bench) -> None:
    bench.take(MARCH, area={"hall": {"name": "a"}})

    bench.take(MARCH - DAY, area={"hall": {"name": "b"}})

    assert [one.from_us for one in bench.objects.history(bench.home, "area", "hall")] == [MARCH, MARCH]
    assert bench.objects.load(bench.home, "area") == {"area": {"hall": {"name": "b"}}}


def test_one_home_knows_nothing_of_another(bench: Bench) -> None:
    bench.take(area={"hall": {}})

    other = Bench(bench.engine)
    other.take(area={})

    assert other.objects.load(other.home) == {}
    assert bench.objects.load(bench.home) == {"area": {"hall": {}}}


def test_the_past_is_bounded_by_age_and_by_number_and_what_is_now_stays(bench: Bench) -> None:
    bench.take(MARCH, area={"old": {"n": 0}, "still": {"n": 0}})
    bench.take(MARCH + DAY, area={"still": {"n": 0}})
    bench.take(MARCH + 40 * DAY, area={"still": {"n": 0}, "new": {"n": 0}})
    old = bench.objects.history(bench.home, "area", "old")
    for n in range(1, 9):
        bench.take(MARCH + (40 + n) * DAY, area={"still": {"n": 0}, "new": {"n": n}})

    assert old == []
    assert len(bench.objects.history(bench.home, "area", "new")) == 4 + 1
    assert bench.objects.load(bench.home, "area") == {"area": {"still": {"n": 0}, "new": {"n": 8}}}
    with bench.engine.connect() as connection:
        chosen = sa.select(sa.func.count()).select_from(OBJECTS).where(OBJECTS.c.home == bench.home)
        assert connection.execute(chosen).scalar_one() == 6


def test_odd_ids_and_values_are_kept_as_any_database_can(bench: Bench) -> None:
    odd = {"big": 2**70, "half": "x\ud800", "nul": "a\0b", "nan": float("nan"), "umlaut": "Büro ⌂"}

    bench.take(service={"a\0b" + "x" * 300: odd})

    (kept,) = bench.objects.load(bench.home, "service")["service"].items()
    assert kept[0] == "ab" + "x" * 253
    assert kept[1] == {"big": str(2**70), "half": "x?", "nul": "a\0b", "nan": None, "umlaut": "Büro ⌂"}
    assert bench.take(service={"a\0b" + "x" * 300: odd}) == "unchanged"


def test_it_can_be_asked_whether_anything_changed(bench: Bench) -> None:
    bench.take(MARCH, area={"hall": {}, "attic": {}})
    bench.take(MARCH + S, area={"hall": {}})

    since = [bench.objects.changed_since(bench.home, at) for at in (MARCH - 1, MARCH, MARCH + S)]

    assert since == [2, 1, 0]
