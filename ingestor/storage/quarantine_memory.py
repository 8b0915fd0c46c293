"""What was put aside within one process, for tests that only put and look: no limits, no replay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ingestor.storage.quarantine import Quarantined, clean


class MemoryQuarantine:
    """Pieces in the order in which they came; the same batch and slot is one piece."""

    def __init__(self) -> None:
        self._pieces: dict[tuple[str, int], Quarantined] = {}

    def put(self, pieces: Iterable[Quarantined]) -> None:
        """Keep pieces that are not there yet."""
        for piece in map(clean, pieces):
            self._pieces.setdefault((piece.batch_id, piece.slot), piece)

    def list(self, limit: int = 100) -> Sequence[Quarantined]:
        """Return pieces, newest first."""
        return [*reversed(self._pieces.values())][:limit]

    def count(self) -> int:
        """Return how many pieces are kept."""
        return len(self._pieces)
