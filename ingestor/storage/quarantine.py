"""The quarantine port: where a piece of data rests that could not be used, with the reason and the raw bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One rejected piece: `raw` is the payload as received (or the part of it that belongs to the event).

    (`batch_id`, `slot`) is its identity: putting the same piece in twice leaves one.
    """

    batch_id: str
    slot: int
    home: str
    source: str
    reason: str
    detail: str
    raw: bytes
    received_ns: int
    kind: str = ""
    topic: str = ""


class Quarantine(Protocol):
    """Keeps rejected pieces, bounded in number and bytes; what the bound evicts is counted."""

    def put(self, pieces: Iterable[Quarantined]) -> None:
        """Keep pieces; durable on return. Raises StoreUnavailable."""
        ...

    def list(self, limit: int = 100) -> Iterator[Quarantined]:
        """Yield pieces, newest first."""
        ...

    def count(self) -> int:
        """Return how many pieces are kept."""
        ...
