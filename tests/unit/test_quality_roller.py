"""Hours are told, judged and kept one after the other, each once, whatever ends a step; and read back."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ingestor import errors
from ingestor.events.event import Event, Place
from ingestor.events.point import Point
from ingestor.pipeline.quality_hours import QUALITY, HourRoller, HourSources
from ingestor.quality import stored_hours
from ingestor.quality.book_sql import DAY_US, JudgedHour, SqlQualityBook
from ingestor.quality.hours import HOUR_US
from ingestor.quality.model import Dimension, Problem, ProblemKind, Scope
from ingestor.quality.stored_hours import Beside
from ingestor.quality.subjects import Subject
from ingestor.settings import StorageSettings
from ingestor.storage.database import open_database
from ingestor.storage.embedded import EmbeddedStore
from ingestor.storage.memory import MemoryStore
from ingestor.storage.port import HOUR_NS, Store
from ingestor.storage.schema import PointBuilder, point_time_ns
from ingestor.storage.series_hours import SeriesHour

T0 = 1_800_000_000_000_000 // DAY_US * DAY_US
DAYS = 9
END = T0 + DAYS * DAY_US
MAP = {
    "sensor.a": Subject("sensor.a", "sensor.a", "A", "sensor", "temperature", area="kitchen", device="a"),
    "sensor.b": Subject("sensor.b", "sensor.b", "B", "sensor", "humidity", area="kitchen", device="b"),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Nine days of two sensors, of which the first falls silent for the last two."""
    store = EmbeddedStore(tmp_path_factory.mktemp("store") / "events.sqlite")
    builder, chance, points = PointBuilder(StorageSettings()), random.Random(1), list[Point]()
    for hour in range(DAYS * 24):
        for name in ("sensor.a", "sensor.b") if hour < (DAYS - 2) * 24 else ("sensor.b",):
            for minute in range(0, 60, 12):
                value = f"{chance.gauss(20, 1):.2f}"
                if name == "sensor.b" and hour == 30 and minute == 24:
                    value = "unavailable"
                at_us = T0 + hour * HOUR_US + minute * 60_000_000 + chance.randrange(60_000_000)
                event = Event(0, "state", "state_changed", name, name, at_us, 0, "websocket", 1, state=value)
                event.value = float(value) if value != "unavailable" else None
                event.available = value != "unavailable"
                event.previous_state = "20"
                points += builder.points(event, Place(name, "sensor"), "h", point_time_ns(event))
    assert store.write(points).rejected == []
    yield store
    store.close()


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Iterator[SqlQualityBook]:
    """What all these hours were judged to be."""
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('judged') / 'metadata.sqlite'}")
    book = SqlQualityBook(engine)
    assert roller(book, store).step(1e9) is False
    yield book
    engine.dispose()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[SqlQualityBook]:
    """A book of nothing."""
    engine = open_database(f"sqlite:///{tmp_path / 'metadata.sqlite'}")
    yield SqlQualityBook(engine)
    engine.dispose()


def roller(
    book: SqlQualityBook,
    store: Store | None,
    *,
    until_us: int = END,
    under_way: Callable[[int, int], str] = lambda _start, _end: "",
    **more: Any,
) -> HourRoller:
    sources = HourSources(
        store=store,
        subjects=lambda: MAP,
        gaps=lambda _start, _end: (),
        beside=lambda _hour: Beside(),
        under_way=under_way,
    )
    return HourRoller(
        "h", book, sources, settle_us=600_000_000, look_back_us=30 * DAY_US, now_us=lambda: until_us + HOUR_US, **more
    )


def steps_of(book: SqlQualityBook, store: Store, until_us: int, *, budget_s: float) -> int:
    """Judge until nothing is left, by a clock that goes on with each look; return how many steps it took."""
    looks, steps = itertools.count(1.0), 1
    while roller(book, store, until_us=until_us, clock=lambda: next(looks)).step(budget_s):
        steps += 1
    return steps


def test_every_hour_that_is_over_is_judged_once_and_what_was_found_is_read_back(
    book: SqlQualityBook, store: Store
) -> None:
    assert book.homes() == {"h": END}
    assert list(roller(book, store).due()) == []
    (dead,) = book.problems("h", T0, END)
    assert (dead.kind, dead.subject, dead.until_us) == (ProblemKind.DEAD, "sensor.a", None)
    assert (dead.since_us - T0) / DAY_US == pytest.approx(7, abs=0.02)
    whole = {(one.scope, one.subject): one for one in book.scores("h", T0, END)}
    assert set(whole) >= {(Scope.HOME, "h"), (Scope.AREA, "kitchen"), (Scope.DEVICE, "a"), (Scope.ENTITY, "sensor.b")}
    trend = book.trend("h", T0, END, Scope.ENTITY, "sensor.a")
    assert [day for day, _ in trend] == [T0 + day * DAY_US for day in range(DAYS)]
    assert (trend[3][1] or 0) > 99
    assert (trend[-1][1] or 0) < 60


