"""Letting old events of an InfluxDB go, a day after the other; sends nothing by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from ingestor.storage.pruning import Outdated, added_up
from ingestor.storage.schema import CONTEXT, OTHERS, STATES

Query = Callable[[str], Iterable[dict[str, Any]]]
DAY_NS: Final = 86_400 * 10**9
#: What goes: events, and what held for a home at their time.
MEASUREMENTS: Final = (STATES, OTHERS, CONTEXT)
_COUNTED: Final = (STATES, OTHERS)


def outdated(query: Query, since_ns: int | None, before_ns: int) -> list[Outdated]:
    """Return what is older than a time, by home. Every point of ours has the field `source`."""
    where = f"time < {before_ns}" + ("" if since_ns is None else f" AND time >= {since_ns}")
    found = []
    for measurement in _COUNTED:
        counts = _by_home(query, f'SELECT count("source") AS found FROM "{measurement}" WHERE {where}')  # noqa: S608 -- our own names
        for home, row in counts.items():
            ends = [
                _by_home(query, f'SELECT {end}("source") FROM "{measurement}" WHERE {where}')[home]["time"]  # noqa: S608 -- our own names
                for end in ("first", "last")
            ]
            found.append(Outdated(home, int(row["found"]), *map(int, ends)))
    return added_up(found)


def oldest(query: Query, before_ns: int) -> int | None:
    """Return the time of the oldest event before a time; None where there is none."""
    times = [
        int(row["time"])
        for measurement in _COUNTED
        for row in query(f'SELECT first("source") FROM "{measurement}" WHERE time < {before_ns}')  # noqa: S608 -- our own names
    ]
    return min(times, default=None)


def day_of(oldest_ns: int, before_ns: int) -> tuple[int, int]:
    """Return the day (UTC) of a time, as far as it is before another: from, until (ns)."""
    since_ns = oldest_ns // DAY_NS * DAY_NS
    return since_ns, min(since_ns + DAY_NS, before_ns)


def _by_home(query: Query, statement: str) -> dict[str, dict[str, Any]]:
    return {str(row["home"]): row for row in query(f'{statement} GROUP BY "home"') if row["home"]}
