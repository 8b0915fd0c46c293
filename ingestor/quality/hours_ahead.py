"""Has a store add up several hours at once where more than one is due and none is large; keeps nothing for later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from ingestor.quality.hours import HOUR_US
from ingestor.quality.stored_hours import HourStore
from ingestor.storage.series_hours import SeriesHour, StoredValue

_NS: Final = 1000
_HOUR_NS: Final = HOUR_US * _NS
#: To ask for many at once is much less work for an InfluxDB, and more would be too long a step.
_AT_ONCE: Final = 12
#: Series and states of all these hours; of more each hour is asked for alone, in parts. A store that reads them, since
#: each series has few, does not mind how many series there are.
_FEWER: Final = 3
_MOST_SERIES: Final = 1_000
_MOST_STATES: Final = 250_000


class ManyHours(HourStore, Protocol):
    """What is asked of a store. Up to `reads_below` states a series and hour it reads hours, and has none added up."""

    @property
    def reads_below(self) -> int:
        """As above."""
        ...

    def states_by_series(self, home: str, since_ns: int, until_ns: int) -> dict[str, int]:
        """Return how many states each series has in a span."""
        ...

    def hours_by_series(self, home: str, since_ns: int, until_ns: int) -> Iterator[tuple[int, list[SeriesHour]]]:
        """Yield each hour of a span added up by series."""
        ...


class HoursAhead:
    """The hours of a home that are due, oldest first. `is_settled`: nothing of a span (Unix µs) is under way."""

    def __init__(self, store: ManyHours, home: str, hours: range, is_settled: Callable[[int, int], bool]) -> None:
        self._store = store
        self._home = home
        self._until_us = hours.stop
        self._asked_until_us = 0
        self._is_settled = is_settled
        self._more: Iterator[tuple[int, list[SeriesHour]]] = iter(())
        self._ready_ns = -1
        self._ready: list[SeriesHour] = []

    def has(self, hour_us: int) -> bool:
        """Tell whether an hour was asked for already: not to judge it would be to ask again."""
        return hour_us < self._asked_until_us

    def states_of(self, hour_us: int) -> Mapping[str, int]:
        """Return how many states each series has in an hour. Raises StoreUnavailable, StoreRefused."""
        if not self._take(hour_us) and self._ask_ahead(hour_us):
            self._take(hour_us)
        if self._ready_ns == hour_us * _NS:
            return {one.series: one.states for one in self._ready}
        return self._store.states_by_series(self._home, hour_us * _NS, hour_us * _NS + _HOUR_NS)

    def series_hours(self, home: str, since_ns: int, until_ns: int, series: Sequence[str] = ()) -> list[SeriesHour]:
        """Return an hour added up by series: what is there already, where all series of one hour are asked for."""
        if self._ready_ns == since_ns and not series:
            return self._ready
        return self._store.series_hours(home, since_ns, until_ns, series)

    def values_of(self, home: str, series: Sequence[str], since_ns: int, until_ns: int) -> Iterator[StoredValue]:
        """Yield the states of some series."""
        return self._store.values_of(home, series, since_ns, until_ns)

    def _take(self, hour_us: int) -> bool:
        for hour_ns, hour in self._more:
            self._ready_ns, self._ready = hour_ns, hour
            if hour_ns >= hour_us * _NS:
                break
        return self._ready_ns == hour_us * _NS

    def _ask_ahead(self, hour_us: int) -> bool:
        for many in (_AT_ONCE, _FEWER):
            until_us = min(hour_us + many * HOUR_US, self._until_us)
            if until_us <= hour_us + HOUR_US or not self._is_settled(hour_us, until_us):
                continue
            counts = self._store.states_by_series(self._home, hour_us * _NS, until_us * _NS)
            if self._are_few(counts, (until_us - hour_us) // HOUR_US):
                self._asked_until_us = until_us
                self._more = self._store.hours_by_series(self._home, hour_us * _NS, until_us * _NS)
                return True
        return False

    def _are_few(self, counts: Mapping[str, int], hours: int) -> bool:
        states = sum(counts.values())
        is_read = states <= self._store.reads_below * len(counts) * hours
        return states <= _MOST_STATES and (is_read or len(counts) <= _MOST_SERIES)