def test_a_span_of_some_days_and_hours_is_added_up_from_both(book: SqlQualityBook) -> None:
    scores = book.scores("h", T0 + 20 * HOUR_US, T0 + 3 * DAY_US + 5 * HOUR_US)

    (b,) = [one for one in scores if one.subject == "sensor.b"]
    parts = {part.dimension: part for part in b.parts}
    assert parts[Dimension.COMPLETENESS].measures["events"] == 5 * (4 + 48 + 5)
    assert parts[Dimension.AVAILABILITY].measures["flaps"] == 1
    assert 600 < parts[Dimension.AVAILABILITY].measures["unavailable_s"] < 840
    (facts,) = book.facts("h", "sensor.b", T0 + 30 * HOUR_US, T0 + 31 * HOUR_US)
    assert (facts.events, facts.values, facts.flaps) == (5, 4, 1)


def test_each_hour_leaves_points_with_scores_and_who_is_alive(empty: SqlQualityBook) -> None:
    store = MemoryStore()
    fill = Event(0, "state", "state_changed", "sensor.a", "sensor.a", T0, 0, "websocket", 1, state="on")
    store.write(PointBuilder(StorageSettings()).points(fill, Place("sensor.a", "sensor"), "h", T0 * 1000))

    roller(empty, store, until_us=T0 + HOUR_US).step(1e9)

    found = {
        (dict(tags)["scope"], dict(tags)["subject"]): fields
        for (name, tags, time_ns), fields in store.points.items()
        if name == QUALITY and time_ns == (T0 + HOUR_US) * 1000
    }
    assert found["entity", "sensor.a"]["score"] == found["home", "h"]["score"] == 100.0
    assert found["entity", "sensor.a"]["availability"] == 100.0
    assert "alive" not in found["entity", "sensor.a"]  # an hour is too short to tell


def test_who_is_dead_is_said_in_points_too(book: SqlQualityBook, tmp_path: Path) -> None:
    kept, store = book.load("h"), MemoryStore()
    engine = open_database(f"sqlite:///{tmp_path / 'next.sqlite'}")
    following = SqlQualityBook(engine)
    following.save("h", JudgedHour(kept, [], {}))

    roller(following, store, until_us=END + HOUR_US).step(1e9)

    alive = {dict(tags)["subject"]: fields.get("alive") for (_, tags, _), fields in store.points.items()}
    assert (alive["sensor.a"], alive["sensor.b"]) == (False, True)
    engine.dispose()


def test_a_step_that_is_over_is_gone_on_from_and_finds_the_same(
    empty: SqlQualityBook, book: SqlQualityBook, store: Store
) -> None:
    steps = steps_of(empty, store, T0 + 2 * DAY_US, budget_s=8.0)

    assert steps > 2
    assert empty.homes() == {"h": T0 + 2 * DAY_US}
    assert empty.scores("h", T0, T0 + 2 * DAY_US) == book.scores("h", T0, T0 + 2 * DAY_US)


def test_a_large_hour_is_added_up_in_parts_and_gone_on_from_in_the_middle(
    empty: SqlQualityBook, book: SqlQualityBook, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_hours, "_WHOLE_SERIES", 1)
    monkeypatch.setattr(stored_hours, "_PART_SERIES", 1)

    steps = steps_of(empty, store, T0 + 3 * HOUR_US, budget_s=1.5)

    assert steps >= 4
    assert empty.homes() == {"h": T0 + 3 * HOUR_US}
    assert empty.load("h").begun == []
    for series in ("sensor.a", "sensor.b"):
        assert empty.facts("h", series, T0, END) == book.facts("h", series, T0, T0 + 3 * HOUR_US)


