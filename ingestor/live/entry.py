"""What stands in an entry: the events of a batch as the pipeline has them, and what they mean; made once, by a writer.

Nothing is rendered here: whoever reads an entry does that, once for all who listen to it, and only where somebody does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import zstandard

from ingestor import errors
from ingestor.events.decoding import UNREADABLE
from ingestor.events.event import Event, EventBatch, Moment, Place
from ingestor.live.names import Name

#: Raised with every change that yesterday's program would misread.
VERSION: Final = 1
_HEAD: Final = b"HAIl" + bytes((VERSION,))
_MAX_DECODED_BYTES: Final = 64 * 1024 * 1024
_LEVEL: Final = 1
_UNAVAILABLE: Final = "unavailable"
#: Hourly means of the past are no events; what a whole history brings would push out what happens now.
_NOT_LIVE: Final = frozenset({"statistics"})


#: An event that the store has taken, the time of its point, and whether a poorer twin stood there before. A plain
#: tuple: it is made for every event.
Told = tuple[Event, int, bool]


class Sign(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What an event of the entry means besides itself: `automation.triggered`, `device.offline`."""

    name: Name
    event: int


class Notice(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What is no event of Home Assistant and is told of. `notice_id` is the same whenever it is sent again."""

    name: Name
    notice_id: str
    time_us: int
    subject: str
    data: dict[str, Any] = {}


class LiveEntry(msgspec.Struct, array_like=True):
    """An entry: first its events (`updated` are their indices), then the signs, then the notices; so they are numbered.

    `times_ns` are the times of the events' points, which their ids are made from.
    """

    home: str
    events: list[Event] = []
    times_ns: list[int] = []
    places: list[Place] = []
    moments: list[Moment] = []
    updated: list[int] = []
    signs: list[Sign] = []
    notices: list[Notice] = []


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(LiveEntry)


def entry_of(batch: EventBatch, told: Sequence[Told]) -> LiveEntry | None:
    """Return the entry of what was written of a batch; None where nobody would hear of it."""
    if not told or batch.source in _NOT_LIVE:
        return None
    events = [one[0] for one in told]
    times_ns = [one[1] for one in told]
    updated = [index for index, one in enumerate(told) if one[2]]
    return LiveEntry(batch.home, events, times_ns, batch.places, batch.moments, updated, _signs(events, batch.places))


def encode_entry(entry: LiveEntry) -> bytes:
    """Return the bytes that go into the channel."""
    return _HEAD + zstandard.ZstdCompressor(level=_LEVEL).compress(_encoder.encode(entry))


def decode_entry(body: bytes) -> LiveEntry:
    """Read an entry. Raises UnreadableMessage where it is none, or of another version."""
    if body[: len(_HEAD)] != _HEAD:
        raise errors.UnreadableMessage("unknown_message", f"starts with {body[:5]!r}, expected {_HEAD!r}")
    frame = body[len(_HEAD) :]
    try:
        if zstandard.frame_content_size(frame) > _MAX_DECODED_BYTES:
            raise errors.UnreadableMessage("message_too_large", f"more than {_MAX_DECODED_BYTES} bytes decoded")
        decompressed = zstandard.ZstdDecompressor().decompress(frame, max_output_size=_MAX_DECODED_BYTES)
        entry = _decoder.decode(decompressed)
    except (*UNREADABLE, zstandard.ZstdError) as error:
        raise errors.UnreadableMessage("unreadable_message", str(error)) from error
    _check(entry)
    return entry


def _check(entry: LiveEntry) -> None:
    """Refuse an entry that leads nowhere: whoever can write to the state server must not end those who read it."""
    events, places = len(entry.events), len(entry.places)
    if (
        len(entry.times_ns) != events
        or any(not 0 <= event.place < places for event in entry.events)
        or any(not 0 <= sign.event < events for sign in entry.signs)
    ):
        raise errors.UnreadableMessage("unreadable_message", "an event, its place or its time is not there")


def _signs(events: Sequence[Event], places: Sequence[Place]) -> list[Sign]:
    """Return what the events mean; of a device that comes or goes with all its entities, one sign in an entry."""
    found: list[Sign] = []
    devices: set[tuple[str, str]] = set()
    for index, event in enumerate(events):
        if event.kind == "event":
            if event.event_type == "automation_triggered":
                found.append(Sign("automation.triggered", index))
            continue
        was_away = event.previous_state == _UNAVAILABLE
        is_away = event.state == _UNAVAILABLE
        if was_away is is_away or event.previous_state is None or event.state is None:
            continue
        device = places[event.place].device
        name: Name = "device.offline" if is_away else "device.online"
        if device and (name, device) not in devices:
            devices.add((name, device))
            found.append(Sign(name, index))
    return found
