"""The port of the live channel: a capped stream a home, an entry a batch of messages; knows no server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from ingestor import errors

_LARGEST: Final = 2**64 - 1


class EntryId(NamedTuple):
    """The place of an entry in its home's stream: Unix milliseconds, and a number within one."""

    ms: int
    seq: int

    def __str__(self) -> str:
        """Return it as Redis writes it."""
        return f"{self.ms}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> EntryId:
        """Read `MS-SEQ`. Raises Rejected("invalid_entry_id")."""
        ms, dash, seq = text.partition("-")
        if dash and all(part.isascii() and part.isdecimal() and len(part) <= len(str(_LARGEST)) for part in (ms, seq)):
            found = cls(int(ms), int(seq))
            if max(found) <= _LARGEST:
                return found
        raise errors.Rejected("invalid_entry_id", f"{text!r:.60} is not MILLISECONDS-NUMBER")


class Entry(NamedTuple):
    """What was published at once. `number` counts a home's entries on: where one is missing, it was not kept."""

    home: str
    entry_id: EntryId
    number: int
    body: bytes


class Kept(NamedTuple):
    """What a home's stream still has: every entry later than `after`, the newest of which is `last`.

    Without entries both are the same. A place before `after` has fallen out of it; one beyond `last` is of a stream
    that is gone.
    """

    after: EntryId
    last: EntryId


class LiveChannel(Protocol):
    """Where entries are published and read. Every call may raise StateUnavailable."""

    def publish(self, home: str, body: bytes) -> EntryId:
        """Add an entry; the oldest go where the stream has reached its limit in entries or bytes."""
        ...

    def read(self, after: Mapping[str, EntryId], *, most: int, wait_s: float) -> list[Entry]:
        """Return at most so many entries of each home later than these places, in order.

        Where there is none it waits for the first one, no longer than `wait_s`, and returns none then.
        """
        ...

    def kept(self, home: str) -> Kept:
        """Return which entries of a home can be read."""
        ...
