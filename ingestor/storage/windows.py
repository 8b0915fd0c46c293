"""The states of series added up by windows of time, by the store itself; asks no store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ingestor.storage.series_hours import StoredValue


@dataclass(frozen=True, slots=True)
class WindowQuery:
    """Which states to add up. Times are Unix nanoseconds, `since` inclusive, `until` exclusive.

    Windows of `window_ns` are counted from 1970 (UTC); of the first and the last only what is in the span counts.
    """

    home: str
    series: tuple[str, ...]
    since_ns: int
    until_ns: int
    window_ns: int


class Window(NamedTuple):
    """States of a series in a window that begins at `start_ns`: `states` of them, `values` of these with a number.

    `low`, `high`, `mean`, `total` and `last` are of the numbers, None where there is none; `last_state` is the last
    text, "" where there is none.
    """

    series: str
    start_ns: int
    states: int
    values: int
    low: float | None
    high: float | None
    mean: float | None
    total: float | None
    last: float | None
    last_state: str


def windows_of(states: Iterable[StoredValue], window_ns: int) -> list[Window]:
    """Add up states, given oldest first: the plain way, that the stores are held against."""
    found: dict[tuple[str, int], list[StoredValue]] = defaultdict(list)
    for one in states:
        found[one.series, one.time_ns // window_ns * window_ns].append(one)
    return [_window(series, start_ns, held) for (series, start_ns), held in sorted(found.items())]


def _window(series: str, start_ns: int, states: list[StoredValue]) -> Window:
    numbers = [one.value for one in states if one.value is not None]
    texts = [one.state for one in states if one.state is not None]
    return Window(
        series,
        start_ns,
        len(states),
        len(numbers),
        min(numbers, default=None),
        max(numbers, default=None),
        sum(numbers) / len(numbers) if numbers else None,
        sum(numbers) if numbers else None,
        numbers[-1] if numbers else None,
        texts[-1] if texts else "",
    )
