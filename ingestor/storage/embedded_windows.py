"""Adding states up by windows of time in SQLite; opens nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ingestor.storage.schema import STATES
from ingestor.storage.windows import Window, WindowQuery

_Rows = Sequence[Sequence[Any]]


def questions(query: WindowQuery) -> tuple[dict[str, str], list[Any]]:
    """Return by name what is asked, and the values that each is given.

    SQLite takes a column that is not added up from the row of the greatest.
    """
    names = ", ".join("?" * len(query.series))
    start = f"t.time_ns / {int(query.window_ns)} * {int(query.window_ns)}"
    of = (
        f"SELECT s.series AS series, {start} AS start, t.* FROM series s CROSS JOIN states t ON t.series_id = s.id"  # noqa: S608 -- our own names
        f" WHERE s.measurement = ? AND s.home = ? AND s.series IN ({names}) AND t.time_ns >= ? AND t.time_ns < ?"
    )
    asked = {
        "sums": f"SELECT series, start, count(*), count(value), min(value), max(value), avg(value), sum(value) FROM ({of})",  # noqa: E501, S608 -- a statement; our own names
        "last": f"SELECT series, start, max(time_ns), value FROM ({of}) WHERE value IS NOT NULL",  # noqa: S608 -- our own names
        "state": f"SELECT series, start, max(time_ns), state FROM ({of}) WHERE state IS NOT NULL",  # noqa: S608 -- our own names
    }
    values = [STATES, query.home, *query.series, query.since_ns, query.until_ns]
    return {name: f"{statement} GROUP BY series, start" for name, statement in asked.items()}, values


def windows_of(answers: dict[str, _Rows]) -> list[Window]:
    """Return the answers, a window each, by series and time."""
    last = {(series, start): value for series, start, _, value in answers["last"]}
    state = {(series, start): value for series, start, _, value in answers["state"]}
    return sorted(
        Window(series, start, states, values, low, high, mean, total, last.get(key), state.get(key, ""))
        for series, start, states, values, low, high, mean, total in answers["sums"]
        for key in [(series, start)]
    )
