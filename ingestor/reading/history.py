"""The past of entities by windows of time: what the store adds up, and what held how long, which only order tells."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, Literal, Protocol

from ingestor import errors
from ingestor.events.point import StoredEvent
from ingestor.reading.times import rfc3339_of_ns
from ingestor.storage.port import EventQuery
from ingestor.storage.series_hours import StoredValue
from ingestor.storage.windows import Window, WindowQuery

Aggregate = Literal["mean", "min", "max", "last", "sum", "count", "time_weighted_mean", "duration"]
Fill = Literal["none", "null", "previous", "zero", "linear"]
#: Rows of one answer, and states that are gone through for what held how long.
MOST_ROWS: Final = 10_000
MOST_STATES: Final = 1_000_000
#: States of a window that are told by name, those that held longest.
MOST_NAMED: Final = 50
#: Days of a window: a longer one is a mistake, and of far longer ones a store cannot count the nanoseconds.
LONGEST_WINDOW_DAYS: Final = 3650
_PORTION: Final = 50_000
_S: Final = 1_000_000_000
_DAY: Final = 86_400 * _S
#: Those that need to know what held in between.
_BY_ORDER: Final = frozenset({"time_weighted_mean", "duration"})
_NUMBERS: Final = {"mean": "mean", "min": "low", "max": "high", "sum": "total", "last": "last"}
_Key = tuple[str, int]


class HistoryStore(Protocol):
    """What is needed of a store."""

    def read(self, query: EventQuery) -> Iterator[StoredEvent]:
        """Yield stored events."""
        ...

    def windows(self, query: WindowQuery) -> list[Window]:
        """Return states added up by windows of time."""
        ...

    def values_of(self, home: str, series: Sequence[str], since_ns: int, until_ns: int) -> Iterator[StoredValue]:
        """Yield the states of some series, of each oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class HistoryAsked:
    """Of which series (with the entity that each is of), from when to when, in which windows, what, and how filled.

    `now_ns`: what is later has not happened, so that nothing held then.
    """

    home: str
    entities: dict[str, str]
    since_ns: int
    until_ns: int
    window_ns: int
    aggregates: tuple[Aggregate, ...]
    fill: Fill
    now_ns: int

    @property
    def series(self) -> tuple[str, ...]:
        """Return what is to be read: an entity may be asked for by two of its names."""
        return tuple(dict.fromkeys(self.entities.values()))

    @property
    def starts(self) -> range:
        """Return where the windows begin, counted from 1970 (UTC)."""
        return range(self.since_ns // self.window_ns * self.window_ns, self.until_ns, self.window_ns)


@dataclass(slots=True)
class Held:
    """What held in a window: seconds by state, and of numbers seconds and seconds times number."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    weight_s: float = 0.0
    weighted: float = 0.0

    def add(self, state: str, value: float | None, seconds: float) -> None:
        """Add a stretch of time."""
        self.seconds[state] += seconds
        if value is not None:
            self.weight_s += seconds
            self.weighted += value * seconds

    def durations(self) -> tuple[dict[str, float], float]:
        """Return the seconds of the states that held longest, and those of all others."""
        ordered = sorted(self.seconds.items(), key=lambda one: (-one[1], one[0]))
        return dict(ordered[:MOST_NAMED]), sum(seconds for _, seconds in ordered[MOST_NAMED:])


def history_rows(store: HistoryStore, asked: HistoryAsked) -> list[dict[str, Any]]:
    """Return a row for each entity and window, by entity and time. Raises Unanswerable where that is too much."""
    if asked.window_ns > LONGEST_WINDOW_DAYS * _DAY:
        raise errors.Unanswerable(f"a window has at most {LONGEST_WINDOW_DAYS:,} days")
    cells = len(asked.starts) * len(asked.entities)
    if cells > MOST_ROWS:
        raise errors.Unanswerable(
            f"{cells:,} windows are more than {MOST_ROWS:,}: ask for longer ones, for fewer entities or a shorter time"
        )
    query = WindowQuery(asked.home, asked.series, asked.since_ns, asked.until_ns, asked.window_ns)
    windows = {(one.series, one.start_ns): one for one in store.windows(query)}
    held = _held(store, asked, windows) if _BY_ORDER.intersection(asked.aggregates) else {}
    rows: list[dict[str, Any]] = []
    for entity_id, series in asked.entities.items():
        of_it = [_row(asked, entity_id, (series, start), windows, held) for start in asked.starts]
        rows += _filled(of_it, asked)
    return rows


def _row(
    asked: HistoryAsked, entity_id: str, key: _Key, windows: dict[_Key, Window], held: dict[_Key, Held]
) -> dict[str, Any]:
    found, held_then = windows.get(key), held.get(key)
    row: dict[str, Any] = {"entity_id": entity_id, "series": key[0], "start": rfc3339_of_ns(key[1])}
    for name in asked.aggregates:
        if name == "count":
            row["count"] = found.states if found else 0
        elif name == "time_weighted_mean":
            row[name] = held_then.weighted / held_then.weight_s if held_then and held_then.weight_s else None
        elif name == "duration":
            row["duration_s"], row["other_s"] = held_then.durations() if held_then else ({}, 0.0)
        else:
            row[name] = getattr(found, _NUMBERS[name]) if found else None
            if name == "last":
                row["last_state"] = found.last_state if found else None
    row["_empty"] = (found is None, held_then is None)
    return row


# -- empty windows ----------------------------------------------------------------------------------------


def _filled(rows: list[dict[str, Any]], asked: HistoryAsked) -> list[dict[str, Any]]:
    """Return the rows of one entity with its empty windows filled as asked.

    A window is empty to what is told of states if none was stored in it, to what held if nothing did.
    """
    empties = [row.pop("_empty") for row in rows]
    if asked.fill == "none":
        return [row for row, is_empty in zip(rows, empties, strict=True) if not all(is_empty)]
    of_states, of_held = ([one[kind] for one in empties] for kind in (0, 1))
    for name in _NUMBERS:
        if name in asked.aggregates:
            _fill(rows, of_states, name, asked.fill)
    if "time_weighted_mean" in asked.aggregates:
        _fill(rows, of_held, "time_weighted_mean", asked.fill)
    if "last" in asked.aggregates and asked.fill == "previous":
        _fill(rows, of_states, "last_state", "previous")
    return rows


def _fill(rows: list[dict[str, Any]], empty: list[bool], name: str, fill: Fill) -> None:
    """Fill one column of the empty windows; where a window has states but no number, there is none to tell."""
    known = {place: rows[place][name] for place, is_empty in enumerate(empty) if not is_empty}
    before: Any = None
    between = _between(known) if fill == "linear" else {}
    for place, is_empty in enumerate(empty):
        before = before if known.get(place) is None else known[place]
        if is_empty:
            rows[place][name] = {"zero": 0.0, "previous": before, "linear": between.get(place)}.get(fill)


def _between(known: dict[int, float | None]) -> dict[int, float]:
    """Return what stands on the line between two neighbours that are known."""
    found: dict[int, float] = {}
    numbers = [(place, value) for place, value in known.items() if value is not None]
    for (left, low), (right, high) in pairwise(numbers):
        found.update((place, low + (high - low) * (place - left) / (right - left)) for place in range(left + 1, right))
    return found


# -- what held how long ------------------------------------------------------------------------------------


def _held(store: HistoryStore, asked: HistoryAsked, windows: dict[_Key, Window]) -> dict[_Key, Held]:
    """Return what held in each window of each series: a state holds until the next one, or until it is removed."""
    states = sum(one.states for one in windows.values())
    if states > MOST_STATES:
        raise errors.Unanswerable(
            f"{states:,} states are more than {MOST_STATES:,} to go through for time_weighted_mean and duration: "
            "ask for a shorter time or for fewer entities"
        )
    found: dict[_Key, Held] = defaultdict(Held)
    end_ns = min(asked.until_ns, max(asked.now_ns, asked.since_ns))
    for series in asked.series:
        time_ns, (state, value) = asked.since_ns, _before(store, asked, series)
        for one in _values(store, asked, series, windows):
            _add(found, series, (time_ns, min(one.time_ns, end_ns)), (state, value), asked.window_ns)
            time_ns, state, value = one.time_ns, one.state, one.value
        _add(found, series, (time_ns, end_ns), (state, value), asked.window_ns)
    return found


def _add(
    found: dict[_Key, Held], series: str, span: tuple[int, int], what: tuple[str | None, float | None], window_ns: int
) -> None:
    (begin_ns, end_ns), (state, value) = span, what
    while state is not None and begin_ns < end_ns:
        start_ns = begin_ns // window_ns * window_ns
        until_ns = min(end_ns, start_ns + window_ns)
        found[series, start_ns].add(state, value, (until_ns - begin_ns) / _S)
        begin_ns = until_ns


def _before(store: HistoryStore, asked: HistoryAsked, series: str) -> tuple[str | None, float | None]:
    """Return what held when the span began."""
    query = EventQuery(home=asked.home, kind="state", series=(series,), until_ns=asked.since_ns, limit=1)
    for event in store.read(query):
        state, value = event.fields.get("state"), event.fields.get("value")
        return None if state is None else str(state), float(value) if isinstance(value, int | float) else None
    return None, None


def _values(
    store: HistoryStore, asked: HistoryAsked, series: str, windows: dict[_Key, Window]
) -> Iterator[StoredValue]:
    """Yield the states of a series, oldest first; asked for in portions, so that memory stays flat."""
    waiting, begin_ns = 0, asked.since_ns
    for start in asked.starts:
        here = windows.get((series, start))
        count = here.states if here else 0
        if waiting and waiting + count > _PORTION:
            yield from store.values_of(asked.home, (series,), begin_ns, start)
            waiting, begin_ns = 0, max(start, asked.since_ns)
        waiting += count
        if waiting > _PORTION:  # this window alone
            end_ns = min(start + asked.window_ns, asked.until_ns)
            yield from _in_parts(store, asked.home, series, (begin_ns, end_ns), math.ceil(waiting / _PORTION))
            waiting, begin_ns = 0, end_ns
    if waiting:
        yield from store.values_of(asked.home, (series,), begin_ns, asked.until_ns)


def _in_parts(store: HistoryStore, home: str, series: str, span: tuple[int, int], parts: int) -> Iterator[StoredValue]:
    begin_ns, end_ns = span
    cuts = [begin_ns + (end_ns - begin_ns) * number // parts for number in range(parts + 1)]
    for since_ns, until_ns in pairwise(cuts):
        yield from store.values_of(home, (series,), since_ns, until_ns)
