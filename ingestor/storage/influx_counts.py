"""Counting what an InfluxDB holds, and reading what tells its states apart, by InfluxQL; sends nothing by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from ingestor.events.frame import RICHNESS
from ingestor.storage.port import HourCount, StoredState
from ingestor.storage.schema import OTHERS, STATES

Query = Callable[[str], Iterable[dict[str, Any]]]
_KINDS: Final = (("state", STATES), ("event", OTHERS))
_NS_PER_US: Final = 1000


def quoted(text: str) -> str:
    """Return a text as InfluxQL writes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def count_by_hour(query: Query, home: str, since_ns: int, until_ns: int) -> list[HourCount]:
    """Return how many points there are by hour, kind and source. Every point of ours has the field `source`.

    A field cannot be grouped by: so all are counted first, then those of each source until none is left.
    """
    span = f'"home" = {quoted(home)} AND time >= {since_ns} AND time < {until_ns}'
    found: list[HourCount] = []
    for kind, measurement in _KINDS:
        left = _count(query, measurement, span)
        for source in RICHNESS:
            if not left:
                break
            of_source = _count(query, measurement, f'{span} AND "source" = {quoted(source)}')
            found += [HourCount(hour, kind, source, points) for hour, points in of_source.items()]
            left -= of_source
        found += [HourCount(hour, kind, "", points) for hour, points in left.items()]
    return sorted(found, key=lambda one: (one.hour_us, one.kind, one.source))


def _count(query: Query, measurement: str, where: str) -> Counter[int]:
    statement = f'SELECT count("source") AS points FROM "{measurement}" WHERE {where} GROUP BY time(1h) fill(none)'  # noqa: S608 -- quoted
    return Counter({int(row["time"]) // _NS_PER_US: int(row["points"]) for row in query(statement) if row["points"]})


def states_of(home: str, since_ns: int, until_ns: int, limit: int) -> str:
    """Return the statement for what tells states apart."""
    return (
        f'SELECT "entity_id", "state", "source", "series" FROM "{STATES}"'  # noqa: S608 -- quoted
        f' WHERE "home" = {quoted(home)} AND time >= {since_ns} AND time < {until_ns} LIMIT {int(limit)}'
    )


def stored_state(row: dict[str, Any]) -> StoredState:
    """Return a state from a row of an answer."""
    series, state = str(row.get("series") or ""), row.get("state")
    entity_id, source = str(row.get("entity_id") or series), str(row.get("source") or "")
    return StoredState(int(row["time"]), series, entity_id, None if state is None else str(state), source)
