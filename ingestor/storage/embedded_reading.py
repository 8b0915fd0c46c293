"""The statements by which the embedded store reads events in their order; opens nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ingestor.storage.embedded_tables import COLUMNS, READ_COLUMNS
from ingestor.storage.port import EventQuery
from ingestor.storage.schema import OTHERS, STATES

#: Kind, table, measurement.
KINDS: Final = (("state", "states", STATES), ("event", "events", OTHERS))
#: Up to so many series are read each by its own key, newest first; of more, time is gone through.
MOST_SINGLY: Final = 64
#: Where the first events of each series are asked for, so many series go into one statement: SQLite takes 500.
_SERIES_AT_ONCE: Final = 200
#: More series than a question can name.
_ALL: Final = -1
_TAG: Final = (
    "EXISTS (SELECT 1 FROM json_each(s.tags) AS tag WHERE json_extract(tag.value, '$[0]') = ?"
    " AND json_extract(tag.value, '$[1]') IN ({}))"
)
_CAUSE: Final = "(json_extract(t.extra, '$.cause_id') GLOB ? OR json_extract(t.extra, '$.root_cause_id') GLOB ?)"
Statement = tuple[str, list[Any]]


def kinds_of(query: EventQuery) -> list[tuple[str, str, str]]:
    """Return kind, table and measurement of what is asked for."""
    return [kind for kind in KINDS if query.kind in (None, kind[0])]


def series_chosen(query: EventQuery, measurement: str) -> Statement | None:
    """Return what finds the numbers of the series that are asked for, some more than are read singly.

    None where nothing but a home is asked for: then all are.
    """
    if not (query.tags or query.series is not None):
        return None
    terms, values = _of_series(query, measurement)
    most = MOST_SINGLY + 1 if query.each is None else _ALL
    statement = f"SELECT s.id FROM series s WHERE s.measurement = ? AND {' AND '.join(terms)} LIMIT ?"  # noqa: S608 -- our own names
    return statement, [measurement, *values, most]


def selection(query: EventQuery, chosen: Mapping[str, Sequence[int] | None]) -> Statement | None:
    """Return what reads events, given the numbers of the series of each kind (None: too many, or all).

    None where there can be nothing.
    """
    order = _order(query)
    parts: list[Statement] = []
    for kind, table, measurement in kinds_of(query):
        parts += _selections(query, (kind, table, measurement), chosen.get(kind))
    if not parts:
        return None
    if len(parts) > len(KINDS):
        # Each is read to the limit; few need it not, and would be sorted once more for it: half of a long reading.
        parts = [(f"SELECT * FROM ({one} ORDER BY {order} LIMIT ?)", [*given, query.limit]) for one, given in parts]  # noqa: S608 -- our own names
    values = [value for _, given in parts for value in given]
    return f"{' UNION ALL '.join(one for one, _ in parts)} ORDER BY {order} LIMIT ?", [*values, query.limit]


def selections_of_each(query: EventQuery, kind: tuple[str, str, str], numbers: Sequence[int]) -> Iterator[Statement]:
    """Yield what reads the first `each` events of each of these series, by its own key."""
    most = query.limit if query.each is None else query.each
    for start in range(0, len(numbers), _SERIES_AT_ONCE):
        selections = _selections(query, kind, numbers[start : start + _SERIES_AT_ONCE])
        parts = [f"SELECT * FROM ({one} ORDER BY {_order(query)} LIMIT ?)" for one, _ in selections]  # noqa: S608 -- our own names
        yield " UNION ALL ".join(parts), [value for _, given in selections for value in (*given, most)]


def _order(query: EventQuery) -> str:
    return f"time_ns {'ASC' if query.oldest_first else 'DESC'}, home, series, kind"


def _selections(query: EventQuery, kind: tuple[str, str, str], numbers: Sequence[int] | None) -> list[Statement]:
    name, table, measurement = kind
    columns = ", ".join(f"t.{one}" if one in COLUMNS[table] else f"NULL AS {one}" for one in READ_COLUMNS)
    head = (
        f"SELECT '{name}' AS kind, t.time_ns AS time_ns, s.home AS home, s.series AS series, s.tags, t.extra, {columns}"
    )
    terms, values = _of_rows(query, name, table)
    if numbers is not None:
        where = " AND ".join(["t.series_id = ?", *terms])
        one = f"{head} FROM {table} t CROSS JOIN series s ON s.id = t.series_id WHERE {where}"
        return [(one, [number, *values]) for number in numbers]
    # Time is gone through by its index, since whatever comes first is wanted; the planner would sort all.
    series_terms, series_values = _of_series(query, measurement)
    where = " AND ".join([*terms, *series_terms])
    one = f"{head} FROM {table} t INDEXED BY {table}_by_time CROSS JOIN series s ON s.id = t.series_id WHERE {where}"
    return [(one, [*values, *series_values])]


def _of_series(query: EventQuery, measurement: str) -> tuple[list[str], list[Any]]:
    """Return what is asked of a series, whatever its rows say."""
    terms, values = ["1"], list[Any]()
    if query.home is not None:
        terms.append("s.home = ?")
        values.append(query.home)
    for name, wanted in query.tags:
        places = ", ".join("?" * len(wanted))
        if name == "domain":
            terms.append(f"s.domain IN ({places})")
            values += wanted
        else:
            terms.append(_TAG.format(places))
            values += [name, *wanted]
    if query.series is not None:
        places = ", ".join("?" * len(query.series))
        about = "" if measurement == STATES else f" OR substr(s.series, instr(s.series, ':') + 1) IN ({places})"
        terms.append(f"(s.series IN ({places}){about})")
        values += query.series if measurement == STATES else query.series * 2
    return terms, values


def _of_rows(query: EventQuery, kind: str, table: str) -> tuple[list[str], list[Any]]:
    terms, values = ["1"], list[Any]()

    def add(term: str, *given: Any) -> None:
        terms.append(term)
        values.extend(given)

    if query.entity is not None:
        add("(s.series GLOB ? OR t.entity_id GLOB ?)", *[_glob(query.entity)] * 2)
    if query.event_type is not None:
        add("t.event_type GLOB ?" if table == "events" else "'state_changed' GLOB ?", _glob(query.event_type))
    if query.context_ids is not None:
        add(f"t.context_id IN ({', '.join('?' * len(query.context_ids))})", *query.context_ids)
    if query.cause is not None:
        add(_CAUSE, *[_glob(query.cause)] * 2)
    if query.since_ns is not None:
        add("t.time_ns >= ?", query.since_ns)
    if query.until_ns is not None:
        add("t.time_ns < ?", query.until_ns)
    if query.after is not None:
        beyond, to = (">", ">=") if query.oldest_first else ("<", "<=")
        time_ns, *place = query.after
        add(f"t.time_ns {to} ?", time_ns)
        add(f"(t.time_ns {beyond} ? OR (s.home, s.series, '{kind}') > (?, ?, ?))", time_ns, *place)
    return terms, values


def _glob(pattern: str) -> str:
    # SQLite's GLOB also knows sets in brackets; ours are only * and ?.
    return pattern.replace("[", "[[]")
