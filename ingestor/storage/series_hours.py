"""What a store says of the states of each series in an hour, added up by the store itself; asks no store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

HOUR_NS: Final = 3_600_000_000_000
#: States by which Home Assistant says that there is none.
NOT_THERE: Final = ("unavailable", "unknown")


class SeriesHour(NamedTuple):
    """The states of a series in a span. Times are Unix nanoseconds; None where there was no number, or nothing.

    `values` numbers have `low`, `high`, `mean` and `deviation` (standard, of a sample; None for fewer than two);
    `falls` of these were less than the one before. `changes` states were another than the one before, `not_there` of
    them "unavailable" or "unknown". `longest_s` is the longest time between two states. `sources` is by name.
    `delays_s` are the 50th, 95th and 99th hundredth and the longest of the field `receive_delay`, where that is stored.
    """

    series: str
    entity_id: str
    states: int
    values: int
    distinct: int
    first_ns: int
    last_ns: int
    last_state: str
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    deviation: float | None = None
    first: float | None = None
    last: float | None = None
    falls: int = 0
    changes: int = 0
    not_there: int = 0
    repaired: int = 0
    longest_s: float = 0.0
    units: tuple[str, ...] = ()
    sources: tuple[tuple[str, int], ...] = ()
    delays_s: tuple[float, ...] = ()


class StoredValue(NamedTuple):
    """A stored state with what judging it needs; oldest first where there are several."""

    time_ns: int
    series: str
    entity_id: str
    state: str | None
    value: float | None
    unit: str
    source: str
    repaired: bool
    delay_s: float | None


def whole_hours(since_ns: int, until_ns: int) -> range:
    """Return the hours (their begin in Unix nanoseconds) that are in a span."""
    return range(since_ns // HOUR_NS * HOUR_NS, until_ns, HOUR_NS)


def one_by_one(
    series_hours: Callable[[str, int, int], list[SeriesHour]], home: str, since_ns: int, until_ns: int
) -> Iterator[tuple[int, list[SeriesHour]]]:
    """Yield the hours of a span, each added up when it is taken: for a store that several at once cost as much."""
    for hour_ns in whole_hours(since_ns, until_ns):
        yield hour_ns, series_hours(home, hour_ns, hour_ns + HOUR_NS)
