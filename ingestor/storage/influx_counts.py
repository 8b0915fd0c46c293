"""Counting what an InfluxDB holds, and reading what tells its states apart, by InfluxQL; sends nothing by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from ingestor.events.frame import RICHNESS
from ingestor.storage.port import ContextCount, HourCount, StoredState
from ingestor.storage.schema import CONTEXT, OTHERS, STATES, UNKNOWN

Query = Callable[[str], Iterable[dict[str, Any]]]
_KINDS: Final = (("state", STATES), ("event", OTHERS))
_NS_PER_US: Final = 1000
#: Rules and their combinations on one point; each is a question.
_MOST_RULES: Final = 40


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


def context_counts(query: Query, home: str, since_ns: int, until_ns: int) -> list[ContextCount]:
    """Return how many states have their context, by domain: four counts, each grouped by the server."""
    span = f'"home" = {quoted(home)} AND time >= {since_ns} AND time < {until_ns}'
    placed = f" AND (\"area\" != '{UNKNOWN}' OR \"device\" != '{UNKNOWN}')"
    asked = (("available", ""), ("available", placed), ("context_id", ""), ("context_id", placed))
    states, *others = [_by_domain(query, field, span + more) for field, more in asked]
    return [ContextCount(domain, states[domain], *(other[domain] for other in others)) for domain in sorted(states)]


def _by_domain(query: Query, field: str, where: str) -> Counter[str]:
    statement = f'SELECT count("{field}") AS points FROM "{STATES}" WHERE {where} GROUP BY "domain"'  # noqa: S608 -- quoted
    return Counter({str(row["domain"]): int(row["points"]) for row in query(statement) if row["points"]})


def repair_counts(query: Query, home: str, since_ns: int, until_ns: int) -> dict[str, int]:
    """Return how many states were repaired, by the rules that did it. A field cannot be grouped by: each is counted."""
    span = f'"home" = {quoted(home)} AND time >= {since_ns} AND time < {until_ns}'
    told = query(f'SELECT distinct("repaired_by") AS rules FROM "{STATES}" WHERE {span}')  # noqa: S608 -- quoted
    found: dict[str, int] = {}
    for rules in sorted({str(row["rules"]) for row in told})[:_MOST_RULES]:
        statement = (
            f'SELECT count("repaired_by") AS points FROM "{STATES}" WHERE {span} AND "repaired_by" = {quoted(rules)}'  # noqa: S608 -- quoted; one statement
        )
        found[rules] = sum(int(row["points"]) for row in query(statement))
    return found


def states_of(home: str, since_ns: int, until_ns: int, limit: int) -> str:
    """Return the statement for what tells states apart."""
    return (
        f'SELECT "entity_id", "state", "source", "series" FROM "{STATES}"'  # noqa: S608 -- quoted
        f' WHERE "home" = {quoted(home)} AND time >= {since_ns} AND time < {until_ns} LIMIT {int(limit)}'
    )


def moments_of(home: str, since_ns: int, until_ns: int) -> str:
    """Return the statement for what held for a home."""
    return (
        f'SELECT * FROM "{CONTEXT}"'  # noqa: S608 -- quoted
        f' WHERE "home" = {quoted(home)} AND time >= {since_ns} AND time < {until_ns} ORDER BY time'
    )


def stored_state(row: dict[str, Any]) -> StoredState:
    """Return a state from a row of an answer."""
    series, state = str(row.get("series") or ""), row.get("state")
    entity_id, source = str(row.get("entity_id") or series), str(row.get("source") or "")
    return StoredState(int(row["time"]), series, entity_id, None if state is None else str(state), source)
