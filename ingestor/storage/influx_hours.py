"""Adding up an hour of each series by InfluxQL, in the server; sends nothing by itself."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from ingestor.events.frame import RICHNESS
from ingestor.storage.influx_counts import quoted
from ingestor.storage.schema import STATES
from ingestor.storage.series_hours import HOUR_NS, NOT_THERE, SeriesHour, StoredValue, whole_hours
from ingestor.storage.summing import StateRow, hours_of

Query = Callable[[str], Iterable[dict[str, Any]]]
#: The statement, and the columns in the order in which they are wanted.
Rows = Callable[[str, Sequence[str]], Iterable[Sequence[Any]]]
#: The begin of an hour (or of the span that is asked for), and a series.
_Key = tuple[int, str]
_Found = dict[_Key, dict[str, Any]]
_USUAL_SOURCE: Final = "websocket"
#: What is asked of each series, by the name of the answer. One at a time: a server that is asked for several in one
#: statement has an iterator of each wait for all others (measured: 14 at once 5 s by the clock, one by one 1.6 s).
_SUMS: Final = {
    "states": 'count("available")',
    "vals": 'count("value")',
    "low": 'min("value")',
    "high": 'max("value")',
    "mean": 'mean("value")',
    "deviation": 'stddev("value")',
    "first_value": 'first("value")',
    "last_value": 'last("value")',
    "last_state": 'last("state")',
    "entity": 'last("entity_id")',
    "first_unit": 'first("unit")',
    "last_unit": 'last("unit")',
    "kinds": 'count(distinct("state"))',
    "repaired": 'count("repaired_by")',
}
#: Asked for only where the field is there at all.
_DELAYS: Final = {
    "p50": 'percentile("receive_delay", 50)',
    "p95": 'percentile("receive_delay", 95)',
    "p99": 'percentile("receive_delay", 99)',
    "longest_delay": 'max("receive_delay")',
}
#: Up to so many states a series and hour they are read, and added up here. To open a series and unpack its blocks takes
#: a server long, whatever it makes of them (1,000 entities, 333,000 states of a day: 44 s of its CPU to add up, 3 s to
#: read, and 3 s of ours).
READS_BELOW: Final = 60
#: In the order of `StateRow`, after the time.
_READ: Final = (
    "series",
    "entity_id",
    "state",
    "previous_state",
    "value",
    "unit",
    "source",
    "repaired_by",
    "receive_delay",
)
_COLUMNS: Final = '"series", "entity_id", "state", "value", "unit", "source", "repaired_by", "receive_delay"'
#: Series that are named in one question.
_AT_ONCE: Final = 100


def states_by_series(query: Query, home: str, since_ns: int, until_ns: int) -> dict[str, int]:
    """Return how many states each series has."""
    found = _Asker(query, (home, since_ns, until_ns)).count("")
    return {series: int(count) for (_, series), count in found.items()}


def series_hours(query: Query, home: str, since_ns: int, until_ns: int, series: Sequence[str] = ()) -> list[SeriesHour]:
    """Return what the server adds up, a series each: some questions, whose answers are a row a series."""
    ask = _Asker(query, (home, since_ns, until_ns), f" AND {_named(series)}" if series else "")
    return [hour for _, hour in _added_up(ask, [ask])]


def hours_by_series(
    query: Query, rows: Rows, home: str, since_ns: int, until_ns: int
) -> Iterator[tuple[int, list[SeriesHour]]]:
    """Yield the hours of a span by series: read where that is cheaper, else added up by the server.

    `rows` yields the rows of an answer while it comes.
    """
    hours = whole_hours(since_ns, until_ns)
    counts = states_by_series(query, home, since_ns, until_ns)
    if sum(counts.values()) > READS_BELOW * len(counts) * len(hours):
        yield from _added_up_by_hour(query, home, since_ns, until_ns)
        return
    names = ", ".join(f'"{name}"' for name in _READ)
    statement = (
        f'SELECT {names} FROM "{STATES}" WHERE "home" = {quoted(home)}'  # noqa: S608 -- quoted
        f" AND time >= {since_ns} AND time < {until_ns}"
    )
    yield from hours_of((StateRow(*row) for row in rows(statement, ("time", *_READ))), hours)


def _added_up_by_hour(query: Query, home: str, since_ns: int, until_ns: int) -> Iterator[tuple[int, list[SeriesHour]]]:
    """Yield what the server adds up of several hours at once: less than half of what each alone costs it.

    Only the times of the first and the last state, and what is told of two states in a row, are asked for hour by hour:
    within hours InfluxQL tells no times, and it knows of no hours between two states.
    """
    spans = [(home, hour_ns, hour_ns + HOUR_NS) for hour_ns in whole_hours(since_ns, until_ns)]
    ask = _Asker(query, (home, since_ns, until_ns), hourly=True)
    found: dict[int, list[SeriesHour]] = defaultdict(list)
    for hour_ns, hour in _added_up(ask, [_Asker(query, span) for span in spans]):
        found[hour_ns].append(hour)
    for _, hour_ns, _ in spans:
        yield hour_ns, found.pop(hour_ns, [])


def _added_up(ask: _Asker, singly: Sequence[_Asker]) -> Iterator[tuple[int, SeriesHour]]:
    """Yield hours by what is asked of all of them at once, and what of each."""
    sums = ask.each(_SUMS)
    away = " OR ".join(f'"state" = {quoted(word)}' for word in NOT_THERE)
    changes, not_there = ask.count(' AND "state" != "previous_state"'), ask.count(f" AND ({away})")
    sources = _sources(ask)
    if ask.rows('first("receive_delay") AS f'):
        for key, delays in ask.each(_DELAYS).items():
            sums.get(key, {}).update(delays)
    first, last, falls, longest_us = _Found(), _Found(), dict[_Key, float](), dict[_Key, float]()
    for hour in singly:
        first |= hour.rows('first("available") AS f')
        last |= hour.rows('last("available") AS l')
        falls |= hour.inner('count("d") AS n', 'difference("value") AS d', ' WHERE "d" < 0')
        longest_us |= hour.inner('max("e") AS n', 'elapsed("available", 1u) AS e', "")
    for key, row in sums.items():
        if key not in first or key not in last:
            continue  # came between two questions: the count of the hour tells it later
        more = {"changes": changes.get(key, 0), "not_there": not_there.get(key, 0), "falls": falls.get(key, 0)}
        more["longest_s"] = longest_us.get(key, 0) / 1e6
        times = (int(first[key]["time"]), int(last[key]["time"]))
        yield key[0], _hour(key[1], row, times, _with_usual(sources.get(key, {}), row["states"]), more)


def values_of(query: Query, home: str, series: Sequence[str], since_ns: int, until_ns: int) -> Iterator[StoredValue]:
    """Yield the states of some series, oldest first."""
    for start in range(0, len(series), _AT_ONCE):
        named = _named(series[start : start + _AT_ONCE])
        statement = (
            f'SELECT {_COLUMNS} FROM "{STATES}" WHERE "home" = {quoted(home)} AND {named}'  # noqa: S608 -- quoted
            f" AND time >= {since_ns} AND time < {until_ns} ORDER BY time"
        )
        for row in query(statement):
            yield _value(row)


class _Asker:
    """Asks about the states of a span (home, since, until) by series; `hourly`: and by the hour."""

    def __init__(self, query: Query, span: tuple[str, int, int], more: str = "", *, hourly: bool = False) -> None:
        home, self._since_ns, until_ns = span
        self._query = query
        self._span = f'"home" = {quoted(home)} AND time >= {self._since_ns} AND time < {until_ns}{more}'
        self._by = '"series", time(1h) fill(none)' if hourly else '"series"'
        self._hourly = hourly

    def rows(self, what: str, more: str = "") -> _Found:
        statement = f'SELECT {what} FROM "{STATES}" WHERE {self._span}{more} GROUP BY {self._by}'  # noqa: S608 -- quoted
        return {self._key(row): row for row in self._query(statement)}

    def each(self, what: dict[str, str]) -> _Found:
        """Return the answers to several questions, one row a series; of the first one, all series are."""
        found: _Found = {}
        for number, (name, asked) in enumerate(what.items()):
            for key, row in self.rows(f"{asked} AS n").items():
                if number == 0:
                    found[key] = {}
                if key in found:
                    found[key][name] = row["n"]
        return found

    def count(self, more: str) -> dict[_Key, float]:
        return {key: row["n"] for key, row in self.rows('count("available") AS n', more).items()}

    def inner(self, what: str, of: str, where: str) -> dict[_Key, float]:
        rows = f'SELECT {of} FROM "{STATES}" WHERE {self._span} GROUP BY "series"'  # noqa: S608 -- quoted
        statement = f'SELECT {what} FROM ({rows}){where} GROUP BY "series"'  # noqa: S608 -- quoted
        return {self._key(row): float(row["n"] or 0) for row in self._query(statement)}

    def _key(self, row: dict[str, Any]) -> _Key:
        return (int(row["time"]) if self._hourly else self._since_ns, str(row["series"]))


def _named(series: Sequence[str]) -> str:
    names = "|".join(re.escape(name).replace("/", "\\/") for name in series)
    return f'"series" =~ /^({names})$/'


def _sources(ask: _Asker) -> dict[_Key, dict[str, int]]:
    """Return how many states came by each unusual source; a field cannot be grouped by, so each is asked for."""
    found: dict[_Key, dict[str, int]] = defaultdict(dict)
    if not ask.count(f' AND "source" != {quoted(_USUAL_SOURCE)}'):
        return found
    for source in RICHNESS:
        if source != _USUAL_SOURCE:
            for key, count in ask.count(f' AND "source" = {quoted(source)}').items():
                found[key][source] = int(count)
    return found


def _with_usual(sources: dict[str, int], states: int) -> tuple[tuple[str, int], ...]:
    usual = int(states) - sum(sources.values())
    return tuple(sorted({**sources, **({_USUAL_SOURCE: usual} if usual > 0 else {})}.items()))


def _hour(
    series: str,
    row: dict[str, Any],
    times: tuple[int, int],
    sources: tuple[tuple[str, int], ...],
    more: dict[str, float],
) -> SeriesHour:
    delays = tuple(float(row[name]) for name in ("p50", "p95", "p99", "longest_delay") if row.get(name) is not None)
    return SeriesHour(
        series=series,
        entity_id=str(row.get("entity") or series),
        states=int(row["states"]),
        values=int(row.get("vals") or 0),
        distinct=int(row.get("kinds") or 0),
        first_ns=times[0],
        last_ns=times[1],
        last_state=str(row.get("last_state") or ""),
        low=_number(row.get("low")),
        high=_number(row.get("high")),
        mean=_number(row.get("mean")),
        deviation=_number(row.get("deviation")),
        first=_number(row.get("first_value")),
        last=_number(row.get("last_value")),
        falls=int(more["falls"]),
        changes=int(more["changes"]),
        not_there=int(more["not_there"]),
        repaired=int(row.get("repaired") or 0),
        longest_s=more["longest_s"],
        units=tuple(dict.fromkeys(str(unit) for unit in (row.get("first_unit"), row.get("last_unit")) if unit)),
        sources=sources,
        delays_s=delays,
    )


def _value(row: dict[str, Any]) -> StoredValue:
    series = str(row.get("series") or "")
    state = row.get("state")
    return StoredValue(
        int(row["time"]),
        series,
        str(row.get("entity_id") or series),
        None if state is None else str(state),
        _number(row.get("value")),
        str(row.get("unit") or ""),
        str(row.get("source") or ""),
        row.get("repaired_by") is not None,
        _number(row.get("receive_delay")),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
