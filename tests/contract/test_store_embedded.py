"""What the embedded store promises beyond the contract: several processes, a full disk, a file that is not its own."""

from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ingestor import errors
from ingestor.events.point import Point
from ingestor.storage.embedded import EmbeddedStore
from ingestor.storage.port import EventQuery
from ingestor.storage.schema import STATES

BATCH = 50
READ_UNTIL_ALL_THERE = """
import sys, time
from pathlib import Path
from ingestor.storage.embedded import EmbeddedStore
from ingestor.storage.port import EventQuery
store, seen, deadline = EmbeddedStore(Path(sys.argv[1])), [0], time.monotonic() + 30
while seen[-1] < int(sys.argv[2]) and time.monotonic() < deadline:
    seen.append(len(list(store.read(EventQuery(limit=100_000)))))
assert seen == sorted(seen), seen
assert all(count % 50 == 0 for count in seen), seen
print(seen[-1])
"""
WRITE_SOME = """
import sys
from pathlib import Path
from ingestor.storage.embedded import EmbeddedStore
from ingestor.events.point import Point
store, who = EmbeddedStore(Path(sys.argv[1])), sys.argv[2]
sys.stdin.readline()
for number in range(20):
    tags = (("home", "home"), ("series", f"sensor.{who}_{number % 3}"))
    store.write([Point("home_assistant_events", tags, {"state": who}, 1_000 + number)])
print("done")
"""


def points(count: int, start: int = 0, **fields: float | str) -> list[Point]:
    tags = (("domain", "sensor"), ("home", "home"), ("series", "sensor.x"))
    return [Point(STATES, tags, dict(fields or {"value": 1.0}), 1_000 + start + number) for number in range(count)]


def read(store: EmbeddedStore) -> int:
    return len(list(store.read(EventQuery(limit=100_000))))


def child(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_two_processes_read_whole_batches_while_one_writes(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    store = EmbeddedStore(path)
    store.write(points(BATCH))
    readers = [child(READ_UNTIL_ALL_THERE, str(path), str(40 * BATCH)) for _ in range(2)]

    for number in range(1, 40):
        store.write(points(BATCH, number * BATCH))

    outputs = [reader.communicate(timeout=60)[0].strip() for reader in readers]
    assert outputs == [str(40 * BATCH)] * 2


def test_processes_that_start_at_once_on_a_new_file_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "events.sqlite"
    writers = [child(WRITE_SOME, str(path), f"w{number}") for number in range(4)]

    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()

    assert [writer.communicate(timeout=60)[0].strip() for writer in writers] == ["done"] * 4
    assert read(EmbeddedStore(path)) == 4 * 20


def test_a_forked_process_uses_a_connection_of_its_own(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "events.sqlite")
    store.write(points(1))

    def in_child() -> None:
        store.write(points(1, start=1))
        store.close()

    process = multiprocessing.get_context("fork").Process(target=in_child)
    process.start()
    process.join(30)

    assert process.exitcode == 0
    store.write(points(1, start=2))
    assert read(store) == 3


def test_threads_of_one_process_share_a_store(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "events.sqlite")
    faults: list[Exception] = []

    def work(number: int) -> None:
        try:
            for step in range(20):
                store.write(points(5, start=number * 1_000 + step * 5))
                read(store)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the test tells it
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert read(store) == 4 * 20 * 5


def test_a_full_disk_is_unavailable_and_nothing_of_the_write_is_kept_until_there_is_room(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "events.sqlite")
    store.write(points(10))
    connection = store._open()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")

    for _ in range(2):
        with pytest.raises(errors.StoreUnavailable, match="full"):
            store.write(points(200, start=10, state="x" * 1_000))
    assert read(store) == 10

    connection.execute("PRAGMA max_page_count = 1000000")
    assert store.write(points(200, start=10, state="x" * 1_000)).written == 200
    assert read(store) == 210


def test_a_series_of_a_write_that_failed_keeps_no_number_in_memory(tmp_path: Path) -> None:
    store, other = (EmbeddedStore(tmp_path / "events.sqlite") for _ in range(2))
    store.write(points(1))
    connection = store._open()
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    mine = [Point(STATES, (("series", "sensor.mine"),), {"state": "x" * 60_000}, 5)]
    theirs = [Point(STATES, (("series", "sensor.theirs"),), {"state": "y"}, 5)]

    with pytest.raises(errors.StoreUnavailable):
        store.write(mine)
    other.write(theirs)
    connection.execute("PRAGMA max_page_count = 1000000")
    store.write(mine)

    found = {event.series: str(event.fields.get("state", "?"))[0] for event in store.read(EventQuery())}
    assert (found["sensor.mine"], found["sensor.theirs"]) == ("x", "y")


def test_a_locked_file_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestor.storage.embedded._BUSY_S", 0.05)
    store = EmbeddedStore(tmp_path / "events.sqlite")
    store.write(points(1))
    somebody = sqlite3.connect(tmp_path / "events.sqlite", isolation_level=None)
    somebody.execute("BEGIN IMMEDIATE")

    with pytest.raises(errors.StoreUnavailable, match="locked"):
        store.write(points(1, start=1))
    with pytest.raises(errors.StoreUnavailable, match="locked"):
        store.check(write=True)
    assert read(store) == 1

    somebody.execute("ROLLBACK")
    assert store.write(points(1, start=1)).written == 1
    somebody.close()


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    path.write_text("the family's recipes " * 100)

    with pytest.raises(errors.StoreDamaged, match=str(path)):
        EmbeddedStore(path).write(points(1))

    assert path.read_text() == "the family's recipes " * 100


@pytest.mark.parametrize("time_ns", [2**63, -(2**63), 10**30])
def test_a_time_beyond_64_bits_is_rejected_alone(tmp_path: Path, time_ns: int) -> None:
    store = EmbeddedStore(tmp_path / "events.sqlite")
    far = points(1)[0]
    far.time_ns = time_ns

    result = store.write([*points(2), far])

    assert [(rejection.index, rejection.reason) for rejection in result.rejected] == [(2, "time_out_of_range")]
    assert read(store) == 2


def test_points_of_other_measurements_are_kept_and_united_in_their_own_table(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "events.sqlite")
    tags = (("domain", "light"), ("entity_id", "lamp"))

    store.write([Point("light.lamp", tags, {"value": 1.0, "state": "on", "effect_str": "a"}, 5)])
    store.write([Point("light.lamp", tags, {"effect_str": "b", "bad": float("inf")}, 5)])

    rows = sqlite3.connect(tmp_path / "events.sqlite").execute(
        "SELECT measurement, tags, time_ns, extra FROM points JOIN series ON id = series_id"
    )
    assert rows.fetchall() == [
        (
            "light.lamp",
            '[["domain", "light"], ["entity_id", "lamp"]]',
            5,
            '{"value":1.0,"state":"on","effect_str":"b"}',
        )
    ]
