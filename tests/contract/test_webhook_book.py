"""What every place where webhooks are kept does: one suite, for SQLite and PostgreSQL."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ingestor import errors
from ingestor.live.filter import LiveFilter
from ingestor.live.places import PLACES, ReaderPlaces
from ingestor.storage.database import open_database
from ingestor.webhooks.book import WebhookBook
from ingestor.webhooks.book_sql import SqlWebhookBook
from ingestor.webhooks.model import PING, Counted, Delivery, DeliveryState, Hook, Parcel, Wanted
from ingestor.webhooks.tables import METADATA
from tests.servers_stores import PostgreSQL

HOOK = Hook("wh_1", "https://example.org", Wanted(LiveFilter(types=("event.*",)), "cloudevents", 5, 2.0, late=True))
DAY_US = 86_400_000_000


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'meta.sqlite'}"
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.create_database(f"webhooks_{uuid.uuid4().hex[:8]}")
    made = open_database(url)
    yield made
    made.dispose()


@pytest.fixture
def book(engine: sa.Engine) -> WebhookBook:
    found = SqlWebhookBook(engine)
    found.create(HOOK, 10)
    return found


def parcels(*ids: str, kind: str = "messages") -> list[Parcel]:
    return [Parcel(one, kind, 2, b"abc") for one in ids]


def ids(found: list[Delivery]) -> list[str]:
    return [one.delivery_id for one in found]


def test_the_tables_are_as_the_migrations_make_them(engine: sa.Engine) -> None:
    inspected = sa.inspect(engine)
    for table in (*METADATA.sorted_tables, PLACES):
        found = {column["name"]: column["nullable"] for column in inspected.get_columns(table.name)}
        assert found == {column.name: column.nullable for column in table.columns}
        assert {index["name"] for index in inspected.get_indexes(table.name)} == {one.name for one in table.indexes}


def test_how_far_a_reader_has_come_is_kept(engine: sa.Engine) -> None:
    places = ReaderPlaces(engine)
    assert places.find("one") == ""

    for cursor in ("home:1-0", "home:2-0"):
        places.keep("one", cursor)

    assert (places.find("one"), places.find("other")) == ("home:2-0", "")


def test_a_webhook_is_kept_as_it_is_and_only_so_many(book: WebhookBook) -> None:
    assert (book.find("wh_1"), book.hooks()) == (HOOK, [HOOK])
    with pytest.raises(errors.Conflict, match="max_hooks"):
        book.create(replace(HOOK, hook_id="wh_2"), 1)
    with pytest.raises(errors.NotFound):
        book.find("wh_2")


def test_deliveries_and_the_cursor_behind_them_are_kept_once(book: WebhookBook) -> None:
    for _ in range(2):
        counted = book.add("wh_1", parcels("a", "b"), "home:7-0", 100, gaps=1)

    assert counted == book.counted("wh_1") == Counted(waiting=2, waiting_bytes=6)
    assert (book.find("wh_1").cursor, book.find("wh_1").gaps) == ("home:7-0", 2)
    assert [(one.delivery_id, one.body) for one in book.due("wh_1", 100, 9)] == [("a", b"abc"), ("b", b"abc")]


def test_a_webhook_begins_once(book: WebhookBook) -> None:
    assert (book.begin("wh_1", "home:1-0"), book.begin("wh_1", "home:2-0")) == (True, False)
    assert book.find("wh_1").cursor == "home:1-0"


def test_what_is_due_comes_oldest_first_and_pings_alone_while_it_is_paused(book: WebhookBook) -> None:
    book.add("wh_1", parcels("a", "b"), "", 100)
    book.add("wh_1", parcels("p", kind=PING), "", 200)
    (first, *_) = book.due("wh_1", 100, 9)
    book.settle(HOOK, [replace(first, tries=1, next_us=500, status=503)], back=False)

    assert ids(book.due("wh_1", 300, 9)) == ["b", "p"]
    assert ids(book.due("wh_1", 300, 1)) == ["b"]
    assert ids(book.due("wh_1", 300, 9, pings_only=True)) == ["p"]
    assert (book.next_us("wh_1"), book.ready(99), book.ready(100)) == (100, set(), {"wh_1"})


def test_a_receiver_that_is_back_gets_what_waited_for_it_but_not_what_it_refused(book: WebhookBook) -> None:
    book.add("wh_1", parcels("away", "refused", "taken"), "", 100)
    away, refused, taken = book.due("wh_1", 100, 9)
    book.settle(
        replace(HOOK, failures=2, paused_until_us=900, last_error="no answer"),
        [replace(away, tries=1, next_us=900), replace(refused, tries=1, next_us=900, status=422)],
        back=False,
    )
    assert book.find("wh_1").failures == 2

    done = replace(taken, state=DeliveryState.DELIVERED, ended_us=300, body=b"")
    book.settle(replace(HOOK, last_taken_us=300), [done], back=True)

    assert ids(book.due("wh_1", 300, 9)) == ["away"]
    assert (book.find("wh_1").failures, book.find("wh_1").delivered, book.find("wh_1").last_taken_us) == (0, 1, 300)
    assert book.delivery("wh_1", "taken").body == b""


def test_what_somebody_decides_holds_over_what_came_of_a_try(book: WebhookBook) -> None:
    book.add("wh_1", parcels("a"), "", 100)
    (one,) = book.due("wh_1", 100, 9)
    book.settle(replace(HOOK, failures=1, paused_until_us=DAY_US), [replace(one, next_us=DAY_US)], back=False)

    changed = book.change("wh_1", lambda hook: replace(hook, url="https://other.example"))
    book.settle(replace(HOOK, enabled=False, why="410"), [], back=False)

    found = book.find("wh_1")
    assert (found.url, found.enabled, found.version, found.failures) == ("https://other.example", True, 2, 0)
    assert found == changed
    assert ids(book.due("wh_1", 100, 9)) == ["a"]


def test_nobody_who_changes_a_webhook_undoes_what_another_changes_meanwhile(book: WebhookBook) -> None:
    asked = threading.Barrier(3)

    def changed(**given: Any) -> Hook:
        asked.wait(60)
        return book.change("wh_1", lambda hook: replace(hook, **given))

    for number in range(10):
        given = {"description": f"d{number}", "url": f"https://{number}.example", "enabled": number % 2 == 0}
        with ThreadPoolExecutor(3) as threads:
            for one in [threads.submit(changed, **{name: value}) for name, value in given.items()]:
                one.result()

        found = book.find("wh_1")
        assert {name: getattr(found, name) for name in given} == given
    assert found.version == 31


def test_a_webhook_that_is_not_there_is_not_changed(book: WebhookBook) -> None:
    with pytest.raises(errors.NotFound):
        book.change("wh_2", lambda hook: hook)


def test_a_receiver_that_wants_no_more_is_disabled(book: WebhookBook) -> None:
    book.settle(replace(HOOK, enabled=False, why="410"), [], back=False)

    found = book.find("wh_1")
    assert (found.enabled, found.why, found.version) == (False, "410", 2)


def test_dead_ones_are_replayed_one_or_all(book: WebhookBook) -> None:
    book.add("wh_1", parcels("a", "b", "c"), "", 100)
    book.tidy("wh_1", 202, give_up_after_us=100, keep_dead=9, keep_delivered=9)
    assert book.counted("wh_1") == Counted(dead=3)

    assert (book.replay("wh_1", 300, "b"), book.replay("wh_1", 300, "b")) == (1, 0)
    assert ids(book.due("wh_1", 300, 9)) == ["b"]
    assert book.replay("wh_1", 400) == 2
    assert [(one.tries, one.made_us) for one in book.due("wh_1", 400, 9)] == [(0, 400), (0, 300), (0, 400)]


def test_only_so_many_dead_and_delivered_ones_are_kept_and_it_is_counted(book: WebhookBook) -> None:
    book.add("wh_1", parcels("a", "b", "c", "d", "e"), "", 100)
    rows = book.due("wh_1", 100, 9)
    ends = [DeliveryState.DEAD, DeliveryState.DEAD, DeliveryState.DELIVERED, DeliveryState.DELIVERED]
    book.settle(HOOK, [replace(one, state=end) for one, end in zip(rows, ends, strict=False)], back=False)

    book.tidy("wh_1", 200, give_up_after_us=DAY_US, keep_dead=1, keep_delivered=0)

    assert ids(book.list("wh_1")) == ["e", "b"]
    assert book.find("wh_1").forgotten == 1


def test_lists_are_in_pages_and_by_state(book: WebhookBook) -> None:
    book.add("wh_1", parcels("a", "b", "c"), "", 100)

    newest = book.list("wh_1", limit=2)

    assert ids(newest) == ["c", "b"]
    assert ids(book.list("wh_1", before=newest[-1].seq)) == ["a"]
    assert book.list("wh_1", state=DeliveryState.DEAD) == []
    assert {one.body for one in newest} == {b""}


def test_who_is_removed_leaves_nothing_behind(book: WebhookBook) -> None:
    book.add("wh_1", parcels("a"), "", 100)

    book.remove("wh_1")

    for ask in (
        lambda: book.find("wh_1"),
        lambda: book.remove("wh_1"),
        lambda: book.add("wh_1", [], "x", 1),
        lambda: book.delivery("wh_1", "a"),
    ):
        with pytest.raises(errors.NotFound):
            ask()
    assert book.hooks() == []
