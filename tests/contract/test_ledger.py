"""The contract of the ledger, on memory, SQLite and PostgreSQL; and of the post that brings its pages."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingestor.events.counts import Counts, Page, hour_of
from ingestor.pipeline.ledger import bring_in
from ingestor.queue.ledger_post import LedgerPost, MemoryLedgerPost, RedisLedgerPost
from ingestor.queue.state import connect_state
from ingestor.storage.database import open_database
from ingestor.storage.ledger import Ledger
from ingestor.storage.ledger_memory import MemoryLedger
from ingestor.storage.ledger_sql import SqlLedger

HOUR = 1_700_000_000 // 3600 * 3600
NEXT = HOUR + 3600


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    if request.param == "sqlite":
        engine = open_database(f"sqlite:///{tmp_path / 'metadata.sqlite'}")
    else:
        server: Any = request.getfixturevalue("postgresql")
        engine = open_database(server.create_database(f"l{uuid.uuid4().hex[:12]}"))
    yield SqlLedger(engine)
    engine.dispose()


@pytest.fixture(params=["memory", "redis"])
def post(request: pytest.FixtureRequest) -> Iterator[LedgerPost]:
    if request.param == "memory":
        yield MemoryLedgerPost()
        return
    server: Any = request.getfixturevalue("redis_server")
    state = connect_state(server.url)
    state.flushdb()
    yield RedisLedgerPost(state)
    state.close()


def page(number: int, book: str = "book", *, home: str = "home", source: str = "mqtt", hour_s: int = HOUR) -> Page:
    counts = Counts(
        frames=10, settled=8, received=8, written=5, duplicate=1, rejected=1, filtered=1, lost=2, recovered=1
    )
    return Page(book, number, home, source, f"{home}-{source}", {hour_s: counts}, {hour_s: 4})


def test_pages_are_added_up_by_hour_home_and_source(ledger: Ledger) -> None:
    ledger.add([page(1), page(2), page(1, "other", source="websocket"), page(3, hour_s=NEXT)])

    rows = ledger.rows()
    assert [(row.hour_s, row.home, row.source, row.counts.written) for row in rows] == [
        (HOUR, "home", "mqtt", 10),
        (HOUR, "home", "websocket", 5),
        (NEXT, "home", "mqtt", 5),
    ]
    assert rows[0].counts == Counts(20, 16, 16, 10, 2, 2, 2, 4, 2)


def test_two_listeners_of_one_source_share_a_row(ledger: Ledger) -> None:
    ledger.add([page(1, "one"), page(1, "two")])

    assert [row.counts.received for row in ledger.rows()] == [16]


def test_a_page_counts_once_however_often_and_late_it_comes(ledger: Ledger) -> None:
    ledger.add([page(1), page(1)])
    ledger.add([page(2)])
    ledger.add([page(1)])
    ledger.add([page(2)])

    assert [row.counts.written for row in ledger.rows()] == [10]
    assert ledger.stored("home") == {("mqtt", HOUR): 8}


def test_rows_are_chosen_by_home_and_hour(ledger: Ledger) -> None:
    ledger.add([page(1), page(2, hour_s=NEXT), page(1, "cabin", home="cabin")])

    assert [row.home for row in ledger.rows(home="cabin")] == ["cabin"]
    assert [row.hour_s for row in ledger.rows(home="home", since_s=NEXT)] == [NEXT]
    assert [row.hour_s for row in ledger.rows(home="home", until_s=NEXT)] == [HOUR]


def test_stored_points_are_counted_by_the_hour_of_their_own_time(ledger: Ledger) -> None:
    counts = {HOUR: Counts(frames=7, settled=7, received=7, written=7)}
    ledger.add([Page("book", 1, "home", "history", "history-home", counts, {HOUR - 7200: 3, HOUR - 3600: 4})])

    assert ledger.stored("home") == {("history", HOUR - 7200): 3, ("history", HOUR - 3600): 4}
    assert ledger.stored("home", since_s=HOUR - 3600) == {("history", HOUR - 3600): 4}
    assert ledger.stored("home", until_s=HOUR - 3600) == {("history", HOUR - 7200): 3}
    assert ledger.stored("elsewhere") == {}


def test_an_empty_page_turns_its_book_all_the_same(ledger: Ledger) -> None:
    ledger.add([Page("book", 2, "home", "mqtt", "home-mqtt", {}, {}), page(1)])
    ledger.add([page(2)])

    assert [row.counts.written for row in ledger.rows()] in ([], [5])
    assert ledger.stored("home") in ({}, {("mqtt", HOUR): 4})


def test_processes_that_add_the_same_pages_at_once_count_them_once(ledger: Ledger) -> None:
    pages = [page(number, f"book {number % 3}") for number in range(1, 13)]

    def add_all(_process: int) -> None:
        for one in pages:
            ledger.add([one])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add_all, range(4)))

    assert [row.counts.written for row in ledger.rows()] == [60]


def test_pages_wait_until_they_are_confirmed(post: LedgerPost) -> None:
    pages = [page(1), page(2)]
    post.put(pages)

    assert (post.waiting(), post.kept("book")) == ([pages], 0)

    post.confirm(pages)

    assert (post.waiting(), post.kept("book")) == ([], 2)


def test_a_page_that_came_meanwhile_is_not_taken_away(post: LedgerPost) -> None:
    post.put([page(1)])
    post.put([page(1), page(2, hour_s=NEXT)])
    post.confirm([page(1)])

    assert (post.waiting(), post.kept("book")) == ([[page(1), page(2, hour_s=NEXT)]], 1)


def test_what_nobody_can_read_does_not_hide_the_others(redis_server: Any) -> None:
    state = connect_state(redis_server.url)
    state.flushdb()
    post = RedisLedgerPost(state)
    post.put([page(1)])
    state.hset("ha_ingestor:ledger:pages", "strange", b"\x80\x04no page")

    assert post.waiting() == [[page(1)]]
    assert state.hlen("ha_ingestor:ledger:pages") == 1


@pytest.mark.parametrize(
    "forged",
    [
        page(2**63, "forged"),
        page(0, "forged"),
        page(1, "another"),
        page(1, "forged", home="h\0"),
        page(1, "forged", source="s" * 5000),
        page(1, "forged", hour_s=2**63),
        page(1, "forged", home="h" * 256),
        page(1, "forged", source="s" * 65),
        msgspec.structs.replace(page(1, "forged"), hours={HOUR + 3600 * at: Counts(1) for at in range(5_000)}),
    ],
    ids=["number", "no number", "other book", "zero byte", "long name", "hour", "long home", "long source", "hours"],
)
def test_a_forged_page_stops_no_other_and_does_not_come_again(ledger: Ledger, redis_server: Any, forged: Page) -> None:
    state = connect_state(redis_server.url)
    state.flushdb()
    post = RedisLedgerPost(state)
    state.hset("ha_ingestor:ledger:pages", "forged", msgspec.msgpack.encode([forged]))
    state.set("ha_ingestor:ledger:kept:book", b"9" * 5000)
    post.put([page(1)])

    brought = bring_in(post, ledger)

    assert (brought, len(ledger.rows())) == (1, 1)
    assert state.hlen("ha_ingestor:ledger:pages") == 0
    assert post.kept("book") == 1


def test_an_hour_begins_where_the_clock_strikes() -> None:
    assert hour_of(HOUR * 1_000_000_000) == HOUR
    assert hour_of(NEXT * 1_000_000_000 - 1) == HOUR
    assert hour_of(-1) == -3600


def test_counts_balance_only_where_every_event_has_ended_once() -> None:
    whole = Counts(frames=10, settled=8, received=9, written=5, duplicate=2, rejected=1, filtered=1, lost=1)

    assert whole.balances
    assert (whole.in_flight, whole.total) == (2, 12)
    assert not Counts(frames=1, settled=1, received=2, written=1).balances
    assert not Counts(frames=1, settled=2).balances


def test_of_books_those_are_kept_that_were_added_last(ledger: Ledger) -> None:
    for number in range(5):
        ledger.add([page(1, f"book-{number}")])

    ledger.trim(books=5)
    ledger.add([page(1, f"book-{number}") for number in range(5)])

    (row,) = ledger.rows()
    assert row.counts.received == 5 * 8
    ledger.trim(books=0)
    ledger.add([page(1, "book-4")])
    assert ledger.rows()[0].counts.received == 6 * 8


@pytest.mark.parametrize(
    "forged",
    [
        page(1, "forged", source="nobody"),
        page(1, "forged", hour_s=HOUR + 1),
        page(1, "forged", hour_s=2**40 // 3600 * 3600),
        page(1, "forged", hour_s=-3600),
    ],
)
def test_rows_of_sources_and_hours_that_there_are_not_are_refused(redis_server: Any, forged: Page) -> None:
    state = connect_state(redis_server.url)
    state.flushdb()
    post = RedisLedgerPost(state)

    post.put([forged])

    assert post.waiting() == []
    assert state.hlen("ha_ingestor:ledger:pages") == 0
    state.close()


def test_pages_of_homes_that_there_are_not_wait_and_keep_nobody_waiting(redis_server: Any) -> None:
    state = connect_state(redis_server.url)
    state.flushdb()
    post = RedisLedgerPost(state, {"home"})
    post.put([page(1, "forged", home="nowhere")])
    post.put([page(1, "book")])

    assert [pages[0].book for pages in post.waiting()] == ["book"]
    state.close()
