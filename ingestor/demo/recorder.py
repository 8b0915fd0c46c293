"""What the demo home's recorder keeps and how it is asked for: history rows as Home Assistant writes them."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, Final, Protocol

from ingestor.demo.bus import Bus
from ingestor.demo.clock import SECOND_US
from ingestor.demo.wire import Event

#: How often what happened reaches the database; before that nobody can read it back.
COMMIT_EVERY_S: Final = 5
#: Changes of attributes alone count as significant for these.
_SIGNIFICANT: Final = frozenset(("climate", "device_tracker", "humidifier", "thermostat", "water_heater"))


@dataclass(frozen=True, slots=True)
class Row:
    """A state as it was recorded; None: it was removed."""

    state: str | None
    attributes: dict[str, Any]
    updated_us: int
    changed_us: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client wants to know. Times in microseconds, both excluded."""

    start_us: int
    end_us: int
    entity_ids: Sequence[str]
    include_start: bool = True
    significant_only: bool = True
    minimal: bool = False
    no_attributes: bool = False


class HistorySource(Protocol):
    """Where the history of a home comes from."""

    def history(self, asked: Asked) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of each entity that has any, oldest first."""
        ...


class Recorder:
    """Keeps the latest rows of each entity; tells of those alone that are committed."""

    def __init__(self, bus: Bus, *, rows_per_entity: int = 20_000, commit_every_s: float = COMMIT_EVERY_S) -> None:
        self._bus = bus
        self._rows: dict[str, deque[Row]] = {}
        self._kept = rows_per_entity
        self._commit_us = max(1, round(commit_every_s * SECOND_US))
        bus.listen(self._record)

    def _record(self, event: Event) -> None:
        if event.event_type != "state_changed" or not event.entity_id:
            return
        rows = self._rows.setdefault(event.entity_id, deque(maxlen=self._kept))
        new = event.new
        if new is None:
            rows.append(Row(None, {}, event.fired_us, event.fired_us))
        else:
            rows.append(Row(new.state, new.attributes, new.updated_us, new.changed_us))

    def committed_until_us(self) -> int:
        """Return up to when everything is in the database."""
        now_us = self._bus.clock.now_us()
        return now_us - now_us % self._commit_us

    def history(self, asked: Asked) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of each entity that has any, oldest first."""
        found = {entity_id: list(self._of_entity(entity_id, asked)) for entity_id in asked.entity_ids}
        return {entity_id: rows for entity_id, rows in found.items() if rows}

    def _of_entity(self, entity_id: str, asked: Asked) -> Iterator[dict[str, Any]]:
        rows = list(self._rows.get(entity_id, ()))
        begin = bisect_right(rows, asked.start_us, key=_updated)
        until_us = min(asked.end_us, self.committed_until_us())
        chosen = [row for row in islice(rows, begin, None) if row.updated_us < until_us]
        if asked.significant_only and entity_id.partition(".")[0] not in _SIGNIFICANT:
            chosen = [row for row in chosen if row.changed_us == row.updated_us]
        if asked.include_start and begin and rows[begin - 1].updated_us < until_us:
            before = rows[begin - 1]
            chosen.insert(0, Row(before.state, before.attributes, asked.start_us, asked.start_us))
        raw = self._bus.modern
        if asked.minimal:
            yield from _minimal(chosen, asked, raw=raw)
        else:
            yield from (_shown(row, with_attributes=not asked.no_attributes, raw=raw) for row in chosen)


def _updated(row: Row) -> int:
    return row.updated_us


def _minimal(rows: list[Row], asked: Asked, *, raw: bool) -> Iterator[dict[str, Any]]:
    """Show the first row in full, of the others those alone whose state is another one."""
    if rows:
        yield _shown(rows[0], with_attributes=not asked.no_attributes, raw=raw)
    for before, row in pairwise(rows):
        if row.state != before.state:
            yield {"s": row.state, "lu": _seconds(row.changed_us, raw=raw)}


def _shown(row: Row, *, with_attributes: bool, raw: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"s": row.state}
    if with_attributes:
        shown["a"] = row.attributes
    shown["lu"] = _seconds(row.updated_us, raw=raw)
    if row.changed_us != row.updated_us:
        shown["lc"] = _seconds(row.changed_us, raw=raw)
    return shown


def _seconds(time_us: int, *, raw: bool) -> float:
    """Return seconds as the database has them: later versions keep the clock's, with parts of a microsecond.

    `datetime.fromtimestamp` makes the same microsecond of them, as Home Assistant does; `round(lu * 1e6)` not always.
    """
    part = (time_us % 3 - 1) / 4 if raw else 0.0
    return (time_us + part) / SECOND_US
