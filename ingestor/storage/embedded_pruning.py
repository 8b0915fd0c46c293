"""The statements by which the embedded store lets old events go; opens nothing."""

from __future__ import annotations

import sqlite3
from typing import Final

from ingestor.storage.pruning import Outdated, added_up
from ingestor.storage.schema import CONTEXT

#: Rows that one transaction deletes of a table: some ten milliseconds, for which a writer waits.
_ROWS: Final = 2000
_TABLES: Final = ("states", "events")


def outdated(connection: sqlite3.Connection, before_ns: int) -> list[Outdated]:
    """Return what is older than a time, by home."""
    found = []
    for table in _TABLES:
        statement = (
            f"SELECT s.home, count(*), min(t.time_ns), max(t.time_ns) FROM {table} t INDEXED BY {table}_by_time"  # noqa: S608 -- our own names
            " JOIN series s ON s.id = t.series_id WHERE t.time_ns < ? GROUP BY s.home"
        )
        found += [Outdated(str(home or ""), *row) for home, *row in connection.execute(statement, [before_ns])]
    return added_up(found)


def prune(connection: sqlite3.Connection, before_ns: int) -> list[Outdated]:
    """Delete the oldest rows, within a transaction; the pages that they leave are used again."""
    homes: dict[int, str] = {}
    found = []
    for table in _TABLES:
        statement = (
            f"DELETE FROM {table} WHERE (series_id, time_ns) IN (SELECT series_id, time_ns FROM {table}"  # noqa: S608 -- our own names
            f" INDEXED BY {table}_by_time WHERE time_ns < ? ORDER BY time_ns LIMIT ?) RETURNING series_id, time_ns"
        )
        for number, time_ns in connection.execute(statement, [before_ns, _ROWS]).fetchall():
            home = homes.get(number)
            if home is None:
                (home,) = connection.execute("SELECT home FROM series WHERE id = ?", [number]).fetchone()
                homes[number] = home = str(home or "")
            found.append(Outdated(home, 1, time_ns, time_ns))
    connection.execute(
        "DELETE FROM points WHERE (series_id, time_ns) IN (SELECT t.series_id, t.time_ns FROM points t"
        " JOIN series s ON s.id = t.series_id WHERE s.measurement = ? AND t.time_ns < ? LIMIT ?)",
        [CONTEXT, before_ns, _ROWS],
    )
    return added_up(found)
