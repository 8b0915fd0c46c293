"""The versioned message format: a head that tells version and kind, then zstd-compressed MessagePack.

Layout: 4 bytes `HAI` + kind (`r` raw batch, `e` events), 1 byte version, the zstd frame with its checksum.
Nothing is unpickled, ever: a message from the network can only become the structs named here.
"""

from __future__ import annotations

from typing import Final

import msgspec
import zstandard

from ingestor import errors
from ingestor.events.decoding import UNREADABLE
from ingestor.events.event import EventBatch
from ingestor.events.frame import RawBatch

#: Raised with every change that yesterday's program would misread: 2 has frames of kind "history".
VERSION: Final = 2
#: Every version that is still read: journals and queues outlive an upgrade (tests/recordings/messages has one of each).
READABLE: Final = frozenset({1, 2})
#: Reason of an UnreadableMessage that a newer program wrote.
NEWER_VERSION: Final = "newer_version"
#: Largest message after decompression (bytes): a damaged or hostile head cannot ask for more memory.
MAX_DECODED_BYTES: Final = 256 * 1024 * 1024
#: zstd level 1 costs 2 to 4 µs an event of 1 KB and takes nine tenths of its bytes away.
_LEVEL: Final = 1
_RAW: Final = b"HAIr"
#: How a message begins that carries events.
EVENTS_HEAD: Final = b"HAIe"
_HEAD_LENGTH: Final = 5

_encoder = msgspec.msgpack.Encoder()
_raw_decoder = msgspec.msgpack.Decoder(RawBatch)
_event_decoder = msgspec.msgpack.Decoder(EventBatch)


def encode_raw(batch: RawBatch) -> bytes:
    """Return the message for `validate`; also what the journal keeps."""
    return _pack(_RAW, _encoder.encode(batch))


def encode_events(batch: EventBatch) -> bytes:
    """Return the message for `enrich` and `write`."""
    return _pack(EVENTS_HEAD, _encoder.encode(batch))


def decode_raw(message: bytes) -> RawBatch:
    """Read a message of kind raw; raise UnreadableMessage where it is not one."""
    try:
        return _raw_decoder.decode(_unpack(_RAW, message))
    except UNREADABLE as error:
        raise errors.UnreadableMessage("unreadable_message", str(error)) from error


def decode_events(message: bytes) -> EventBatch:
    """Read a message of kind events; raise UnreadableMessage where it is not one."""
    try:
        return _event_decoder.decode(_unpack(EVENTS_HEAD, message))
    except UNREADABLE as error:
        raise errors.UnreadableMessage("unreadable_message", str(error)) from error


def _pack(head: bytes, body: bytes) -> bytes:
    # A compressor is not safe to share between threads, and making one costs 1 µs.
    return head + bytes((VERSION,)) + zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(body)


def _unpack(head: bytes, message: bytes) -> bytes:
    if message[:4] != head:
        raise errors.UnreadableMessage("unknown_message", f"starts with {message[:4]!r}, expected {head!r}")
    version = message[4] if len(message) >= _HEAD_LENGTH else 0
    if version not in READABLE:
        # A newer one is an upgrade under way: whoever understands it will get it.
        reason = NEWER_VERSION if version > VERSION else "unknown_version"
        raise errors.UnreadableMessage(reason, f"version {version}; this program reads {sorted(READABLE)}")
    frame = message[_HEAD_LENGTH:]
    try:
        if zstandard.frame_content_size(frame) > MAX_DECODED_BYTES:
            raise errors.UnreadableMessage("message_too_large", f"more than {MAX_DECODED_BYTES} bytes decoded")
        return zstandard.ZstdDecompressor().decompress(frame, max_output_size=MAX_DECODED_BYTES)
    except zstandard.ZstdError as error:
        raise errors.UnreadableMessage("damaged_message", str(error)) from error
