"""What makes an event the same event (rules 1 to 6): small hashes, the same in every process and for ever."""

from __future__ import annotations

import zlib


def state_identity(state: str | None) -> int:
    """Return 32 bits that tell apart two states that one entity had in the same microsecond.

    Made from the state alone, since that is all that every source knows: so a change that comes by WebSocket
    and by MQTT has one identity. A removal (None) has an identity of its own.
    """
    return 0x5EED if state is None else zlib.crc32(state.encode("utf-8", "surrogatepass"))


def event_identity(*parts: str | bytes | None) -> int:
    """Return 32 bits made from what an event that is no state says: its context, origin and data."""
    checksum = 0
    for part in parts:
        raw = b"\x00" if part is None else part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        checksum = zlib.crc32(raw + b"\x1f", checksum)
    return checksum


def batch_mark(batch_id: str) -> int:
    """Return 16 bits of a batch id: how a batch that is sent again knows the points that it wrote itself."""
    return zlib.crc32(batch_id.encode()) & 0xFFFF
