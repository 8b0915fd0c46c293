"""Statements by which the embedded store adds up an hour of each series; opens nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from ingestor.storage.series_hours import NOT_THERE, SeriesHour, StoredValue

_SPAN: Final = "s.home = ? AND t.time_ns >= ? AND t.time_ns < ?"
_EXTRA: Final = "CASE WHEN t.extra IS NULL THEN NULL ELSE json_extract(t.extra, '$.{}') END"
_WORDS: Final = ", ".join(f"'{word}'" for word in NOT_THERE)
_FROM: Final = f"FROM series s CROSS JOIN states t ON t.series_id = s.id WHERE {_SPAN}"
#: How many states each series has.
COUNTS: Final = f"SELECT s.series, count(*) {_FROM} GROUP BY s.series"
#: Each beside the one before it of its series, whatever else their points are tagged with.
_BESIDE: Final = "OVER (PARTITION BY s.series ORDER BY t.time_ns)"
_CHANGED: Final = "state != previous_state AND state IS NOT NULL AND previous_state IS NOT NULL"


def questions(named: int = 0) -> dict[str, str]:
    """Return by name what is asked about a span; each is given home, since and until, and so many names of series.

    SQLite takes a column that is not added up from the row of the least or greatest.
    """
    of = _FROM + (f" AND s.series IN ({', '.join('?' * named)})" if named else "")
    plain = f"SELECT s.series AS series, t.* {of}"
    numbers = (
        f"SELECT s.series AS series, t.time_ns AS time_ns, t.value AS value, lag(t.value) {_BESIDE} AS before,"
        f" first_value(t.value) {_BESIDE} AS origin {of} AND t.value IS NOT NULL"
    )
    times = f"SELECT s.series AS series, t.time_ns - lag(t.time_ns) {_BESIDE} AS since_ns {of}"
    return {
        "states": (
            "SELECT series, count(*), count(DISTINCT state), min(time_ns), max(time_ns), entity_id,"  # noqa: S608 -- our own names
            f" sum({_CHANGED}), sum(state IN ({_WORDS})), json_group_array(DISTINCT unit)"
            f" FROM ({plain}) GROUP BY series"
        ),
        # Squares of what is far from nothing cancel out: they are taken from the first value.
        "numbers": (
            "SELECT series, count(*), min(value), max(value), avg(value), sum((value - origin) * (value - origin)),"  # noqa: S608 -- our own names
            f" avg(value - origin), sum(value < before), origin FROM ({numbers}) GROUP BY series"
        ),
        "last": f"SELECT series, max(time_ns), value FROM ({plain}) WHERE value IS NOT NULL GROUP BY series",  # noqa: S608 -- our own names
        "state": f"SELECT series, max(time_ns), state FROM ({plain}) WHERE state IS NOT NULL GROUP BY series",  # noqa: S608 -- our own names
        "longest": f"SELECT series, max(since_ns) FROM ({times}) GROUP BY series",  # noqa: S608 -- our own names
        "sources": f"SELECT series, coalesce(source, '') AS by, count(*) FROM ({plain}) GROUP BY series, by",  # noqa: S608 -- our own names
        "extras": (
            f"SELECT s.series, {_EXTRA.format('repaired_by')} AS repaired, {_EXTRA.format('receive_delay')} AS delay"
            f" {of} AND t.extra IS NOT NULL AND (repaired IS NOT NULL OR delay IS NOT NULL)"
        ),
    }


_SHARES: Final = (0.5, 0.95, 0.99)
_Rows = Sequence[Sequence[Any]]


def hours_of(answers: dict[str, _Rows]) -> list[SeriesHour]:
    """Return the answers to the questions, a series each."""
    by_series = {name: {row[0]: row[1:] for row in answers[name]} for name in ("numbers", "last", "state", "longest")}
    sources: dict[str, list[tuple[str, int]]] = {}
    for series, source, count in answers["sources"]:
        sources.setdefault(series, []).append((source, count))
    repaired: Counter[str] = Counter()
    delays: dict[str, list[float]] = {}
    for series, repaired_by, delay in answers["extras"]:
        repaired[series] += repaired_by is not None
        if delay is not None:
            delays.setdefault(series, []).append(float(delay))
    found = []
    for series, states, distinct, first_ns, last_ns, entity_id, changes, not_there, units in answers["states"]:
        hour = SeriesHour(
            series=series,
            entity_id=entity_id or series,
            states=states,
            values=0,
            distinct=distinct,
            first_ns=first_ns,
            last_ns=last_ns,
            last_state=by_series["state"].get(series, (0, ""))[1],
            changes=changes or 0,
            not_there=not_there or 0,
            repaired=repaired[series],
            longest_s=(by_series["longest"][series][0] or 0) / 1e9,
            units=tuple(unit for unit in json.loads(units) if unit),
            sources=tuple(sorted(sources[series])),
            delays_s=_delays(sorted(delays.get(series, ()))),
        )
        numbers = by_series["numbers"].get(series)
        found.append(hour if numbers is None else _with_numbers(hour, numbers, by_series["last"][series][1]))
    return found


def _with_numbers(hour: SeriesHour, numbers: Sequence[Any], last: float) -> SeriesHour:
    values, low, high, mean, squares, shifted, falls, first = numbers
    deviation = max(0.0, (squares - values * shifted * shifted) / (values - 1)) ** 0.5 if values > 1 else None
    return hour._replace(
        values=values, low=low, high=high, mean=mean, deviation=deviation, first=first, last=last, falls=falls or 0
    )


def _delays(delays: Sequence[float]) -> tuple[float, ...]:
    if not delays:
        return ()
    return (*(delays[max(0, round(share * len(delays)) - 1)] for share in _SHARES), delays[-1])


def values_of(home: str, series: Sequence[str], since_ns: int, until_ns: int) -> tuple[str, list[Any]]:
    """Return the statement and its values for the states of some series, oldest first."""
    marks = ", ".join("?" * len(series))
    statement = (
        "SELECT t.time_ns, s.series, coalesce(t.entity_id, s.series), t.state, t.value, coalesce(t.unit, ''),"  # noqa: S608 -- our own names
        f" coalesce(t.source, ''), {_EXTRA.format('repaired_by')} IS NOT NULL, {_EXTRA.format('receive_delay')}"
        f" FROM series s CROSS JOIN states t ON t.series_id = s.id WHERE {_SPAN} AND s.series IN ({marks})"
        " ORDER BY t.time_ns"
    )
    return statement, [home, since_ns, until_ns, *series]


def value_of(row: Sequence[Any]) -> StoredValue:
    """Return a state from a row of an answer."""
    *most, repaired, delay = row
    return StoredValue._make([*most, bool(repaired), None if delay is None else float(delay)])
