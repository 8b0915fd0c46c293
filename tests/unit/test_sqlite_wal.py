"""Whoever opens a SQLite database waits where somebody else holds it, though SQLite itself does not."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ingestor.storage.database import open_database
from ingestor.storage.embedded import EmbeddedStore
from ingestor.storage.sqlite_wal import use_wal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "db.sqlite"


@pytest.fixture
def held(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection that writes into the new file, which is not in WAL mode yet."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def mode_of(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def test_sqlite_itself_does_not_wait(file: Path, held: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(file, timeout=30)) as second, pytest.raises(sqlite3.OperationalError, match="locked"):
        second.execute("PRAGMA journal_mode = WAL")


@pytest.mark.parametrize("which", ["database", "store"])
def test_a_database_that_is_held_for_a_moment_is_opened(file: Path, held: sqlite3.Connection, which: str) -> None:
    timer = threading.Timer(0.3, held.execute, ["ROLLBACK"])
    timer.start()

    if which == "database":
        open_database(f"sqlite:///{file}").dispose()
    else:
        store = EmbeddedStore(file)
        store.count_by_hour("h", 0, 1)
        store.close()

    timer.join()
    assert mode_of(file) == "wal"


def test_it_says_so_where_that_lasts(file: Path, held: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(file, timeout=0)) as second, pytest.raises(sqlite3.OperationalError, match="locked"):
        use_wal(second, 0.05)


def test_a_fault_of_another_kind_is_told_at_once(file: Path) -> None:
    file.write_bytes(b"this is no database" * 100)
    with closing(sqlite3.connect(file)) as second, pytest.raises(sqlite3.DatabaseError, match="not a database"):
        use_wal(second, 30)
