"""Done marks: how `write` tells a journal which slots of a batch have ended, and how (port and memory twin)."""

from __future__ import annotations

from typing import Protocol

import msgspec

from ingestor.events.event import Settled


class StoredIn(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Slots that became new points, of one hour (its beginning, Unix seconds)."""

    hour_s: int
    slots: list[int]


class DoneMark(msgspec.Struct, array_like=True, frozen=True):
    """Slots of a batch that have ended for one target (a store). A batch is done when all `size` slots have.

    Slots, not parts, are counted: however a batch was split on the way, and however often it was sent, the
    union of the slots tells the truth (rule 14). `lag_ns` is receipt to the store's yes, of the oldest event.
    `stored` names the slots that became new points, by the hour of their own time; those of an event whose point was
    there already are not among them. `unread`: nobody could read the message, all of it is in the quarantine.
    """

    batch_id: str
    target: str
    size: int
    settled: list[Settled]
    lag_ns: int = 0
    stored: list[StoredIn] = msgspec.field(default_factory=list)
    unread: bool = False


class DoneMarks(Protocol):
    """A mailbox for each journal. Losing marks is harmless: the batch is sent again and marked again."""

    def put(self, journal: str, mark: DoneMark) -> None:
        """Leave a mark for a journal. Raises StateUnavailable."""
        ...

    def take(self, journal: str, limit: int = 1000) -> list[DoneMark]:
        """Take away the oldest marks. Raises StateUnavailable."""
        ...


class MemoryDoneMarks:
    """Done marks within one process, for tests and for trying things out."""

    def __init__(self) -> None:
        self._marks: dict[str, list[DoneMark]] = {}

    def put(self, journal: str, mark: DoneMark) -> None:
        """Leave a mark for a journal."""
        self._marks.setdefault(journal, []).append(mark)

    def take(self, journal: str, limit: int = 1000) -> list[DoneMark]:
        """Take away the oldest marks."""
        marks = self._marks.get(journal, [])
        self._marks[journal] = marks[limit:]
        return marks[:limit]
