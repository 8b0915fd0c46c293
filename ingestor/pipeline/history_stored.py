"""Which rows of history the store lacks: repair writes only what is missing (rule 3). Reads; writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    What is written in between makes no harm: the same event once more is a duplicate.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: tuple[str, int, int] | None = None
        self._stored: _Stored | None = None

    def of(self, home: str, rows: Mapping[str, Sequence[Any]], start_us: int, end_us: int) -> Missing | None:
        """Return the rows that the store has not, or has from a poorer source; None where it holds too much."""
        times = _times_of(rows)
        oldest_us = min((at for found in times.values() for at in found if at), default=0)
        if not oldest_us:
            return Missing({name: list(found) for name, found in rows.items() if found}, 0)
        if self._read != (home, start_us, end_us):
            self._stored = _stored(self._store, home, start_us, end_us + _UNTIMED_WITHIN_US)
            self._read = (home, start_us, end_us)
        if (stored := self._stored) is None:
            return None
        missing = {name: _lacking(name, found, times[name], stored) for name, found in rows.items()}
        return Missing({name: found for name, found in missing.items() if found}, oldest_us)


def _times_of(rows: Mapping[str, Sequence[Any]]) -> dict[str, list[int]]:
    return {name: [_time_of(row) for row in found] for name, found in rows.items()}


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


def _lacking(name: str, rows: Sequence[Any], times: Sequence[int], stored: _Stored) -> list[Any]:
    known = {(at, _text(row)) for row, at in zip(rows, times, strict=True)}
    untimed = sorted(one for one in stored.others.get(name, ()) if one not in known)
    lacking: list[Any] = []
    for row, at in zip(rows, times, strict=True):
        text = _text(row)
        if at and stored.richness.get((name, at, text), -1) >= RICHNESS[HISTORY]:
            continue
        if at and _take_twin(untimed, at, text):
            continue
        lacking.append(row)
    return lacking


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