def test_what_is_stored_after_its_hour_was_judged_is_told_anew_and_added_up_once(empty: SqlQualityBook) -> None:
    store, builder = MemoryStore(), PointBuilder(StorageSettings())

    def say(*minutes: int) -> None:
        for minute in minutes:
            at_us = T0 + minute * 60_000_000
            event = Event(0, "state", "state_changed", "sensor.a", "sensor.a", at_us, 0, "history", 1)
            event.state, event.value, event.available = str(minute), float(minute), True
            store.write(builder.points(event, Place("sensor.a", "sensor"), "h", point_time_ns(event)))

    say(5, 70)
    roller(empty, store, until_us=T0 + 2 * HOUR_US).step(1e9)
    say(10, 20, 30)
    assert [one.events for one in empty.facts("h", "sensor.a", T0, END)] == [1, 1]

    for hours in (3, 4):
        roller(empty, store, until_us=T0 + hours * HOUR_US).step(1e9)

    assert [one.events for one in empty.facts("h", "sensor.a", T0, T0 + 2 * HOUR_US)] == [4, 1]
    (entity,) = [one for one in empty.scores("h", T0, T0 + DAY_US) if one.scope is Scope.ENTITY]
    assert {part.dimension: part for part in entity.parts}[Dimension.COMPLETENESS].measures["events"] == 5
    assert empty.load("h").looked == {T0: 4}


class Asked(MemoryStore):
    """Remembers for how many hours it was asked at once."""

    def __init__(self) -> None:
        super().__init__()
        self.hours: list[int] = []

    def hours_by_series(self, home: str, since_ns: int, until_ns: int) -> Iterator[tuple[int, list[SeriesHour]]]:
        self.hours.append((until_ns - since_ns) // HOUR_NS)
        return super().hours_by_series(home, since_ns, until_ns)


@pytest.mark.parametrize(
    ("under_way_us", "at_once"), [(None, [12, 8]), (T0 + 17 * HOUR_US, [12, 3])], ids=["all settled", "one under way"]
)
def test_hours_that_are_due_together_are_asked_for_at_once_unless_something_of_them_is_under_way(
    empty: SqlQualityBook, under_way_us: int | None, at_once: list[int]
) -> None:
    store, builder = Asked(), PointBuilder(StorageSettings())
    for hour in range(20):
        at_us = T0 + hour * HOUR_US + 1
        event = Event(0, "state", "state_changed", "sensor.a", "sensor.a", at_us, 0, "websocket", 1, state=str(hour))
        store.write(builder.points(event, Place("sensor.a", "sensor"), "h", point_time_ns(event)))

    def under_way(since_us: int, until_us: int) -> str:
        return "a batch" if under_way_us is not None and since_us <= under_way_us < until_us else ""

    roller(empty, store, until_us=T0 + 20 * HOUR_US, under_way=under_way).step(1e9)

    assert store.hours == at_once
    assert empty.homes() == {"h": T0 + (20 if under_way_us is None else 17) * HOUR_US}
    assert len(empty.facts("h", "sensor.a", T0, END)) == (20 if under_way_us is None else 17)


def test_a_store_that_is_away_leaves_the_hour_for_later(empty: SqlQualityBook, store: Store) -> None:
    away = MemoryStore()
    away.away = True

    with pytest.raises(errors.StoreUnavailable):
        roller(empty, away).step(1e9)
    roller(empty, store, until_us=T0 + 2 * HOUR_US).step(1e9)

    assert empty.homes() == {"h": T0 + 2 * HOUR_US}


def test_without_points_of_our_own_schema_nothing_is_judged(empty: SqlQualityBook) -> None:
    assert roller(empty, None).step(1e9) is False
    assert empty.homes() == {}


def test_old_hours_go_and_their_days_stay(empty: SqlQualityBook, store: Store) -> None:
    end_us = T0 + 2 * DAY_US
    roller(empty, store, until_us=end_us).step(1e9)

    empty.trim(end_us, hours_days=1, days=400)

    assert len(empty.facts("h", "sensor.b", T0, end_us)) == 24
    assert len(empty.trend("h", T0, end_us, Scope.HOME, "h")) == 2
    empty.trim(end_us + 500 * DAY_US, hours_days=1, days=400)
    assert empty.trend("h", T0, end_us, Scope.HOME, "h") == []


def test_a_problem_is_told_of_once_in_the_hour_it_was_found_in(empty: SqlQualityBook, store: Store) -> None:
    told: list[tuple[int, str, str]] = []

    def tell(hour_us: int, found: Sequence[Problem], subjects: Mapping[str, Subject]) -> None:
        assert subjects == MAP
        told.extend((hour_us, one.kind.value, one.subject) for one in found)

    for until_us in (END - DAY_US, END):  # a judge that goes on knows what was told
        roller(empty, store, until_us=until_us, tell=tell).step(1e9)

    dead = [one for one in told if one[1:] == ("dead", "sensor.a")]
    assert len(dead) == 1
    assert END - 2 * DAY_US < dead[0][0] < END
