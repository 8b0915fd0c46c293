"""One record in a segment file: how it is laid out, and how whole ones are found among damaged bytes; no policy.

Layout: `HAJ1`, kind (1 byte, 3 unused), length of the body, sequence number, CRC of the body, CRC of the head.
Both CRCs start from a seed that only this segment's file name holds. Payloads come from a network: without the
seed, bytes inside a damaged record could pose as a record of their own.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

MAGIC: Final = b"HAJ1"
_HEAD: Final = struct.Struct("<4sB3xIQI")
_HEAD_CRC: Final = struct.Struct("<I")
HEAD_BYTES: Final = _HEAD.size + _HEAD_CRC.size
_BATCH: Final = struct.Struct("<26sIQ")
#: How much is read at once when looking for the next record: an unreadable disk block costs no more than this.
_BLOCK: Final = 4096


class Kind(IntEnum):
    """What a record says."""

    BATCH = 1
    FORGET = 2  # its body: the sequence numbers of batches that are done
    MOVED = 3  # a batch again, copied out of an old segment


@dataclass(frozen=True, slots=True)
class Record:
    """A whole record and where it stands; `end` is where the next one may begin."""

    kind: int
    seq: int
    offset: int
    end: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """A closed batch as the journal keeps it: its encoded message and what tells it apart."""

    batch_id: str
    frames: int
    opened_ns: int
    message: bytes


def pack(kind: Kind, seq: int, body: bytes, seed: int) -> bytes:
    """Return the record's bytes."""
    head = _HEAD.pack(MAGIC, kind, len(body), seq, zlib.crc32(body, seed))
    return head + _HEAD_CRC.pack(zlib.crc32(head, seed)) + body


def pack_batch(batch: Sealed) -> bytes:
    """Return the body of a batch record."""
    return _BATCH.pack(batch.batch_id.encode("ascii"), batch.frames, batch.opened_ns) + batch.message


def unpack_batch(body: bytes) -> Sealed | None:
    """Read the body of a batch record; None where it is none."""
    try:
        batch_id, frames, opened_ns = _BATCH.unpack_from(body)
        return Sealed(batch_id.decode("ascii"), frames, opened_ns, body[_BATCH.size :])
    except (struct.error, UnicodeDecodeError):
        return None


def pack_forget(seqs: list[int]) -> bytes:
    """Return the body of a forget record."""
    return struct.pack(f"<{len(seqs)}Q", *seqs)


def unpack_forget(body: bytes) -> tuple[int, ...]:
    """Read the body of a forget record."""
    return struct.unpack_from(f"<{len(body) // 8}Q", body)


def read_record(fd: int, offset: int, end: int, seed: int) -> Record | None:
    """Return the record that begins at `offset` and ends by `end`; None where there is no whole one."""
    head = _read(fd, HEAD_BYTES, offset)
    if len(head) < HEAD_BYTES or head[:4] != MAGIC or zlib.crc32(head[: _HEAD.size], seed) != _crc_of(head):
        return None
    _, kind, length, seq, body_crc = _HEAD.unpack_from(head)
    start = offset + HEAD_BYTES
    if start + length > end:
        return None
    body = _read(fd, length, start)
    if len(body) != length or zlib.crc32(body, seed) != body_crc:
        return None
    return Record(kind, seq, offset, start + length, body)


def scan(fd: int, offset: int, end: int, seed: int) -> Iterator[Record]:
    """Yield the whole records between `offset` and `end`; what is damaged between them is passed over."""
    while offset < end:
        record = read_record(fd, offset, end, seed)
        if record is None:
            offset = _find_magic(fd, offset + 1, end)
            continue
        yield record
        offset = record.end


def _crc_of(head: bytes) -> int:
    crc: int = _HEAD_CRC.unpack_from(head, _HEAD.size)[0]
    return crc


def _find_magic(fd: int, offset: int, end: int) -> int:
    while offset < end:
        # Three bytes more than a block: a magic that lies across two blocks is found in the first.
        found = _read(fd, min(_BLOCK + len(MAGIC) - 1, end - offset), offset).find(MAGIC)
        if found >= 0:
            return offset + found
        offset += _BLOCK
    return end


def _read(fd: int, length: int, offset: int) -> bytes:
    """Read from the file; a block that the disk cannot give back counts as damaged, not as an error."""
    try:
        return os.pread(fd, length, offset)
    except OSError:
        return b""
