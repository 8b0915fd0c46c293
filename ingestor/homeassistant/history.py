"""What Home Assistant's recorder can tell of a span of time: who moved, what was recorded, whether all of it is there.

Asks one thing at a time, in small portions; keeps nothing and decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ingestor import errors
from ingestor.events.history import row_time_us
from ingestor.events.values import time_us
from ingestor.homeassistant import shapes
from ingestor.homeassistant.client import HomeAssistantClient

#: Entities asked for at once: an answer stays small, and Home Assistant's recorder is busy for moments only.
ENTITIES_AT_ONCE: Final = 50
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ENTITY_ID: Final = re.compile(r"(?!.+__)(?!_)[\da-z_]+(?<!_)\.(?!_)[\da-z_]+(?<!_)")
_PROBES: Final = 20
#: Longer than the recorder takes to commit, by far; short enough for a small answer.
_LATELY_US: Final = 30_000_000
#: States from before a moment that are looked for: one that is found is enough.
_WITNESSES: Final = 5
_MS_US: Final = 1000

Rows = Mapping[str, Sequence[Any]]


def moved_since(states: Iterable[shapes.State], known: Collection[str], since_us: int) -> list[str]:
    """Return every entity that may have changed since: updated at or after it, or known and now missing (rule 21)."""
    present: set[str] = set()
    moved: set[str] = set()
    for state in states:
        present.add(state["entity_id"])
        if updated_us(state) >= since_us:
            moved.add(state["entity_id"])
    return askable(moved | (set(known) - present))


def askable(entity_ids: Iterable[str]) -> list[str]:
    """Return those that may be asked for, in order: one that Home Assistant finds invalid costs the whole answer."""
    return sorted(name for name in entity_ids if _ENTITY_ID.fullmatch(name))


def updated_us(state: shapes.State) -> int:
    """Return when a state was updated last; a time that is none counts as long ago."""
    try:
        return time_us(state["last_updated"])
    except errors.Rejected:
        return 0


def rows_between(client: HomeAssistantClient, start_us: int, end_us: int, entity_ids: Sequence[str]) -> Rows:
    """Return every recorded change from `start_us` on and before `end_us`, by entity, oldest first."""
    if not entity_ids or end_us <= start_us:
        return {}
    # Home Assistant leaves out what was at the very start; and its times may have parts of a microsecond.
    found = client.history_during_period(moment(start_us - _MS_US), moment(end_us + _MS_US), entity_ids)
    return {name: [row for row in rows if _within(row, start_us, end_us)] for name, rows in found.items()}


def _within(row: Any, start_us: int, end_us: int) -> bool:
    try:
        return start_us <= row_time_us(row["lu"]) < end_us
    except (errors.Rejected, KeyError, TypeError):
        return True  # to quarantine, by way of `validate`


def is_recorded(client: HomeAssistantClient, states: Sequence[shapes.State], until_us: int) -> bool:
    """Tell whether the recorder has committed something as new as that, and so everything before it.

    In a home that said nothing since, one of its newest states stands for it.
    """
    newest = sorted(states, key=updated_us, reverse=True)[:_PROBES]
    if not newest or (last_us := updated_us(newest[0])) < until_us:
        return bool(newest) and len(unrecorded(client, newest)) < len(newest)
    names = askable(state["entity_id"] for state in newest)
    return any(rows_between(client, max(until_us, last_us - _LATELY_US), last_us + 1, names).values())


def reaches_back(client: HomeAssistantClient, states: Iterable[shapes.State], before_us: int) -> bool:
    """Tell whether the recorder still has a state that was the present one already before that moment."""
    older = [state for state in states if updated_us(state) < before_us and _ENTITY_ID.fullmatch(state["entity_id"])]
    newest = sorted(older, key=updated_us, reverse=True)[:_WITNESSES]
    return any(not unrecorded(client, [state]) for state in newest)


def statistic_units(client: HomeAssistantClient, entity_ids: Iterable[str]) -> dict[str, str | None]:
    """Return the unit of each entity that statistics are kept of."""
    known = {one["statistic_id"]: one.get("display_unit_of_measurement") for one in client.list_statistic_ids()}
    return {name: known[name] for name in entity_ids if name in known}


def hours_between(client: HomeAssistantClient, start_us: int, end_us: int, statistic_ids: Sequence[str]) -> Rows:
    """Return the hourly statistics of the hours that begin in that time."""
    if not statistic_ids or end_us <= start_us:
        return {}
    return client.statistics_during_period(moment(start_us), moment(end_us), statistic_ids)


def unrecorded(client: HomeAssistantClient, states: Iterable[shapes.State]) -> list[str]:
    """Return the entities of whose present state the recorder has nothing, or not yet."""
    return [name for part in _together(states) for name in _without_rows(client, part, 0)]


def unrecorded_lately(client: HomeAssistantClient, states: Iterable[shapes.State]) -> list[str]:
    """Return the entities of whose present state, and of what was shortly before, the recorder has nothing.

    What moves fast has rows of a moment ago that are committed, also when its present state is not.
    """
    return [name for part in _together(states) for name in _without_rows(client, part, _LATELY_US)]


def _together(states: Iterable[shapes.State]) -> Iterator[dict[str, int]]:
    """Yield entities that can be asked for together, since they were updated at about the same time, with that time."""
    part: dict[str, int] = {}
    for state in sorted((state for state in states if _ENTITY_ID.fullmatch(state["entity_id"])), key=updated_us):
        at_us = updated_us(state)
        if part and (len(part) == ENTITIES_AT_ONCE or at_us - min(part.values()) > _LATELY_US):
            yield part
            part = {}
        part[state["entity_id"]] = at_us
    if part:
        yield part


def _without_rows(client: HomeAssistantClient, times: Mapping[str, int], before_us: int) -> list[str]:
    rows = rows_between(client, min(times.values()) - before_us, max(times.values()) + 1, list(times))
    return [name for name in times if not rows.get(name)]


def moment(at_us: int) -> datetime:
    """Return a time as Home Assistant is asked for it."""
    return _EPOCH + timedelta(microseconds=at_us)
