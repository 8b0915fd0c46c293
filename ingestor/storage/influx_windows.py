"""Adding states up by windows of time by InfluxQL, in the server; sends nothing by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from ingestor.storage.influx_counts import quoted
from ingestor.storage.influx_reading import named
from ingestor.storage.schema import STATES
from ingestor.storage.windows import Window, WindowQuery

Query = Callable[[str], Iterable[dict[str, Any]]]
_SUMS: Final = (
    'count("available") AS states, count("value") AS vals, min("value") AS low, max("value") AS high,'
    ' mean("value") AS mean, sum("value") AS total, last("value") AS newest, last("state") AS told'
)


def windows(query: Query, asked: WindowQuery) -> list[Window]:
    """Return what the server adds up, a window each, by series and time."""
    if not asked.series:
        return []
    statement = (
        f'SELECT {_SUMS} FROM "{STATES}" WHERE "home" = {quoted(asked.home)} AND {named(asked.series, "state")}'  # noqa: S608 -- quoted
        f" AND time >= {asked.since_ns} AND time < {asked.until_ns}"
        f' GROUP BY "series", time({int(asked.window_ns)}ns) fill(none)'
    )
    return sorted(_window(row) for row in query(statement))


def _window(row: dict[str, Any]) -> Window:
    told = row["told"]
    return Window(
        series=str(row["series"]),
        start_ns=int(row["time"]),
        states=int(row["states"] or 0),
        values=int(row["vals"] or 0),
        low=_number(row["low"]),
        high=_number(row["high"]),
        mean=_number(row["mean"]),
        total=_number(row["total"]),
        last=_number(row["newest"]),
        last_state="" if told is None else str(told),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
