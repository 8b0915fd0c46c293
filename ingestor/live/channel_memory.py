"""The live channel of one process: for tests and for trying things out."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from ingestor.live.channel import Entry, EntryId, Kept


class MemoryChannel:
    """Streams of at most so many entries, and so many bytes beside the newest entry. Safe to share between threads."""

    def __init__(self, *, max_entries: int, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._clock = clock
        self._changed = threading.Condition()
        self._streams: dict[str, _Stream] = {}

    def publish(self, home: str, body: bytes) -> EntryId:
        """Add an entry; the oldest go where there is no room."""
        with self._changed:
            stream = self._stream(home)
            last = stream.kept().last
            entry_id = max(EntryId(int(self._clock() * 1000), 0), EntryId(last.ms, last.seq + 1))
            stream.number += 1
            stream.entries.append(Entry(home, entry_id, stream.number, body))
            while len(stream.entries) > 1 and (
                len(stream.entries) > self._max_entries or stream.size > self._max_bytes
            ):
                stream.after = stream.entries.popleft().entry_id
            self._changed.notify_all()
            return entry_id

    def read(self, after: Mapping[str, EntryId], *, most: int, wait_s: float) -> list[Entry]:
        """Return entries later than these places, or wait for the first one."""
        with self._changed:
            self._changed.wait_for(lambda: self._later(after, most), wait_s)
            return self._later(after, most)

    def kept(self, home: str) -> Kept:
        """Return which entries of a home can be read."""
        with self._changed:
            return self._stream(home).kept()

    def _stream(self, home: str) -> _Stream:
        return self._streams.setdefault(home, _Stream(EntryId(int(self._clock() * 1000) - 1, 0)))

    def _later(self, after: Mapping[str, EntryId], most: int) -> list[Entry]:
        found: list[Entry] = []
        for home, place in after.items():
            found.extend([entry for entry in self._stream(home).entries if entry.entry_id > place][:most])
        return found


class _Stream:
    def __init__(self, after: EntryId) -> None:
        self.after = after
        self.number = 0
        self.entries: deque[Entry] = deque()

    @property
    def size(self) -> int:
        return sum(len(entry.body) for entry in self.entries)

    def kept(self) -> Kept:
        return Kept(self.after, self.entries[-1].entry_id if self.entries else self.after)
