"""The book beside a journal: counts what came in and what became of it, and outlives a kill; decides nothing.

A batch is counted before its journal forgets it, and once: whoever is killed in between finds it in the book. Three
threads write in it (who journals, who listens, who takes done marks); each call is short and none waits for a server.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog

from ingestor.events.counts import Page, hour_of
from ingestor.events.frame import new_batch_id
from ingestor.intake.book_state import (
    MAX_CLOSED,
    BookState,
    Closed,
    Ended,
    Kept,
    Lost,
    Record,
    Took,
    as_record,
    as_state,
    page_of,
)
from ingestor.intake.flights import DoneBatch
from ingestor.intake.journal.entry import Entry
from ingestor.intake.journal.record import Sealed
from ingestor.intake.spool import FILE_BYTES, Spool

_log: Final = structlog.get_logger(__name__)
_ENDS: Final = ("written", "duplicate", "rejected", "filtered", "lost")


class Book:
    """The counts of one journal, in the journal's folder."""

    def __init__(
        self,
        folder: Path,
        home: str,
        source: str,
        *,
        file_bytes: int = FILE_BYTES,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self._of = (home, source, folder.name)
        self._mutex = threading.Lock()
        self._spool = Spool(folder, file_bytes=file_bytes, sync=sync)
        self._state = BookState(new_batch_id())
        self._known = self._state.known()
        self._changes = 0
        #: The files miss something that was counted: the next snapshot brings it there.
        self._behind = False
        self.last_error: str | None = None
        self._recover()
        self._begin()

    def _recover(self) -> None:
        found = self._spool.recover()
        state = as_state(found[0]) if found else None
        if found is None or state is None:
            return
        self._state, self._known = state, state.known()
        for value in found[1]:
            record = as_record(value)
            if record is not None:
                state.apply(record, self._known)

    # -- what happens ----------------------------------------------------------------------------------

    def took(self, batches: Iterable[Sealed]) -> None:
        """Count batches that are in the journal."""
        frames: Counter[int] = Counter()
        for batch in batches:
            frames[hour_of(batch.opened_ns)] += batch.frames
        for hour_s, number in frames.items():
            self._note(Took(hour_s, number))

    def ended(self, entry: Entry, batch: DoneBatch) -> bool:
        """Count a batch that is done; False where it was counted before. Durable after `sync`."""
        counts = batch.counts
        events = (batch.size, counts["written"], counts["duplicate"], counts["rejected"], counts["filtered"])
        return self._note(Ended(batch.batch_id, hour_of(entry.opened_ns), entry.frames, events, batch.stored))

    def dropped(self, events: int, time_ns: int) -> None:
        """Count events that could not be taken in."""
        self._note(Lost(hour_of(time_ns), events, 0))

    def gone(self, entry: Entry) -> None:
        """Count a batch that the journal cannot give any more."""
        self._note(Lost(hour_of(entry.opened_ns), entry.frames, entry.frames))

    def compare(self, held: Iterable[Sealed]) -> int:
        """Compare with what the journal holds, before anything is sent; return the frames that are gone from it.

        The journal is right: what it holds and the book does not know was taken in (the book lost its last line), what
        the book has under way and the journal does not hold is lost.
        """
        there: Counter[int] = Counter()
        for batch in held:
            if batch.batch_id not in self._known:
                there[hour_of(batch.opened_ns)] += batch.frames
        with self._mutex:
            return self._lose(dict(self._state.under_way), there)

    def compare_empty(self, is_empty: Callable[[], bool]) -> int:
        """Compare with a journal that may be empty now, while batches come and go; return the frames gone from it."""
        with self._mutex:
            before, under_way = self._changes, dict(self._state.under_way)
        if not any(frames > 0 for frames in under_way.values()) or not is_empty():
            return 0
        with self._mutex:
            if self._changes != before:
                return 0  # what was under way a moment ago has ended meanwhile
            return self._lose(under_way, Counter())

    def _lose(self, under_way: Mapping[int, int], there: Counter[int]) -> int:
        """Count what is under way here and not there as lost, and the other way round as taken in; holds the mutex."""
        gone = 0
        for hour_s in sorted(under_way.keys() | there.keys()):
            missing = under_way.get(hour_s, 0) - there[hour_s]
            if missing > 0:
                gone += missing
                self._change(Lost(hour_s, missing, missing))
            elif missing < 0:
                self._change(Took(hour_s, -missing))
        if gone:
            _log.error("frames_gone_from_journal", journal=self._of[2], frames=gone)
        return gone

    # -- pages -----------------------------------------------------------------------------------------

    def pages(self) -> list[Page]:
        """Return the pages that are not kept yet, in order; first close the open one, if there is room for one more."""
        with self._mutex:
            if not self._state.is_blank and len(self._state.closed) < MAX_CLOSED:
                self._change(Closed(self._state.open_number))
            # On the disk before anybody sees it: what is in a page never changes.
            if not self._state.closed or not self._synced():
                return []
            return [page_of(self._state, sheet, *self._of) for sheet in self._state.closed]

    def kept(self, number: int) -> None:
        """Forget the pages up to this one: the ledger has them."""
        if any(sheet.number <= number for sheet in self._state.closed):
            self._note(Kept(number))

    def ever(self) -> dict[str, int]:
        """Return how many events have ended in which way since the book was begun, over all ends of its process."""
        with self._mutex:
            return {name: getattr(self._state.ever, name) for name in _ENDS}

    @property
    def name(self) -> str:
        """What the book is called in the ledger: another one after its disk was lost."""
        return self._state.book

    # -- the disk --------------------------------------------------------------------------------------

    def sync(self) -> bool:
        """Bring to the disk what was counted; False where the disk does not take it now."""
        with self._mutex:
            return self._synced()

    def close(self) -> None:
        """Give the files back."""
        self.sync()
        self._spool.close()

    def _note(self, record: Record) -> bool:
        with self._mutex:
            return self._change(record)

    def _change(self, record: Record) -> bool:
        """Change the state, and write down why; False where it says nothing new. Holds the mutex."""
        if not self._state.apply(record, self._known):
            return False
        self._changes += 1
        if not self._behind:
            try:
                self._behind = not self._spool.append(record)
            except OSError as error:
                self._fail(error)
        if self._behind:
            self._begin()
        return True

    def _begin(self) -> None:
        """Begin the other file with all that is known: this one is full, or misses something."""
        try:
            self._spool.begin(msgspec.structs.replace(self._state, recent=self._known.as_list()))
        except OSError as error:
            self._fail(error)
        else:
            self._behind, self.last_error = False, None

    def _synced(self) -> bool:
        if self._behind:
            self._begin()
            return not self._behind
        try:
            self._spool.sync()
        except OSError as error:
            self._fail(error)
            return False
        return True

    def _fail(self, error: OSError) -> None:
        self._behind = True
        if self.last_error is None:
            _log.error("ledger_disk_failed", journal=self._of[2], error=str(error))
        self.last_error = f"the ledger's disk takes no more: {error}"
