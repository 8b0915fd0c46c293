"""The tables of the embedded store, and the statements on them; opens nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

import msgspec

from ingestor.events.point import FieldValue, Point, SharedFields, Tags
from ingestor.storage.port import HOUR_NS, Rejection
from ingestor.storage.schema import CONTEXT, OTHERS, STATES

__all__ = [
    "COLUMNS",
    "CREATE",
    "READ_COLUMNS",
    "UPSERT",
    "Tags",
    "clean_row",
    "fault_of",
    "hour_counts",
    "is_finite",
    "moments_of",
    "row_of",
    "series_number",
    "states_of",
    "table_of",
]

#: Fields with a column of their own, and their type for ever. `event_id` is made from series and time when read.
_STATE_COLUMNS: Final[dict[str, type]] = {
    "value": float,
    "state": str,
    "available": bool,
    "previous_state": str,
    "unit": str,
    "entity_id": str,
    "context_id": str,
    "source": str,
    "integration": str,
}
_OTHER_COLUMNS: Final[dict[str, type]] = {
    "event_type": str,
    "entity_id": str,
    "context_id": str,
    "parent_id": str,
    "user_id": str,
    "origin": str,
    "source": str,
    "data": str,
}
COLUMNS: Final = {"states": _STATE_COLUMNS, "events": _OTHER_COLUMNS, "points": {}}
_SQL_TYPES: Final = {float: "REAL", str: "TEXT", bool: "INTEGER"}
_TABLES: Final = {STATES: "states", OTHERS: "events"}
#: Fields that need no thought: a column each, and `event_id`, which is made when it is read.
_PLAIN: Final = {table: frozenset([*columns, "event_id"]) for table, columns in COLUMNS.items()}
_encode: Final = msgspec.json.Encoder().encode
#: Under which key shared fields keep what they are in the column `extra`.
_RENDERED: Final = "extra"
#: The last nanosecond of 64 bits, as InfluxDB counts (in 2262).
_LAST_NS: Final = 2**63 - 2
READ_COLUMNS: Final = tuple(dict.fromkeys([*_STATE_COLUMNS, *_OTHER_COLUMNS]))


def table_of(measurement: str) -> str:
    """Return the table for a measurement."""
    return _TABLES.get(measurement, "points")


def _create(table: str) -> list[str]:
    columns = "".join(f", {name} {_SQL_TYPES[kind]}" for name, kind in COLUMNS[table].items())
    table_statement = (
        f"CREATE TABLE IF NOT EXISTS {table} (series_id INTEGER NOT NULL, time_ns INTEGER NOT NULL{columns},"
        " extra TEXT, PRIMARY KEY (series_id, time_ns)) WITHOUT ROWID"
    )
    return [table_statement, f"CREATE INDEX IF NOT EXISTS {table}_by_time ON {table} (time_ns)"]


def _upsert(table: str) -> str:
    names = ["series_id", "time_ns", *COLUMNS[table], "extra"]
    kept = [f"{name} = coalesce(excluded.{name}, {name})" for name in COLUMNS[table]]
    # A point written twice is one point with the fields of both, as in InfluxDB.
    extra = (
        "extra = CASE WHEN excluded.extra IS NULL THEN extra ELSE json_patch(coalesce(extra, '{}'), excluded.extra) END"
    )
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 -- our own names
        f" ON CONFLICT (series_id, time_ns) DO UPDATE SET {', '.join([*kept, extra])}"
    )


_CREATE_SERIES: Final = (
    "CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, measurement TEXT NOT NULL, tags TEXT NOT NULL,"
    " home TEXT, series TEXT, domain TEXT, UNIQUE (measurement, tags))"
)
CREATE: Final = [_CREATE_SERIES, *(statement for table in COLUMNS for statement in _create(table))]
UPSERT: Final = {table: _upsert(table) for table in COLUMNS}


def fault_of(index: int, point: Point) -> Rejection | None:
    """Return why a point cannot be stored: a time of more than 64 bits, a field of another type than its column."""
    if not -_LAST_NS <= point.time_ns <= _LAST_NS:
        detail = f"{_series_of(point)}: {point.time_ns} ns is beyond what a store can hold"
        return Rejection(index, "time_out_of_range", detail)
    columns = COLUMNS[table_of(point.measurement)]
    stored = False
    for name, value in point.fields.items():
        # Shared fields have no column: `row_of` sees to it.
        kind = columns.get(name)
        if kind is not None and type(value) is not kind:
            detail = f"{_series_of(point)}: {name} is {value!r:.80}, and {name} is always {kind.__name__}"
            return Rejection(index, "field_type_conflict", detail)
        stored = stored or is_finite(value)
    stored = stored or (point.shared is not None and any(map(is_finite, point.shared.fields.values())))
    return None if stored else Rejection(index, "no_field", "no field of this point can be stored")


def _series_of(point: Point) -> str:
    return dict(point.tags).get("series", point.measurement)


def is_finite(value: FieldValue) -> bool:
    """Tell whether a store can hold a value: a number that is not finite is left out everywhere."""
    return type(value) is not float or isfinite(value)


def row_of(number: int, point: Point) -> tuple[Any, ...]:
    """Return the values of a point for the upsert of its table."""
    table = table_of(point.measurement)
    columns = COLUMNS[table]
    fields = point.fields
    shared = "" if point.shared is None else _rendered(point.shared)
    plain = _PLAIN[table]
    # SQLite keeps what is not a number as NULL; the infinite it would keep.
    known = [fields.get(name) for name in columns]
    if not is_finite(fields.get("value", 0.0)):
        known = [value if value is not None and is_finite(value) else None for value in known]
    if fields.keys() <= plain:
        return number, point.time_ns, *known, f"{{{shared}}}" if shared else None
    own = _inner_json({name: value for name, value in fields.items() if name not in plain})
    text = f"{own},{shared}" if own and shared else own or shared
    return number, point.time_ns, *known, f"{{{text}}}" if text else None


def _rendered(shared: SharedFields) -> str:
    """Return shared fields as the inside of a JSON object, made once. None of them is called as a column is."""
    text = shared.rendered.get(_RENDERED)
    if text is None:
        text = shared.rendered[_RENDERED] = _inner_json(shared.fields)
    return text


def _inner_json(fields: Mapping[str, FieldValue]) -> str:
    if not all(map(is_finite, fields.values())):
        fields = {name: value for name, value in fields.items() if is_finite(value)}
    try:
        return _encode(fields).decode()[1:-1]
    except UnicodeEncodeError:
        return _encode({_clean(name): _clean(value) for name, value in fields.items()}).decode()[1:-1]


def clean_row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row whose text is UTF-8: half of a surrogate pair, which JSON can bring, is no text to SQLite."""
    return tuple(_clean(value) for value in row)


