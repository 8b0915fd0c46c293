"""Which rows of history the store lacks: repair writes only what is missing (rule 3). Reads; writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ingestor import errors
from ingestor.events.frame import RICHNESS
from ingestor.events.history import HISTORY, row_time_us
from ingestor.storage.port import EventQuery, Store

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


def missing_rows(
    store: Store, home: str, rows: Mapping[str, Sequence[Any]], start_us: int, end_us: int
) -> Missing | None:
    """Return the rows that the store has not, or has from a poorer source; None where it holds too much to look at."""
    times = {name: [_time_of(row) for row in found] for name, found in rows.items()}
    oldest_us = min((at for found in times.values() for at in found if at), default=0)
    if not oldest_us:
        return Missing({name: list(found) for name, found in rows.items() if found}, 0)
    stored = _stored(store, home, start_us, end_us + _UNTIMED_WITHIN_US)
    if stored is None:
        return None
    missing = {name: _lacking(name, found, times[name], stored) for name, found in rows.items()}
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


def _stored(store: Store, home: str, start_us: int, end_us: int) -> _Stored | None:
    query = EventQuery(kind="state", home=home, since_ns=start_us * _NS, until_ns=end_us * _NS, limit=_MOST_STORED)
    richness: dict[_Key, int] = {}
    others: dict[str, list[tuple[int, str | None]]] = {}
    count = 0
    for event in store.read(query):
        count += 1
        state = event.fields.get("state")
        text = state if isinstance(state, str) else None
        source = str(event.fields.get("source", ""))
        for name in {event.series, str(event.fields.get("entity_id") or event.series)}:
            richness[name, event.time_ns // _NS, text] = RICHNESS.get(source, 0)
            if source not in {HISTORY, "websocket"}:
                others.setdefault(name, []).append((event.time_ns // _NS, text))
    return None if count >= _MOST_STORED else _Stored(richness, others)


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
