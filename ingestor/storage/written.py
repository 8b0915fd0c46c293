"""The index of what was written: port of the duplicate check (rule 6) and of the tie-break (rule 5).

It is asked before a write and told after the store's yes, never the other way round. It may forget
(its window and bytes are bounded); the identity of a point does not depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

#: Richness of a point that somebody is about to write: less than that of any source.
CLAIM: Final = 0


class Mark(NamedTuple):
    """What is remembered of one written point.

    `key` is 8 bytes made from series and time in nanoseconds; `identity` tells apart different events that would
    share it; `richness` is the source's (`events.frame.RICHNESS`); `batch` is a 16-bit hash of the id of the batch that
    wrote it first, so that a batch sent again knows its own points.
    """

    key: bytes
    identity: int
    richness: int
    batch: int


class WrittenIndex(Protocol):
    """Remembers points by key, for a bounded time."""

    def look(self, home: str, keys: Sequence[bytes]) -> list[Mark | None]:
        """Return what is remembered for each key. Raises StateUnavailable."""
        ...

    def claim(self, home: str, marks: Sequence[Mark]) -> list[Mark | None]:
        """Remember, as `CLAIM`, points that are about to be written; return what was there before, claims included.

        A claim replaces nothing. Raises StateUnavailable.
        """
        ...

    def record(self, home: str, marks: Sequence[Mark]) -> list[Mark | None]:
        """Remember points that the store has taken; return what was written there before, in one atomic step each.

        Of two marks with the same identity the richer stays, and with it the batch of the first, so that either of them
        sent again knows who was the first; one of another identity is not replaced. A claim counts as nothing written.
        Raises StateUnavailable.
        """
        ...
