"""The book beside a journal: what it counts outlives a kill at any byte, a power loss, a full disk; once a batch."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestor.events.counts import Counts, Page
from ingestor.events.event import Outcome
from ingestor.intake.book import Book
from ingestor.intake.book_state import OTHER_HOUR, as_state
from ingestor.intake.flights import DoneBatch
from ingestor.intake.journal.entry import Entry
from ingestor.intake.journal.record import Sealed
from ingestor.intake.posting import Posting
from ingestor.intake.spool import Spool
from ingestor.queue.ledger_post import MemoryLedgerPost
from ingestor.storage.ledger_memory import MemoryLedger

HOUR_S = 1_800_000_000 // 3600 * 3600
HOUR_NS = HOUR_S * 1_000_000_000
SMALL = 16_384


class Disk:
    """Counts syncs; refuses them while it is full."""

    def __init__(self) -> None:
        self.syncs = 0
        self.full = False

    def sync(self, fd: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "no space")
        self.syncs += 1


def sealed(number: int, frames: int = 3, opened_ns: int = HOUR_NS) -> Sealed:
    return Sealed(f"{number:026d}", frames, opened_ns, b"")


def entry(number: int, frames: int = 3, opened_ns: int = HOUR_NS) -> Entry:
    return Entry(number, f"{number:026d}", frames, opened_ns, 1, 0, 10)


def done(number: int, **counts: int) -> DoneBatch:
    whole: dict[Outcome, int] = {"written": 0, "duplicate": 0, "rejected": 0, "filtered": 0}
    for name in whole:
        whole[name] = counts.get(name, 0)
    return DoneBatch(f"{number:026d}", "home", "mqtt", whole, 0, sum(whole.values()), {HOUR_S: whole["written"]})


@pytest.fixture
def open_book(tmp_path: Path) -> Iterator[Callable[..., Book]]:
    folder = tmp_path / "home-mqtt"
    folder.mkdir()
    books: list[Book] = []

    def make(**options: Any) -> Book:
        book = Book(folder, "home", "mqtt", **options)
        books.append(book)
        return book

    yield make
    for book in books:
        book._spool.close()


def total(pages: list[Page]) -> Counts:
    whole = Counts()
    for page in pages:
        for counts in page.hours.values():
            whole.add(counts)
    return whole


def test_a_page_says_what_came_in_and_what_became_of_it(open_book: Callable[..., Book]) -> None:
    book = open_book()
    book.took([sealed(1), sealed(2), sealed(3, opened_ns=HOUR_NS + 3_600_000_000_000)])
    book.ended(entry(1), done(1, written=2, duplicate=1, rejected=1))
    book.dropped(4, HOUR_NS)

    [page] = book.pages()

    assert (page.number, page.home, page.source, page.journal) == (1, "home", "mqtt", "home-mqtt")
    assert page.hours == {
        HOUR_S: Counts(frames=6, settled=3, received=4, written=2, duplicate=1, rejected=1, lost=4),
        HOUR_S + 3600: Counts(frames=3),
    }
    assert page.stored == {HOUR_S: 2}


def test_a_page_never_changes_and_the_next_begins_where_it_ended(open_book: Callable[..., Book]) -> None:
    book = open_book()
    book.took([sealed(1)])
    first = book.pages()
    book.took([sealed(2)])
    second = book.pages()
    book.kept(1)
    third = book.pages()

    assert second[:1] == first
    assert [page.number for page in second] == [1, 2]
    assert third == second[1:]


def test_pages_are_closed_up_to_a_number_while_nobody_keeps_them(open_book: Callable[..., Book]) -> None:
    book = open_book()
    for number in range(20):
        book.took([sealed(number)])
        pages = book.pages()

    assert [page.number for page in pages] == [1, 2, 3, 4]
    book.kept(4)
    assert [counts.frames for page in book.pages() for counts in page.hours.values()] == [16 * 3]


def test_a_book_that_was_killed_goes_on_where_it_was(open_book: Callable[..., Book]) -> None:
    first = open_book()
    first.took([sealed(1), sealed(2)])
    first.ended(entry(1), done(1, written=3))
    pages = first.pages()
    first.ended(entry(2), done(2, written=3))

    second = open_book()

    assert second.name == first.name
    assert second.pages()[:1] == pages
    assert total(second.pages()) == Counts(frames=6, settled=6, received=6, written=6)


def test_what_has_ended_ever_goes_on_over_kills_and_pages_that_were_kept(open_book: Callable[..., Book]) -> None:
    first = open_book(file_bytes=SMALL)
    for number in range(400):
        first.took([sealed(number)])
        first.ended(entry(number), done(number, written=2, rejected=1))
        first.kept(first.pages()[-1].number)
    first.dropped(4, HOUR_NS)

    second = open_book(file_bytes=SMALL)
    second.ended(entry(399), done(399, written=2))
    second.ended(entry(400), done(400, duplicate=3))

    assert first.ever() == {"written": 800, "duplicate": 0, "rejected": 400, "filtered": 0, "lost": 4}
    assert second.ever() == {"written": 800, "duplicate": 3, "rejected": 400, "filtered": 0, "lost": 4}


def test_a_book_of_an_older_version_goes_on_and_counts_from_now(open_book: Callable[..., Book], tmp_path: Path) -> None:
    older = open_book()
    older.took([sealed(1), sealed(2)])
    older.ended(entry(1), done(1, written=3))
    without = {name: value for name, value in msgspec.to_builtins(older._state).items() if name != "ever"}

    found = as_state(without)

    assert found is not None
    assert (found.under_way, found.ever) == ({HOUR_S: 3}, Counts())


def test_a_batch_counts_once_though_the_journal_gives_it_out_again_after_a_kill(open_book: Callable[..., Book]) -> None:
    first = open_book()
    first.took([sealed(1)])
    first.ended(entry(1), done(1, written=3))

    second = open_book()
    gone = second.compare([sealed(1)])
    again = second.ended(entry(1), done(1, written=3))

    assert (gone, again) == (0, False)
    assert total(second.pages()) == Counts(frames=3, settled=3, received=3, written=3)


def test_what_the_journal_holds_and_the_book_does_not_know_was_taken_in(open_book: Callable[..., Book]) -> None:
    book = open_book()

    assert book.compare([sealed(1), sealed(2, opened_ns=HOUR_NS + 3_600_000_000_000)]) == 0
    assert book.pages()[0].hours == {HOUR_S: Counts(frames=3), HOUR_S + 3600: Counts(frames=3)}


def test_what_the_journal_does_not_hold_any_more_is_lost(open_book: Callable[..., Book]) -> None:
    first = open_book()
    first.took([sealed(1), sealed(2), sealed(3)])
    first.ended(entry(1), done(1, written=3))

    second = open_book()

    assert second.compare([sealed(2)]) == 3
    counts = total(second.pages())
    assert (counts.lost, counts.in_flight, counts.balances) == (3, 3, True)


def test_an_empty_journal_leaves_nothing_under_way(open_book: Callable[..., Book]) -> None:
    book = open_book()
    book.took([sealed(1)])

    assert book.compare_empty(lambda: False) == 0
    assert book.compare_empty(lambda: True) == 3
    assert book.compare_empty(lambda: True) == 0


def test_a_batch_that_ends_while_one_looks_is_not_lost(open_book: Callable[..., Book]) -> None:
    book = open_book()
    book.took([sealed(1)])

    def ends_meanwhile() -> bool:
        book.ended(entry(1), done(1, written=3))
        return True

    assert book.compare_empty(ends_meanwhile) == 0
    assert total(book.pages()).lost == 0


def test_a_page_is_shown_only_when_it_is_on_the_disk(open_book: Callable[..., Book]) -> None:
    disk = Disk()
    book = open_book(sync=disk.sync)
    book.took([sealed(1)])
    disk.full = True

    assert book.pages() == []
    assert not book.sync()
    assert book.last_error is not None
    disk.full = False
    assert book.sync()
    assert book.last_error is None
    assert total(book.pages()) == Counts(frames=3)


def test_counts_made_while_the_disk_failed_are_there_after_a_restart(open_book: Callable[..., Book]) -> None:
    disk = Disk()
    first = open_book(sync=disk.sync)
    first.took([sealed(1)])
    disk.full = True
    first.sync()
    first.took([sealed(2)])
    disk.full = False
    first.sync()

    assert total(open_book().pages()) == Counts(frames=6)


def test_the_files_keep_their_size_however_much_is_counted(open_book: Callable[..., Book], tmp_path: Path) -> None:
    book = open_book(file_bytes=200_000)
    for number in range(5_000):
        book.took([sealed(number)])
        book.ended(entry(number), done(number, written=3))

    assert [file.stat().st_size for file in sorted((tmp_path / "home-mqtt").iterdir())] == [200_000, 200_000]
    assert total(open_book(file_bytes=200_000).pages()) == Counts(15_000, 15_000, 15_000, 15_000)


def test_a_clock_gone_mad_cannot_fill_the_book(open_book: Callable[..., Book]) -> None:
    book = open_book()
    for number in range(2_000):
        book.took([sealed(number, 1, HOUR_NS + number * 3_600_000_000_000)])

    [page] = book.pages()

    assert len(page.hours) <= 501
    assert page.hours[OTHER_HOUR].frames == 1_500
    assert total([page]).frames == 2_000


def test_files_of_another_program_begin_a_new_book(tmp_path: Path, open_book: Callable[..., Book]) -> None:
    name = open_book().name
    for file in (tmp_path / "home-mqtt").iterdir():
        file.write_bytes(os.urandom(3_000) + b"\n" + bytes(500))

    book = open_book()

    assert book.name != name
    assert book.pages() == []


def test_the_post_hands_in_until_the_ledger_has_it(open_book: Callable[..., Book]) -> None:
    post, ledger = MemoryLedgerPost(), MemoryLedger()
    book = open_book()
    posting = Posting(book, post, lambda: False)
    book.took([sealed(1)])
    posting.step(at_once=True)
    [pages] = post.waiting()
    ledger.add(pages)  # killed before it could confirm
    book.took([sealed(2)])
    posting.step(at_once=True)
    ledger.add(post.waiting()[0])
    post.confirm(post.waiting()[0])
    posting.step(at_once=True)

    assert post.waiting() == []
    assert [row.counts.frames for row in ledger.rows()] == [6]


# -- at any byte -----------------------------------------------------------------------------------------


def records(count: int, seed: int) -> list[list[Any]]:
    chance = random.Random(seed)
    return [[number, "x" * chance.randrange(40)] for number in range(count)]


@settings(max_examples=80, deadline=None)
@given(cut=st.integers(0, 4_000), zeroed=st.booleans(), synced=st.integers(0, 40), seed=st.integers(0, 9))
def test_a_spool_cut_at_any_byte_keeps_what_was_synced(
    tmp_path_factory: pytest.TempPathFactory, cut: int, zeroed: bool, synced: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(folder, file_bytes=SMALL, sync=lambda _fd: None)
    spool.begin("snapshot")
    wanted = records(40, seed)
    for number, record in enumerate(wanted):
        if number == synced:
            durable = spool._end
        spool.append(record)
    durable = spool._end if synced >= len(wanted) else durable
    path = next(file for file in sorted(folder.iterdir()) if file.read_bytes().strip(b"\0"))
    content = bytearray(path.read_bytes())
    at = durable + cut
    content[at:] = bytes(len(content) - at) if zeroed else os.urandom(max(0, len(content) - at))
    spool.close()
    path.write_bytes(content)

    again = Spool(folder, file_bytes=SMALL, sync=lambda _fd: None)
    found = again.recover()

    assert found is not None
    assert found[0] == "snapshot"
    assert found[1] == wanted[: len(found[1])]
    assert len(found[1]) >= synced
    assert again.append(["next"])
    third = Spool(folder, file_bytes=SMALL)
    assert third.recover() == ("snapshot", [*found[1], ["next"]])
    again.close()
    third.close()


@settings(max_examples=80, deadline=None)
@given(cut=st.integers(0, 400), turns=st.integers(1, 5))
def test_a_snapshot_torn_at_any_byte_leaves_the_one_before(
    tmp_path_factory: pytest.TempPathFactory, cut: int, turns: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(folder, file_bytes=SMALL, sync=lambda _fd: None)
    for turn in range(turns):
        spool.begin([turn, "x" * 300])
        spool.append(["after", turn])
    torn = sorted(folder.iterdir())[1 - spool._at]
    before = torn.read_bytes()
    spool.begin([turns, "y" * 300])
    after = torn.read_bytes()
    spool.close()
    torn.write_bytes(after[:cut] + before[cut:])

    again = Spool(folder, file_bytes=SMALL)
    found = again.recover()

    whole = found == ([turns, "y" * 300], [])
    assert whole or found == ([turns - 1, "x" * 300], [["after", turns - 1]])
    assert whole == (after[:cut] + before[cut:]).startswith(after[: after.index(b"\n") + 1])
    again.close()


class Killable:
    """A journal of batches, its book and the ledger, through kills: what the book must come through."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = MemoryLedger()
        self.journal: dict[int, Sealed] = {}
        self.unforgotten: list[int] = []
        self.taken = self.dropped = 0
        self.book = self._open()

    def _open(self) -> Book:
        return Book(self.folder, "home", "mqtt", file_bytes=SMALL, sync=lambda _fd: None)

    def took(self) -> None:
        self.taken += 1
        self.journal[self.taken] = sealed(self.taken)
        self.book.took([self.journal[self.taken]])

    def journaled_and_killed(self) -> None:
        self.taken += 1
        self.journal[self.taken] = sealed(self.taken)
        self.killed()

    def ended(self) -> None:
        for number in [number for number in self.journal if number not in self.unforgotten][:1]:
            self.book.ended(entry(number), done(number, written=2, filtered=1))
            self.unforgotten.append(number)

    def synced(self) -> None:
        self.book.sync()
        for number in self.unforgotten:
            del self.journal[number]
        self.unforgotten = []

    def lost(self) -> None:
        self.dropped += 1
        self.book.dropped(1, HOUR_NS)

    def handed_in(self) -> None:
        self.ledger.add(self.book.pages())

    def kept(self) -> None:
        self.ledger.add(pages := self.book.pages())
        self.book.kept(max([page.number for page in pages], default=0))

    def killed(self) -> None:
        self.book._spool.close()
        self.book = self._open()
        self.book.compare(self.journal.values())
        self.unforgotten = []


STEPS = st.lists(
    st.sampled_from(["took", "ended", "synced", "lost", "handed_in", "kept", "killed", "journaled_and_killed"]),
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
def test_the_ledger_balances_however_often_a_listener_is_killed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    it = Killable(tmp_path_factory.mktemp("home-mqtt"))

    for step in steps:
        getattr(it, step)()
    while it.journal:
        it.ended()
        it.synced()
    it.kept()
    it.kept()

    taken, whole = it.taken, Counts()
    for row in it.ledger.rows():
        whole.add(row.counts)
    assert whole == Counts(3 * taken, 3 * taken, 3 * taken, 2 * taken, 0, 0, taken, it.dropped)
    assert sum(it.ledger.stored("home").values()) == 2 * taken
    it.book.close()
