"""The embedded store: SQLite with a write-ahead log, for a home without a database server.

Several processes may read while one writes. States and other events have a table each; points of any other
measurement share a third.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ingestor import errors
from ingestor.events.point import FieldValue, Point, StoredEvent
from ingestor.storage import embedded_counts as counts
from ingestor.storage import embedded_hours as hours
from ingestor.storage import embedded_pruning, embedded_windows
from ingestor.storage import embedded_reading as reading
from ingestor.storage import embedded_tables as tables
from ingestor.storage.ending import gone
from ingestor.storage.port import (
    HOUR_US,
    ContextCount,
    EventQuery,
    HourCount,
    StoredMoment,
    StoredState,
    StoreInfo,
    WriteResult,
)
from ingestor.storage.pruning import Outdated
from ingestor.storage.reading_order import first_of_each
from ingestor.storage.scanning import scan_by_reading
from ingestor.storage.schema import event_id
from ingestor.storage.series_hours import SeriesHour, StoredValue, one_by_one
from ingestor.storage.sqlite_faults import explained, is_damaged, of_system
from ingestor.storage.sqlite_wal import use_wal
from ingestor.storage.windows import Window, WindowQuery

#: How long a write waits for another process's write (s).
_BUSY_S: Final = 10.0
_MAX_CACHED: Final = 100_000
#: Names that one statement is given.
_NAMES_AT_ONCE: Final = 500
#: SQLite's own steps between two looks at the clock; some thousand looks a second.
_STEPS_BETWEEN_LOOKS: Final = 10_000
#: What no waiting cures.
_REFUSED: Final = frozenset({sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})
_Row = tuple[Any, ...]


class EmbeddedStore:
    """A store in one file. Opens its connection at the first use, and again in a forked process.

    A question that takes longer than `read_timeout_s` is ended (TookTooLong); without it none is.
    """

    #: SQLite adds up as fast as it reads.
    reads_below = 0

    def __init__(self, path: Path, read_timeout_s: float | None = None) -> None:
        self._path = path
        self._read_timeout_s = read_timeout_s
        self._connection: sqlite3.Connection | None = None
        self._owner = 0
        # Threads of one process share the connection, and a transaction must not be another's too.
        self._lock = threading.Lock()
        self._series: dict[tuple[str, tables.Tags], int] = {}

    def write(self, points: Sequence[Point]) -> WriteResult:
        """Store points in one durable transaction. Raises StoreUnavailable (locked, disk full)."""
        rejected = [fault for index, point in enumerate(points) if (fault := tables.fault_of(index, point))]
        refused = {fault.index for fault in rejected}
        accepted = [point for index, point in enumerate(points) if index not in refused]
        if accepted:
            with _sqlite_errors(self._path), self._lock:
                with self._transaction() as connection:
                    new = self._insert(connection, accepted)
                # Only now: a number from a transaction that failed may be given out again.
                if len(self._series) + len(new) > _MAX_CACHED:
                    self._series.clear()
                self._series.update(new)
        return WriteResult(len(accepted), rejected)

    def read(self, query: EventQuery) -> Iterator[StoredEvent]:
        """Yield stored events of our own schema, in the query's order."""
        if query.each is not None:
            yield from self._first_of_each(query)
            return
        chosen = {kind: self._chosen(query, measurement) for kind, _, measurement in reading.kinds_of(query)}
        if asked := reading.selection(query, chosen):
            yield from (_event(row) for row in self._rows(*asked))

    def scan(self, query: EventQuery) -> Iterator[list[StoredEvent]]:
        """Yield all events of a query, oldest first."""
        return scan_by_reading(self.read, query)

    def count_by_hour(self, home: str, since_ns: int, until_ns: int) -> list[HourCount]:
        """Return how many points the file holds, by hour, kind and source."""
        rows = self._rows(*tables.hour_counts(home, since_ns, until_ns))
        return [HourCount(hour * HOUR_US, kind, source, points) for kind, hour, source, points in rows]

    def states_between(self, home: str, since_ns: int, until_ns: int, limit: int) -> list[StoredState]:
        """Return stored states."""
        return [StoredState(*row) for row in self._rows(*tables.states_of(home, since_ns, until_ns, limit))]

    def moments_between(self, home: str, since_ns: int, until_ns: int) -> list[StoredMoment]:
        """Return what held for a home."""
        rows = self._rows(*tables.moments_of(home, since_ns, until_ns))
        return [StoredMoment(time_ns, json.loads(extra)) for time_ns, extra in rows]

    def context_counts(self, home: str, since_ns: int, until_ns: int) -> list[ContextCount]:
        """Return how many states have their context, by domain."""
        return [ContextCount(*row) for row in self._rows(*counts.context_counts(home, since_ns, until_ns))]

    def repair_counts(self, home: str, since_ns: int, until_ns: int) -> dict[str, int]:
        """Return how many states were repaired, by the rules that did it."""
        return dict(self._rows(*counts.repair_counts(home, since_ns, until_ns)))

    def states_by_series(self, home: str, since_ns: int, until_ns: int) -> dict[str, int]:
        """Return how many states each series has in a span."""
        return dict(self._rows(hours.COUNTS, [home, since_ns, until_ns]))

    def series_hours(self, home: str, since_ns: int, until_ns: int, series: Sequence[str] = ()) -> list[SeriesHour]:
        """Return the states of a span added up by series."""
        values = [home, since_ns, until_ns, *series]
        return hours.hours_of({name: self._rows(asked, values) for name, asked in hours.questions(len(series)).items()})

    def hours_by_series(self, home: str, since_ns: int, until_ns: int) -> Iterator[tuple[int, list[SeriesHour]]]:
        """Yield the hours of a span added up by series."""
        return one_by_one(self.series_hours, home, since_ns, until_ns)

    def windows(self, query: WindowQuery) -> list[Window]:
        """Return states added up by windows of time."""
        asked, values = embedded_windows.questions(query)
        return embedded_windows.windows_of({name: self._rows(one, values) for name, one in asked.items()})

    def values_of(self, home: str, series: Sequence[str], since_ns: int, until_ns: int) -> Iterator[StoredValue]:
        """Yield the states of some series."""
        for start in range(0, len(series), _NAMES_AT_ONCE):
            names = series[start : start + _NAMES_AT_ONCE]
            yield from map(hours.value_of, self._rows(*hours.values_of(home, names, since_ns, until_ns)))

    def outdated(self, before_ns: int) -> list[Outdated]:
        """Return what is older than a time, by home."""
        with _sqlite_errors(self._path), self._lock:
            return embedded_pruning.outdated(self._open(), before_ns)

    def prune(self, before_ns: int) -> list[Outdated]:
        """Delete a portion of what is older, in a transaction of its own."""
        with _sqlite_errors(self._path), self._lock, self._transaction() as connection:
            return embedded_pruning.prune(connection, before_ns)

    def check(self, *, write: bool = False) -> StoreInfo:
        """Say which SQLite answers; with `write`, try to take the write lock."""
        with _sqlite_errors(self._path), self._lock:
            if write:
                with self._transaction():
                    pass
            else:
                self._open().execute("SELECT 1 FROM series LIMIT 1")
        return StoreInfo("SQLite", sqlite3.sqlite_version)

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None and self._owner == os.getpid():
            self._connection.close()
        self._connection = None

    def _first_of_each(self, query: EventQuery) -> list[StoredEvent]:
        found: list[StoredEvent] = []
        for kind in reading.kinds_of(query):
            numbers = [number for (number,) in self._rows(*(reading.series_chosen(query, kind[2]) or ("", [])))]
            for statement in reading.selections_of_each(query, kind, numbers):
                found += map(_event, self._rows(*statement))
        return first_of_each(found, query)

    def _chosen(self, query: EventQuery, measurement: str) -> list[int] | None:
        """Return the numbers of the series that are asked for; None where these are too many, or all."""
        asked = reading.series_chosen(query, measurement)
        if asked is None:
            return None
        found = [number for (number,) in self._rows(*asked)]
        return found if len(found) <= reading.MOST_SINGLY else None

    def _rows(self, statement: str, values: Sequence[Any]) -> list[_Row]:
        with _sqlite_errors(self._path), self._lock, _deadline(self._open(), self._read_timeout_s) as connection:
            return connection.execute(statement, values).fetchall()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._owner != os.getpid():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                _prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._owner = connection, os.getpid()
            # Another file may be there now, with other numbers.
            self._series.clear()
        return self._connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            # After some errors SQLite has rolled back by itself.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _insert(self, connection: sqlite3.Connection, points: Sequence[Point]) -> dict[tuple[str, tables.Tags], int]:
        new: dict[tuple[str, tables.Tags], int] = {}
        rows: dict[str, list[_Row]] = {}
        for point in points:
            key = (point.measurement, point.tags)
            number = self._series.get(key) or new.get(key)
            if number is None:
                number = new[key] = tables.series_number(connection, point)
            rows.setdefault(tables.table_of(point.measurement), []).append(tables.row_of(number, point))
        for table, found in rows.items():
            try:
                connection.executemany(tables.UPSERT[table], found)
            except UnicodeEncodeError:
                connection.executemany(tables.UPSERT[table], [tables.clean_row(row) for row in found])
        return new


