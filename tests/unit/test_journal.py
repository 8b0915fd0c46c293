"""The journal on a real file system, without threads: what it gives back after every kind of end."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestor import errors
from ingestor.intake.journal.entry import Entry
from ingestor.intake.journal.journal import Journal
from ingestor.intake.journal.record import Record, Sealed
from ingestor.intake.journal.segment import Disk, Segment
from ingestor.settings import JournalSettings

SMALL = JournalSettings(max_bytes=1024 * 1024, segment_bytes=64 * 1024)


def sealed(number: int, size: int = 40) -> Sealed:
    message = random.Random(number).randbytes(size)
    return Sealed(f"{number:026d}", number, 1_000 + number, message)


def drain(journal: Journal) -> list[tuple[Entry, bytes]]:
    found = []
    while (given := journal.next_unsent()) is not None:
        found.append(given)
    return found


def ids(given: list[tuple[Entry, bytes]]) -> list[int]:
    return [int(entry.batch_id) for entry, _ in given]


def left_in(folder: Path) -> list[int]:
    journal = Journal(folder, SMALL)
    found = drain(journal)
    journal.close()
    for entry, message in found:
        assert message == sealed(int(entry.batch_id), len(message)).message
    return ids(found)


def segment_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.segment"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home-websocket"


@pytest.fixture
def journal(folder: Path) -> Iterator[Journal]:
    journal = Journal(folder, SMALL)
    yield journal
    journal.close()


class RecordingDisk(Disk):
    """A disk that notes how much of the file was synced when."""

    def __init__(self) -> None:
        self.synced: list[int] = []

    def sync(self, fd: int) -> None:
        super().sync(fd)
        self.synced.append(os.fstat(fd).st_size)


class FailingDisk(Disk):
    """A disk on which the next calls fail, after a part of the data was written."""

    def __init__(self) -> None:
        self.write_error = 0
        self.sync_error = 0

    def write(self, fd: int, data: memoryview) -> int:
        if not self.write_error:
            return super().write(fd, data)
        super().write(fd, data[: len(data) // 2])
        raise OSError(self.write_error, os.strerror(self.write_error))

    def sync(self, fd: int) -> None:
        if self.sync_error:
            raise OSError(self.sync_error, os.strerror(self.sync_error))
        super().sync(fd)


def test_batches_come_back_in_the_order_they_were_appended(journal: Journal) -> None:
    journal.append([sealed(1), sealed(2)])
    journal.append([sealed(3)])

    found = drain(journal)

    assert ids(found) == [1, 2, 3]
    assert [entry.frames for entry, _ in found] == [1, 2, 3]
    assert [message for _, message in found] == [sealed(n).message for n in (1, 2, 3)]


def test_a_batch_that_was_given_out_can_be_read_again(journal: Journal) -> None:
    journal.append([sealed(1), sealed(2, 5000)])

    (_, _), (second, _) = drain(journal)

    assert journal.read(second) == sealed(2, 5000).message


def test_what_was_not_forgotten_is_there_after_a_restart(folder: Path) -> None:
    journal = Journal(folder, SMALL)
    journal.append([sealed(n) for n in range(1, 6)])
    given_out = drain(journal)
    journal.forget([given_out[1][0], given_out[3][0]])
    journal.close()

    assert left_in(folder) == [1, 3, 5]


def test_what_was_sent_but_not_done_is_there_after_a_kill(folder: Path) -> None:
    journal = Journal(folder, SMALL)
    journal.append([sealed(1), sealed(2)])
    drain(journal)
    copy = folder.parent / "copy"
    shutil.copytree(folder, copy)  # as a killed process leaves it

    assert left_in(copy) == [1, 2]
    journal.close()


def test_a_second_process_on_the_same_journal_is_refused(journal: Journal, folder: Path) -> None:
    with pytest.raises(errors.Fatal, match=f"in use by process {os.getpid()}"):
        Journal(folder, SMALL)


def test_a_journal_cut_at_any_byte_keeps_every_whole_batch_before_the_cut(folder: Path, tmp_path: Path) -> None:
    journal = Journal(folder, SMALL)
    ends = []
    for number in range(1, 5):
        journal.append([sealed(number)])
        ends.append(segment_files(folder)[0].stat().st_size)
    journal.close()
    source = segment_files(folder)[0]
    whole = source.read_bytes()

    for cut in range(len(whole) + 1):
        target = tmp_path / "cut"
        target.mkdir(exist_ok=True)
        file = target / source.name
        file.write_bytes(whole[:cut])

        assert left_in(target) == [n for n, end in enumerate(ends, 1) if end <= cut]
        size = file.stat().st_size if file.exists() else 0
        assert size == max([end for end in ends if end <= cut], default=0)


@pytest.mark.parametrize("block", [512, 4096])
def test_zeroing_any_unsynced_block_never_costs_a_synced_batch(folder: Path, tmp_path: Path, block: int) -> None:
    disk = RecordingDisk()
    journal = Journal(folder, SMALL, disk=disk)
    journal.append([sealed(1, 3000), sealed(2, 700)])
    journal.append([sealed(3, 2500)])
    synced = disk.synced[-1]
    journal.append([sealed(n, 900) for n in range(4, 12)])  # on its way when the power fails
    journal.close()
    source = segment_files(folder)[0]
    whole = source.read_bytes()
    blocks = range(synced // block, len(whole) // block + 1)

    for hit in [*({one} for one in blocks), set(blocks), set(list(blocks)[::2])]:
        damaged = bytearray(whole)
        for one in hit:
            start, end = max(synced, one * block), min(len(whole), (one + 1) * block)
            damaged[start:end] = bytes(max(0, end - start))
        target = tmp_path / "power"
        target.mkdir(exist_ok=True)
        (target / source.name).write_bytes(damaged)

        kept = left_in(target)

        assert kept[:3] == [1, 2, 3]
        assert set(kept[3:]) < set(range(4, 12))
        (target / source.name).unlink()


def test_damage_in_the_middle_costs_only_the_batches_it_touches(folder: Path) -> None:
    journal = Journal(folder, SMALL)
    journal.append([sealed(n, 1000) for n in range(1, 8)])
    journal.close()
    file = segment_files(folder)[0]
    damaged = bytearray(file.read_bytes())
    damaged[2600:2610] = b"\xff" * 10
    file.write_bytes(damaged)

    assert left_in(folder) == [1, 2, 4, 5, 6, 7]


@pytest.mark.parametrize("byte", [4, 8, 12, 20])
def test_a_damaged_head_makes_no_other_record_of_a_whole_body(folder: Path, byte: int) -> None:
    journal = Journal(folder, SMALL)
    journal.append([sealed(1), sealed(2)])
    journal.close()
    file = segment_files(folder)[0]
    damaged = bytearray(file.read_bytes())
    damaged[byte] ^= 2
    file.write_bytes(damaged)

    assert left_in(folder) == [2]


def test_bytes_of_a_payload_cannot_pose_as_a_record(folder: Path, tmp_path: Path) -> None:
    other = Journal(tmp_path / "other", SMALL)
    other.append([sealed(666)])
    other.close()
    forged = segment_files(tmp_path / "other")[0].read_bytes()
    journal = Journal(folder, SMALL)
    journal.append([Sealed(f"{1:026d}", 1, 1, forged * 3), sealed(2)])
    journal.close()
    file = segment_files(folder)[0]
    damaged = bytearray(file.read_bytes())
    damaged[0] ^= 1  # the record's own head: its body is searched now
    file.write_bytes(damaged)

    assert left_in(folder) == [2]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.binary(max_size=200), st.integers(1, 3), st.just(b"HAJ1")), max_size=8))
def test_any_bytes_in_a_segment_leave_a_journal_that_works(tmp_path: Path, parts: list[bytes | int]) -> None:
    folder = tmp_path / "fuzz"
    shutil.rmtree(folder, ignore_errors=True)
    journal = Journal(folder, SMALL)
    journal.append([sealed(n) for n in range(1, 4)])
    journal.close()
    file = segment_files(folder)[0]
    whole = file.read_bytes()
    third = len(whole) // 3
    file.write_bytes(b"".join(p if isinstance(p, bytes) else whole[(p - 1) * third : p * third] for p in parts))

    journal = Journal(folder, SMALL)
    journal.append([sealed(9)])
    found = ids(drain(journal))
    journal.close()

    assert found[-1] == 9
    assert set(found) <= {1, 2, 3, 9}
    assert len(found) == len(set(found))


def test_done_segments_are_deleted_and_the_space_is_free_again(journal: Journal, folder: Path) -> None:
    for number in range(1, 40):
        journal.append([sealed(number, 10_000)])
    before = journal.status()

    journal.forget([entry for entry, _ in drain(journal)])
    journal.tidy()

    assert before.segments >= 4
    assert len(segment_files(folder)) == 1
    assert journal.status().bytes_on_disk < 64 * 1024 + 10_100
    assert journal.status().pending_batches == 0


def test_one_stuck_batch_does_not_hold_the_segments_after_it(folder: Path) -> None:
    journal = Journal(folder, SMALL)
    for number in range(1, 61):
        journal.append([sealed(number, 10_000)])
    given_out = drain(journal)
    journal.forget([entry for entry, _ in given_out if entry.batch_id != f"{3:026d}"])

    journal.tidy()

    assert len(segment_files(folder)) <= 2
    assert journal.read(given_out[2][0]) == sealed(3, 10_000).message
    journal.close()
    assert left_in(folder) == [3]


def test_a_moved_batch_is_given_once_though_both_copies_are_found(folder: Path, tmp_path: Path) -> None:
    journal = Journal(folder, SMALL)
    for number in range(1, 61):
        journal.append([sealed(number, 10_000)])
    given_out = drain(journal)
    oldest = segment_files(folder)[0]
    kept = oldest.read_bytes()
    journal.forget([entry for entry, _ in given_out if entry.batch_id != f"{3:026d}"])
    journal.tidy()
    journal.append([sealed(61)])
    assert ids(drain(journal)) == [61]
    journal.close()

    oldest.write_bytes(kept)  # killed between copying and deleting

    found = left_in(folder)
    assert found.count(3) == 1
    assert found.count(61) == 1


def test_at_its_limit_the_journal_has_no_room_until_a_tenth_is_free(journal: Journal) -> None:
    while journal.has_room(10_200):
        journal.append([sealed(journal.unsent + 1, 10_000)])
    full_at = journal.status().bytes_on_disk
    given_out = drain(journal)

    journal.forget([entry for entry, _ in given_out[:7]])
    journal.tidy()
    freed = full_at - journal.status().bytes_on_disk
    after_one = journal.has_room(10_200)
    journal.forget([entry for entry, _ in given_out[:50]])
    journal.tidy()

    assert 1024 * 1024 - 10_200 < full_at <= 1024 * 1024
    assert 2 * 10_200 < freed < 100_000
    assert not after_one
    assert journal.has_room(10_200)


def test_an_empty_journal_takes_a_batch_larger_than_its_limit(journal: Journal) -> None:
    assert journal.has_room(5 * 1024 * 1024)

    journal.append([sealed(1, 2 * 1024 * 1024)])

    assert not journal.has_room(1)


def test_a_full_disk_is_a_limit_and_leaves_no_half_group(folder: Path) -> None:
    disk = FailingDisk()
    journal = Journal(folder, SMALL, disk=disk)
    journal.append([sealed(1)])
    disk.write_error = errno.ENOSPC

    with pytest.raises(errors.JournalFull, match="No space left"):
        journal.append([sealed(2), sealed(3)])
    disk.write_error = 0
    journal.append([sealed(2), sealed(3)])

    assert ids(drain(journal)) == [1, 2, 3]
    assert journal.status().segments == 1
    journal.close()
    assert left_in(folder) == [1, 2, 3]


def test_a_full_disk_still_lets_done_segments_go(folder: Path) -> None:
    disk = FailingDisk()
    journal = Journal(folder, SMALL, disk=disk)
    for number in range(1, 40):
        journal.append([sealed(number, 10_000)])
    disk.write_error = errno.ENOSPC

    journal.forget([entry for entry, _ in drain(journal)])
    journal.tidy()

    assert len(segment_files(folder)) == 1
    journal.close()


def test_after_a_failed_sync_the_group_goes_to_another_file_and_is_found_once(folder: Path) -> None:
    disk = FailingDisk()
    journal = Journal(folder, SMALL, disk=disk)
    journal.append([sealed(1)])
    disk.sync_error = errno.EIO

    with pytest.raises(errors.JournalFull):
        journal.append([sealed(2)])
    disk.sync_error = 0
    journal.append([sealed(2)])

    assert ids(drain(journal)) == [1, 2]
    assert len(segment_files(folder)) == 2
    journal.close()
    assert left_in(folder) == [1, 2]


def test_a_segment_deleted_behind_our_back_is_counted_and_the_rest_goes_on(folder: Path) -> None:
    journal = Journal(folder, SMALL)
    for number in range(1, 21):
        journal.append([sealed(number, 10_000)])
    segment_files(folder)[1].unlink()

    found = ids(drain(journal))

    lost = journal.status().damaged_batches
    assert lost > 0
    assert len(found) + lost == 20
    assert journal.status().pending_batches == len(found)
    journal.close()


def test_reading_while_appending_never_skips_a_batch(folder: Path) -> None:
    journal = Journal(folder, SMALL)
    found: list[int] = []

    for number in range(1, 200):
        journal.append([sealed(number, 3_000)])
        if number % 7 == 0:
            found += ids(drain(journal))
            journal.tidy()

    assert found + ids(drain(journal)) == list(range(1, 200))
    journal.close()


def test_what_an_earlier_run_left_done_is_deleted_at_once(folder: Path) -> None:
    journal = Journal(folder, SMALL)
    journal.append([sealed(n, 30_000) for n in range(1, 7)])
    journal.forget([entry for entry, _ in drain(journal)])
    journal.close()
    assert segment_files(folder) != []

    journal = Journal(folder, SMALL)
    journal.tidy()

    assert segment_files(folder) == []
    journal.append([sealed(7)])
    assert ids(drain(journal)) == [7]
    journal.close()


def test_what_is_appended_while_the_reader_looks_at_damage_is_not_taken_for_damaged(folder: Path) -> None:
    journal = Journal(folder, SMALL)
    journal.append([sealed(1), sealed(2)])
    file = segment_files(folder)[0]
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)
    look = journal._cursor.next_record

    def look_slowly(segment: Segment, end: int, *, newest: bool) -> Record | None:
        record = look(segment, end, newest=newest)
        if record is None and journal.unsent == 1:
            for number in (3, 4, 5):  # meanwhile the other thread fills this segment and begins another
                journal.append([sealed(number, 40_000)])
        return record

    journal._cursor.next_record = look_slowly  # type: ignore[method-assign]  # another thread, made to come just then

    assert ids(drain(journal)) == [1, 3, 4, 5]
    assert journal.status().damaged_batches == 1
    journal.close()


def test_the_newest_messages_are_told_first_also_those_that_are_done(folder: Path) -> None:
    journal = Journal(folder, SMALL)
    journal.append([sealed(n, 30_000) for n in range(1, 7)])
    journal.append([sealed(n) for n in range(7, 9)])
    journal.forget([entry for entry, _ in drain(journal)][-1:])
    journal.close()

    journal = Journal(folder, SMALL)

    assert list(journal.newest_messages()) == [
        *(sealed(n).message for n in (8, 7)),
        *(sealed(n, 30_000).message for n in range(6, 0, -1)),
    ]
    journal.close()


def test_the_folder_and_its_files_are_for_their_owner_only(journal: Journal, folder: Path) -> None:
    journal.append([sealed(1)])

    assert folder.stat().st_mode & 0o077 == 0
    assert segment_files(folder)[0].stat().st_mode & 0o077 == 0
