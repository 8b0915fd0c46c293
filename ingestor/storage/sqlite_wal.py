"""Takes SQLite's write-ahead log, for the metadata database and the embedded store."""

from __future__ import annotations

import sqlite3
import time

from ingestor.storage.sqlite_faults import is_busy

_PAUSE_S = 0.01


def use_wal(connection: sqlite3.Connection, wait_s: float) -> None:
    """Put a connection's database into WAL mode. Raises sqlite3.OperationalError where it is still busy after `wait_s`.

    SQLite does not keep its own busy timeout here: where another process writes, or switches too, it answers "database
    is locked" at once.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
        else:
            return
