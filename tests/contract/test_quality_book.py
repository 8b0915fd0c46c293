"""The contract of the book of quality over time: what is kept of an hour is told alike by every database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from ingestor.quality.book_sql import DAY_US, JudgedHour, Kept, SqlQualityBook
from ingestor.quality.hours import HOUR_US, HourFacts
from ingestor.quality.judging import HomeState
from ingestor.quality.model import Problem, ProblemKind, Scope
from ingestor.quality.subjects import Subject
from ingestor.quality.sums import Sums
from ingestor.quality.tally import Carry
from ingestor.storage.database import open_database
from tests.servers_stores import PostgreSQL

T0 = 1_800_000_000_000_000 // DAY_US * DAY_US


@pytest.fixture(params=["sqlite", "postgresql"])
def book(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlQualityBook]:
    engine: sa.Engine
    url = f"sqlite:///{tmp_path / 'metadata.sqlite'}"
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.create_database(f"quality_{uuid.uuid4().hex[:8]}")
    engine = open_database(url)
    yield SqlQualityBook(engine)
    engine.dispose()


def problem(subject: str, until_us: int | None = None) -> Problem:
    return Problem(ProblemKind.DEAD, Scope.ENTITY, subject, T0, until_us, 3, "nothing for days · 21 °C", "battery")


def hour(number: int, *, ended: tuple[Problem, ...] = (), opened: tuple[Problem, ...] = ()) -> JudgedHour:
    at_us = T0 + number * HOUR_US
    kept = Kept(
        HomeState(hour_us=at_us),
        {"sensor.ä": Carry("21", 21.0, at_us)},
        {"sensor.ä": Subject("sensor.ä", "sensor.ä", "Ä", "sensor", area="Küche", device="d")},
    )
    facts = HourFacts("h", "sensor.ä", at_us, events=10, values=10, lags=(1, 2, 3), last_state="21")
    sums = Sums("sensor.ä")
    sums.add(facts)
    return JudgedHour(kept, [facts], {"sensor.ä": sums}, ended, opened)


def test_an_hour_comes_back_with_its_day_its_scores_and_what_the_next_one_must_know(book: SqlQualityBook) -> None:
    for number in (0, 1, 25):
        book.save("h", hour(number))

    assert book.homes() == {"h": T0 + 26 * HOUR_US}
    assert book.load("h") == hour(25).kept
    assert [one.hour_us for one in book.facts("h", "sensor.ä", T0, T0 + DAY_US)] == [T0, T0 + HOUR_US]
    assert {one.subject for one in book.scores("h", T0, T0 + 2 * DAY_US)} == {"h", "Küche", "d", "sensor.ä"}
    assert [day for day, _ in book.trend("h", T0, T0 + 2 * DAY_US, Scope.AREA, "Küche")] == [T0, T0 + DAY_US]
    assert book.heads()[0].score == book.trend("h", T0 + DAY_US, T0 + 2 * DAY_US, Scope.HOME, "h")[0][1]
    assert book.homes().get("other") is None
    assert book.load("other") == Kept()


def test_an_hour_that_is_saved_twice_is_one_and_problems_open_and_end_once(book: SqlQualityBook) -> None:
    book.save("h", hour(0, opened=(problem("sensor.a"), problem("sensor.b"))))
    book.save("h", hour(1, opened=(problem("sensor.b"),), ended=(problem("sensor.a", T0 + HOUR_US),)))

    found = book.problems("h", T0, T0 + DAY_US)

    assert found == [problem("sensor.b"), problem("sensor.a", T0 + HOUR_US)]
    assert book.heads()[0].problems == {"dead": 1}
    book.trim(T0 + 500 * DAY_US, 30, 400)
    assert book.problems("h", T0, T0 + DAY_US) == [problem("sensor.b")]
    assert book.trend("h", T0, T0 + DAY_US, Scope.HOME, "h") == []


def test_an_hour_told_anew_takes_the_place_of_what_it_was_in_its_day_too(book: SqlQualityBook) -> None:
    for number in (0, 1):
        book.save("h", hour(number))
    facts = msgspec.structs.replace(hour(0).facts[0], events=40)
    sums = Sums("sensor.ä")
    sums.add(facts)

    for _ in range(2):
        book.retell(hour(1).kept, ("h", T0), [facts], {"sensor.ä": sums})

    assert [one.events for one in book.facts("h", "sensor.ä", T0, T0 + DAY_US)] == [40, 10]
    assert book.sums("h", T0)["sensor.ä"].events == 40
    (entity,) = [one for one in book.scores("h", T0, T0 + DAY_US) if one.scope is Scope.ENTITY]
    assert {part.measures.get("events") for part in entity.parts} >= {50.0}


def test_what_is_added_up_of_an_hour_is_kept_before_it_is_judged(book: SqlQualityBook) -> None:
    facts = hour(0).facts

    book.keep_begun("h", Kept(begun=facts, begun_us=T0))

    assert book.load("h").begun == facts
    assert book.homes() == {"h": T0}