def _clean(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def series_number(connection: sqlite3.Connection, point: Point) -> int:
    """Return the number of a point's series; gives it one where it has none."""
    tags = {name: _clean(value) for name, value in point.tags}
    text = json.dumps(sorted(tags.items()), ensure_ascii=False)
    connection.execute(
        "INSERT OR IGNORE INTO series (measurement, tags, home, series, domain) VALUES (?, ?, ?, ?, ?)",
        (point.measurement, text, tags.get("home"), tags.get("series"), tags.get("domain")),
    )
    (number,) = connection.execute(
        "SELECT id FROM series WHERE measurement = ? AND tags = ?", (point.measurement, text)
    ).fetchone()
    return int(number)


def hour_counts(home: str, since_ns: int, until_ns: int) -> tuple[str, list[Any]]:
    """Return the statement and its values that count points by kind, hour since 1970 and source."""
    parts = [
        f"SELECT '{kind}', t.time_ns / {HOUR_NS} AS hour, coalesce(t.source, '') AS source, count(*)"  # noqa: S608 -- our own names
        f" FROM {table} t JOIN series s ON s.id = t.series_id"
        " WHERE s.home = ? AND t.time_ns >= ? AND t.time_ns < ? GROUP BY hour, t.source"
        for kind, table in (("state", "states"), ("event", "events"))
    ]
    return " UNION ALL ".join(parts), [home, since_ns, until_ns] * len(parts)


def states_of(home: str, since_ns: int, until_ns: int, limit: int) -> tuple[str, list[Any]]:
    """Return the statement and its values for what tells states apart."""
    statement = (
        "SELECT t.time_ns, s.series, coalesce(t.entity_id, s.series), t.state, coalesce(t.source, '')"
        " FROM states t JOIN series s ON s.id = t.series_id"
        " WHERE s.home = ? AND t.time_ns >= ? AND t.time_ns < ? LIMIT ?"
    )
    return statement, [home, since_ns, until_ns, limit]


def moments_of(home: str, since_ns: int, until_ns: int) -> tuple[str, list[Any]]:
    """Return the statement and its values for what held for a home."""
    statement = (
        "SELECT t.time_ns, t.extra FROM points t JOIN series s ON s.id = t.series_id"
        " WHERE s.measurement = ? AND s.home = ? AND t.time_ns >= ? AND t.time_ns < ? ORDER BY t.time_ns"
    )
    return statement, [CONTEXT, home, since_ns, until_ns]
