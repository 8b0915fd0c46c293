"""What a book says: counts that records change, the same way when they happen and when they are read again; no I/O."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgspec

from ingestor.events.counts import Counts, Page

#: Batches that were counted: of these the journal may still give one out again after a kill or a power loss.
_RECENT: Final = 3_000
#: Hours that a page holds at most; what is beyond is counted under `OTHER_HOUR`, so that no clock can fill the disk.
_MAX_HOURS: Final = 500
#: Pages closed and not kept yet: while the database is away, all else gathers in the page that is still open.
MAX_CLOSED: Final = 4
OTHER_HOUR: Final = 0


class Took(msgspec.Struct, frozen=True, array_like=True, tag="took"):
    """Frames came into the journal."""

    hour_s: int
    frames: int


class Ended(msgspec.Struct, frozen=True, array_like=True, tag="ended"):
    """A batch is done; `events` holds received, written, duplicate, rejected, filtered."""

    batch_id: str
    hour_s: int
    frames: int
    events: tuple[int, int, int, int, int]
    stored: dict[int, int]


class Lost(msgspec.Struct, frozen=True, array_like=True, tag="lost"):
    """Events are lost: dropped before the journal, or (`frames`) gone from it."""

    hour_s: int
    events: int
    frames: int


class Closed(msgspec.Struct, frozen=True, array_like=True, tag="closed"):
    """A page was closed: what comes next goes to another."""

    number: int


class Kept(msgspec.Struct, frozen=True, array_like=True, tag="kept"):
    """The ledger has the pages up to this one."""

    number: int


Record = Took | Ended | Lost | Closed | Kept


class _Sheet(msgspec.Struct):
    """A page that is open, or closed and not kept."""

    number: int
    hours: dict[int, Counts] = msgspec.field(default_factory=dict)
    stored: dict[int, int] = msgspec.field(default_factory=dict)

    def counts(self, hour_s: int) -> Counts:
        return self.hours.setdefault(_bounded(self.hours, hour_s), Counts())

    def store(self, hour_s: int, events: int) -> None:
        hour_s = _bounded(self.stored, hour_s)
        self.stored[hour_s] = self.stored.get(hour_s, 0) + events


class BookState(msgspec.Struct):
    """The state of a book. `under_way` counts, by hour of receipt, frames that were taken in and have not ended.

    `ever` counts what has ended since the book was begun: pages that were kept are forgotten here.
    """

    book: str
    sheets: list[_Sheet] = msgspec.field(default_factory=lambda: [_Sheet(1)])
    under_way: dict[int, int] = msgspec.field(default_factory=dict)
    recent: list[str] = msgspec.field(default_factory=list)
    ever: Counts = msgspec.field(default_factory=Counts)

    def known(self) -> Known:
        """Return the batches that were counted lately, to be asked and added to."""
        return Known(self.recent)

    def apply(self, record: Record, known: Known) -> bool:
        """Change by a record; False where it says nothing new."""
        match record:
            case Took():
                self._take(record)
            case Ended():
                return self._end(record, known)
            case Lost():
                self._lose(record)
            case Closed():
                return self._close(record.number)
            case Kept():
                return self._keep(record.number)
        return True

    @property
    def closed(self) -> list[_Sheet]:
        """The pages that were closed and are not kept yet."""
        return self.sheets[:-1]

    @property
    def is_blank(self) -> bool:
        """Tell whether the open page holds nothing."""
        return not self.sheets[-1].hours

    @property
    def open_number(self) -> int:
        """The number of the open page."""
        return self.sheets[-1].number

    def _take(self, record: Took) -> None:
        self.sheets[-1].counts(record.hour_s).frames += record.frames
        self._go(record.hour_s, record.frames)

    def _end(self, record: Ended, known: Known) -> bool:
        if not known.add(record.batch_id):
            return False
        received, written, duplicate, rejected, filtered = record.events
        self._count(record.hour_s, Counts(0, record.frames, received, written, duplicate, rejected, filtered))
        for hour_s, events in record.stored.items():
            self.sheets[-1].store(hour_s, events)
        self._go(record.hour_s, -record.frames)
        return True

    def _lose(self, record: Lost) -> None:
        self._count(record.hour_s, Counts(settled=record.frames, lost=record.events))
        self._go(record.hour_s, -record.frames)

    def _count(self, hour_s: int, counts: Counts) -> None:
        self.sheets[-1].counts(hour_s).add(counts)
        self.ever.add(counts)

    def _close(self, number: int) -> bool:
        if number != self.open_number:
            return False
        self.sheets.append(_Sheet(number + 1))
        return True

    def _keep(self, number: int) -> bool:
        left = [sheet for sheet in self.closed if sheet.number > number]
        changed = len(left) < len(self.closed)
        self.sheets[:-1] = left
        return changed

    def _go(self, hour_s: int, frames: int) -> None:
        left = self.under_way.get(hour_s, 0) + frames
        if left:
            self.under_way[hour_s] = left
        else:
            self.under_way.pop(hour_s, None)


class Known:
    """The newest batches that were counted."""

    def __init__(self, batch_ids: list[str]) -> None:
        self._order = deque(batch_ids, maxlen=_RECENT)
        self._ids = set(self._order)

    def __contains__(self, batch_id: str) -> bool:
        return batch_id in self._ids

    def add(self, batch_id: str) -> bool:
        """Note a batch; False where it is known."""
        if batch_id in self._ids:
            return False
        if len(self._order) == _RECENT:
            self._ids.discard(self._order[0])
        self._order.append(batch_id)
        self._ids.add(batch_id)
        return True

    def as_list(self) -> list[str]:
        """Return them, oldest first."""
        return list(self._order)


def page_of(state: BookState, sheet: _Sheet, home: str, source: str, journal: str) -> Page:
    """Return a closed page as it is handed in."""
    return Page(state.book, sheet.number, home, source, journal, dict(sheet.hours), dict(sheet.stored))


def as_record(value: Any) -> Record | None:
    """Return the record that a line of the spool holds; None where it is of another version."""
    try:
        record: Record = msgspec.convert(value, Record, str_keys=True)
    except msgspec.ValidationError:
        return None
    return record


def as_state(value: Any) -> BookState | None:
    """Return the state that a snapshot holds; None where it is of another version."""
    try:
        return msgspec.convert(value, BookState, str_keys=True)
    except msgspec.ValidationError:
        return None


def _bounded(hours: dict[int, Any], hour_s: int) -> int:
    return hour_s if hour_s in hours or len(hours) < _MAX_HOURS else OTHER_HOUR
