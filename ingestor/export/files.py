"""A query as one file: read in portions, put into a form, packed on the way; knows no store and no transport."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

import zstandard

from ingestor.events.point import StoredEvent
from ingestor.export.form import Form

#: zlib's way to say "with the head of gzip".
_GZIP_BITS: Final = 31
_ZSTD_LEVEL: Final = 3
_GZIP_LEVEL: Final = 5


class _Packer(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


#: The ways of packing, by HTTP's names for them, the better first.
PACKERS: Final[dict[str, Callable[[], _Packer]]] = {
    "zstd": lambda: zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj(),
    "gzip": lambda: zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_BITS),
}


def file_of(portions: Iterable[list[StoredEvent]], form: Form, *, packed: str | None = None) -> Iterator[bytes]:
    """Yield the bytes of a file. `packed` is a key of PACKERS."""
    packer = PACKERS[packed]() if packed else None
    for piece in _pieces(portions, form):
        if not packer:
            yield piece
        elif small := packer.compress(piece):
            yield small
    if packer:
        yield packer.flush()


def _pieces(portions: Iterable[list[StoredEvent]], form: Form) -> Iterator[bytes]:
    writer = form.open()
    yield writer.begin()
    for events in portions:
        yield writer.add(events)
    yield writer.end()