def _prepare(connection: sqlite3.Connection) -> None:
    """Set a new connection up, and make the tables where they are not there."""
    use_wal(connection, _BUSY_S)
    # A batch leaves the journal when it is written: so written must mean on disk.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -32000")
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
        connection.execute("BEGIN IMMEDIATE")
        for statement in tables.CREATE:
            connection.execute(statement)
        connection.execute("COMMIT")


@contextmanager
def _deadline(connection: sqlite3.Connection, timeout_s: float | None) -> Iterator[sqlite3.Connection]:
    """End what is asked of a connection meanwhile if it takes longer than this, or if whoever asks has gone."""
    asker_gone = gone()
    if timeout_s is None and asker_gone is None:
        yield connection
        return
    until = time.monotonic() + (math.inf if timeout_s is None else timeout_s)

    def is_over() -> bool:
        return time.monotonic() > until or (asker_gone is not None and asker_gone.is_set())

    connection.set_progress_handler(is_over, _STEPS_BETWEEN_LOOKS)
    try:
        yield connection
    finally:
        connection.set_progress_handler(None, 0)


@contextmanager
def _sqlite_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            raise errors.TookTooLong from error
        refused = getattr(error, "sqlite_errorcode", 0) in _REFUSED
        kind = errors.StoreDamaged if is_damaged(error) else errors.StoreUnavailable
        raise (errors.StoreRefused if refused else kind)(f"embedded store {path}: {explained(error)}") from error
    except OSError as error:
        raise errors.StoreUnavailable(f"embedded store {path}: {of_system(error)}") from error


@lru_cache(_MAX_CACHED)
def _tags(text: str) -> dict[str, str]:
    """Return the tags of a series: all its events have the same, which nobody changes."""
    return dict(json.loads(text))


def _event(row: _Row) -> StoredEvent:
    kind, time_ns, _home, _series, tags_text, extra, *values = row
    tags = _tags(tags_text)
    fields: dict[str, FieldValue] = {
        name: value for name, value in zip(tables.READ_COLUMNS, values, strict=True) if value is not None
    }
    if "available" in fields:
        fields["available"] = bool(fields["available"])
    if extra:
        fields.update(json.loads(extra))
    series = tags.get("series", "")
    fields["event_id"] = event_id(tags.get("home", ""), series, time_ns)
    return StoredEvent(time_ns, kind, tags.get("home", ""), series, tags.get("domain", ""), tags, fields)
