"""Which changes in Home Assistant's history the store has not: reads both, span by span; writes and repairs nothing.

A change is there when the store has one of the same entity, microsecond and state, whichever source brought it. What
the recorder does not keep has no rows, and so is never missing here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from ingestor import errors
from ingestor.events.history import row_time_us
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.homeassistant.history import ENTITIES_AT_ONCE, moved_since, rows_between
from ingestor.storage.port import HOUR_US, Store, StoredState

_NS: Final = 1000
#: States of a span; where there are more, the span is made shorter.
_MOST_STATES: Final = 50_000
_SHORTEST_US: Final = 1_000_000
#: Between two questions to Home Assistant, which has other things to do.
_PAUSE_S: Final = 0.1
#: An event without a time of its own is stored at its receipt: at most this much after it happened.
_UNTIMED_WITHIN_US: Final = 5_000_000
_TIMED: Final = frozenset({"websocket", "eventstream", "history", "statistics"})
#: Entities that are named where changes of more are missing; `OTHERS` has the rest.
_NAMED: Final = 50
OTHERS: Final = "others"

_Change = tuple[int, str | None]


@dataclass(slots=True)
class Comparison:
    """How far a span is compared, and what was found: `lacking` by entity, the first and the last time of them."""

    next_us: int
    slice_us: int = HOUR_US
    after: str = ""
    compared: int = 0
    lacking: dict[str, int] = field(default_factory=dict)
    first_us: int = 0
    last_us: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return it as it is kept."""
        return asdict(self)

    def note(self, entity_id: str, compared: int, times: Sequence[int]) -> None:
        """Take in what was found of an entity."""
        self.compared += compared
        if not times:
            return
        name = entity_id if entity_id in self.lacking or len(self.lacking) < _NAMED else OTHERS
        self.lacking[name] = self.lacking.get(name, 0) + len(times)
        self.first_us = min(self.first_us or times[0], *times)
        self.last_us = max(self.last_us, *times)


class HistoryComparer:
    """Compares spans of one home. `series` returns every entity_id that the home ever had, with its series."""

    def __init__(
        self,
        client: HomeAssistantClient,
        store: Store,
        home: str,
        *,
        series: Callable[[], Mapping[str, Collection[str]]],
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._store = store
        self._home = home
        self._series = series
        self._clock = clock
        self._pause = pause

    def compare(self, begin_us: int, end_us: int, at: Comparison, until_s: float) -> bool:
        """Compare for about so long, `at` going along; tell whether all is compared. Raises Transient errors."""
        series = self._series()
        entities = moved_since(self._client.get_states(), series, begin_us)
        while at.next_us < end_us:
            slice_end_us = min(at.next_us + at.slice_us, end_us)
            stored = self._stored(at.next_us, slice_end_us)
            if stored is None:
                at.slice_us = max(_SHORTEST_US, (slice_end_us - at.next_us) // 2)
            elif not self._compare_slice(_Slice(slice_end_us, entities, series, Present(stored)), at, until_s):
                return False
            else:
                at.next_us, at.after = slice_end_us, ""
        return True

    def _stored(self, start_us: int, end_us: int) -> list[StoredState] | None:
        """Return the states of a span; None where they are too many to look at together."""
        shortest = end_us - start_us <= _SHORTEST_US
        limit = 100 * _MOST_STATES if shortest else _MOST_STATES
        found = self._store.states_between(self._home, start_us * _NS, (end_us + _UNTIMED_WITHIN_US) * _NS, limit)
        return None if len(found) >= limit and not shortest else found

    def _compare_slice(self, of: _Slice, at: Comparison, until_s: float) -> bool:
        left = [name for name in of.entities if name > at.after]
        for first in range(0, len(left), ENTITIES_AT_ONCE):
            if self._clock() > until_s:
                return False
            part = left[first : first + ENTITIES_AT_ONCE]
            for name, rows in rows_between(self._client, at.next_us, of.end_us, part).items():
                changes = changes_of(rows)
                at.note(name, len(changes), of.present.lacking({name, *of.series.get(name, ())}, changes))
            at.after = part[-1]
            self._pause(_PAUSE_S)
        return True


def changes_of(rows: Iterable[Any]) -> list[_Change]:
    """Return when the rows were updated, and to what; rubbish is left out, since no store could have it."""
    found: list[_Change] = []
    for row in rows:
        try:
            state = row.get("s")
            found.append((row_time_us(row["lu"]), state if isinstance(state, str) else None))
        except (errors.Rejected, KeyError, TypeError, AttributeError):
            continue
    return found


class Present:
    """Stored states of a span, to be looked up by any name of theirs."""

    def __init__(self, states: Iterable[StoredState]) -> None:
        self._exact: set[tuple[str, int, str | None]] = set()
        self._untimed: dict[str, list[_Change]] = {}
        for state in states:
            at_us = state.time_ns // _NS
            for name in {state.series, state.entity_id}:
                self._exact.add((name, at_us, state.state))
            if state.source not in _TIMED:
                self._untimed.setdefault(state.series, []).append((at_us, state.state))

    def lacking(self, names: Collection[str], changes: Sequence[_Change]) -> list[int]:
        """Return the times of the changes that are not there."""
        left = [change for change in changes if not any((name, *change) in self._exact for name in names)]
        if not left:
            return []
        taken = set(changes)
        untimed = sorted(one for name in names for one in self._untimed.get(name, ()) if one not in taken)
        return [at_us for at_us, state in left if not _take_twin(untimed, at_us, state)]


@dataclass(frozen=True, slots=True)
class _Slice:
    """A part of a span: whom to ask for, and what is stored of it."""

    end_us: int
    entities: Sequence[str]
    series: Mapping[str, Collection[str]]
    present: Present


def _take_twin(untimed: list[_Change], at_us: int, state: str | None) -> bool:
    """Find the event that was stored at its receipt, since it came without a time: it is that change (rule 11)."""
    for number, (received_us, text) in enumerate(untimed):
        if text == state and at_us <= received_us <= at_us + _UNTIMED_WITHIN_US:
            del untimed[number]
            return True
    return False
