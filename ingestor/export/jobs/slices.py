"""Slices of an export on the disk: the events of a span of time, packed; the same whatever form the file will have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import zstandard

from ingestor import errors
from ingestor.events.decoding import UNREADABLE
from ingestor.events.point import StoredEvent

_LEVEL: Final = 1
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[StoredEvent])


def write_slice(folder: Path, number: int, events: list[StoredEvent]) -> None:
    """Write a slice; it is there whole, or not at all. Raises OSError."""
    path = _path(folder, number)
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        file.write(zstandard.ZstdCompressor(level=_LEVEL).compress(_encoder.encode(events)))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_slices(folder: Path, count: int) -> Iterator[list[StoredEvent]]:
    """Yield so many slices, one at a time. Raises UnreadableMessage where one is damaged, OSError where it is gone."""
    for number in range(count):
        try:
            yield _decoder.decode(zstandard.ZstdDecompressor().decompress(_path(folder, number).read_bytes()))
        except (*UNREADABLE, zstandard.ZstdError) as error:
            raise errors.UnreadableMessage("unreadable_message", f"slice {number}: {error}") from error


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.slice"
