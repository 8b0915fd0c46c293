"""Which rows of history the store lacks: repair writes only what is missing (rule 3). Reads; writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ingestor import errors
from ingestor.events.frame import RICHNESS
from ingestor.events.history import HISTORY, row_time_us
from ingestor.storage.port import Store

#: Stored events of a slice; where there are more, the slice is made shorter.
_MOST_STORED: Final = 100_000
_NS: Final = 1000
#: An event without a time of its own is stored at its receipt: at most this much after it happened.
_UNTIMED_WITHIN_US: Final = 5_000_000

_Key = tuple[str, int, str | None]


@dataclass(frozen=True, slots=True)
class Missing:
    """Rows to write, by entity; `oldest_us` is the time of the oldest row that was read, 0 for none."""

    rows: dict[str, list[Any]]
    oldest_us: int


class MissingRows:
    """Compares rows with what a home's store has. A slice of time is read once, for all who are asked for in it.

    What is written in between makes no harm: the same event once more is a duplicate. `series` returns the series
    of each entity_id: of a renamed entity Home Assistant gives the past under the name that it has now.
    """

    def __init__(self, store: Store, series: Callable[[], Mapping[str, Collection[str]]]) -> None:
        self._store = store
        self._series = series
        self._read: tuple[str, int, int] | None = None
        self._stored: _Stored | None = None

    def of(self, home: str, rows: Mapping[str, Sequence[Any]], start_us: int, end_us: int) -> Missing | None:
        """Return the rows that the store has not, or has from a poorer source; None where it holds too much."""
        oldest_us = min((at for found in rows.values() for row in found if (at := _time_of(row))), default=0)
        if not oldest_us:
            return Missing({name: list(found) for name, found in rows.items() if found}, 0)
        if self._read != (home, start_us, end_us):
            self._stored = _stored(self._store, home, start_us, end_us + _UNTIMED_WITHIN_US)
            self._read = (home, start_us, end_us)
        if (stored := self._stored) is None:
            return None
        missing = {name: _lacking([name], found, stored) for name, found in rows.items()}
        missing = {name: found for name, found in missing.items() if found}
        # Nearly all is found by its name; what is not may have been stored under an older one.
        series = self._series() if missing else {}
        missing = {name: _lacking([name, *series.get(name, ())], found, stored) for name, found in missing.items()}
        return Missing({name: found for name, found in missing.items() if found}, oldest_us)


def _time_of(row: Any) -> int:
    """Return when a row was updated; 0 for rubbish, which goes to quarantine by way of `validate`."""
    try:
        return row_time_us(row["lu"])
    except (errors.Rejected, KeyError, TypeError):
        return 0


@dataclass(slots=True)
class _Stored:
    """Stored states: the richness of each, and by entity those that came without a time of their own, if any did."""

    richness: dict[_Key, int]
    others: dict[str, list[tuple[int, str | None]]]

    def has(self, names: Sequence[str], at: int, text: str | None) -> bool:
        """Tell whether a state is there under one of the names, from a source no poorer than history."""
        return any(self.richness.get((name, at, text), -1) >= RICHNESS[HISTORY] for name in names)


def _stored(store: Store, home: str, start_us: int, end_us: int) -> _Stored | None:
    found = store.states_between(home, start_us * _NS, end_us * _NS, _MOST_STORED)
    if len(found) >= _MOST_STORED:
        return None
    richness: dict[_Key, int] = {}
    others: dict[str, list[tuple[int, str | None]]] = {}
    for one in found:
        for name in {one.series, one.entity_id or one.series}:
            richness[name, one.time_ns // _NS, one.state] = RICHNESS.get(one.source, 0)
            if one.source not in {HISTORY, "websocket"}:
                others.setdefault(name, []).append((one.time_ns // _NS, one.state))
    return _Stored(richness, others)


def _lacking(names: Sequence[str], rows: Sequence[Any], stored: _Stored) -> list[Any]:
    """Return the rows of an entity that are not stored under any of these names."""
    changes = [(_time_of(row), _text(row)) for row in rows]
    known = set(changes)
    untimed = sorted(one for name in names for one in stored.others.get(name, ()) if one not in known)
    return [
        row
        for row, (at, text) in zip(rows, changes, strict=True)
        if not at or not (stored.has(names, at, text) or _take_twin(untimed, at, text))
    ]


def _take_twin(untimed: list[tuple[int, str | None]], at: int, text: str | None) -> bool:
    """Find the event that was stored at its receipt, since it came without a time: it is that row (rule 11)."""
    for number, (received_us, state) in enumerate(untimed):
        if state == text and at <= received_us <= at + _UNTIMED_WITHIN_US:
            del untimed[number]
            return True
    return False


def _text(row: Any) -> str | None:
    state = row.get("s") if isinstance(row, dict) else None
    return state if isinstance(state, str) else None
