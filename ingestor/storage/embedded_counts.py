"""Statements by which the embedded store counts what a report tells; opens nothing."""

from __future__ import annotations

from typing import Any, Final

from ingestor.storage.schema import UNKNOWN

#: Series by series, as they lie in the file: by the index of times each row would be looked for (34 s a day, measured).
_FROM: Final = (
    "FROM series s CROSS JOIN states t ON t.series_id = s.id WHERE s.home = ? AND t.time_ns >= ? AND t.time_ns < ?"
)
#: A tag that says nothing, as the column `tags` has it.
_NOWHERE: Final = " AND ".join(f"""s.tags LIKE '%["{name}", "{UNKNOWN}"]%'""" for name in ("area", "device"))


def context_counts(home: str, since_ns: int, until_ns: int) -> tuple[str, list[Any]]:
    """Return the statement and its values that count states by domain: all, placed, tied, both.

    Counted by series first: where a point is stands in its series, of which there are few.
    """
    by_series = (
        f"SELECT t.series_id AS id, count(*) AS states, count(t.context_id) AS tied {_FROM} GROUP BY t.series_id"
    )
    placed = f"CASE WHEN {_NOWHERE} THEN 0 ELSE 1 END"
    statement = (
        f"SELECT coalesce(s.domain, ''), sum(c.states), sum(c.states * {placed}), sum(c.tied),"  # noqa: S608 -- our own names
        f" sum(c.tied * {placed}) FROM ({by_series}) c JOIN series s ON s.id = c.id GROUP BY s.domain ORDER BY s.domain"
    )
    return statement, [home, since_ns, until_ns]


def repair_counts(home: str, since_ns: int, until_ns: int) -> tuple[str, list[Any]]:
    """Return the statement and its values that count repaired states by `repaired_by`."""
    rules = "json_extract(t.extra, '$.repaired_by')"
    statement = (
        f"SELECT {rules} AS rules, count(*) {_FROM} AND t.extra IS NOT NULL AND {rules} IS NOT NULL"
        " GROUP BY rules ORDER BY rules"
    )
    return statement, [home, since_ns, until_ns]
