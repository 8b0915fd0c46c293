"""The quarantine within one process: for tests and for trying things out. Also the limits that every adapter keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from ingestor.storage.quarantine import Quarantined

#: Most pieces, and most bytes of their payloads, that are kept; at either limit the oldest goes and is counted.
MAX_PIECES: Final = 100_000
MAX_BYTES: Final = 256 * 1024 * 1024
#: A larger payload is kept by its beginning and its hash.
MAX_PIECE_BYTES: Final = 1024 * 1024


def clean(piece: Quarantined, max_piece_bytes: int = MAX_PIECE_BYTES) -> Quarantined:
    """Return a piece that any database takes: text without NUL and lone surrogates, the payload within its limit."""
    detail, raw = piece.detail, piece.raw
    if len(raw) > max_piece_bytes:
        checksum = hashlib.sha256(raw).hexdigest()
        detail = f"{detail} (the first {max_piece_bytes} of {len(raw)} bytes, sha256 {checksum})".lstrip()
        raw = raw[:max_piece_bytes]
    return replace(
        piece,
        batch_id=_text(piece.batch_id),
        home=_text(piece.home),
        source=_text(piece.source),
        reason=_text(piece.reason),
        detail=_text(detail),
        raw=raw,
        kind=_text(piece.kind),
        topic=_text(piece.topic),
    )


class MemoryQuarantine:
    """Pieces in the order in which they came."""

    def __init__(self, *, max_pieces: int = MAX_PIECES, max_bytes: int = MAX_BYTES) -> None:
        self._max_pieces = max_pieces
        self._max_bytes = max_bytes
        self._pieces: dict[tuple[str, int], Quarantined] = {}
        self._bytes = 0
        self._evicted = 0

    def put(self, pieces: Iterable[Quarantined]) -> None:
        """Keep pieces that are not there yet."""
        for piece in map(clean, pieces):
            key = (piece.batch_id, piece.slot)
            if key not in self._pieces:
                self._pieces[key] = piece
                self._bytes += len(piece.raw)
        while len(self._pieces) > self._max_pieces or self._bytes > self._max_bytes:
            oldest = self._pieces.pop(next(iter(self._pieces)))
            self._bytes -= len(oldest.raw)
            self._evicted += 1

    def list(self, limit: int = 100) -> Iterator[Quarantined]:
        """Yield pieces, newest first."""
        for key in list(reversed(self._pieces))[:limit]:
            yield self._pieces[key]

    def count(self) -> int:
        """Return how many pieces are kept."""
        return len(self._pieces)

    def evicted(self) -> int:
        """Return how many pieces the limits have cost so far."""
        return self._evicted


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
