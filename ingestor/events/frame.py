"""What a listener takes from the wire, before anything is decoded; knows no source's format."""

from __future__ import annotations

import os
import time
from typing import Final, Literal

import msgspec

#: How the payload of a frame is to be read. The decoder is chosen by this name (`pipeline.decode`).
FrameKind = Literal[
    "websocket",  # a WebSocket frame of Home Assistant: one message or a JSON array of them
    "eventstream",  # an mqtt_eventstream message: {"event_type", "event_data"}
    "statestream",  # mqtt_statestream topics joined by the listener into one JSON object
    "discovery",  # a state topic that an MQTT discovery config announced, as read by the listener
    "zigbee2mqtt",  # a zigbee2mqtt device payload
    "tasmota",  # a Tasmota telemetry or state payload
    "topic",  # a topic mapped by the user's settings
    "history",  # rows that Home Assistant's recorder has of one entity
    "statistics",  # hourly statistics of one entity, for a time of which it keeps no more than those
]

#: How much a source knows of an event; a richer one wins over a poorer one (rule 3).
RICHNESS: Final[dict[str, int]] = {
    "websocket": 4,
    "eventstream": 3,
    "history": 2,
    "statistics": 1,
    "statestream": 1,
    "discovery": 1,
    "zigbee2mqtt": 1,
    "tasmota": 1,
    "topic": 1,
}


class Frame(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One payload as it was received.

    `received_ns` is the wall clock at receipt (Unix, nanoseconds). `topic` is the MQTT topic, else "".
    `shadowed` says that the home's WebSocket was up at receipt: an event without a time of its own
    is then a twin of one that came by WebSocket, and is counted as filtered (rule 11).
    `deliveries` are (packet id, 32-bit payload hash) of the MQTT messages that this frame holds (rule 12).
    `uncertain` marks a statestream join whose parts may belong to two events (rule 10).
    """

    kind: FrameKind
    received_ns: int
    payload: bytes
    topic: str = ""
    shadowed: bool = False
    deliveries: tuple[tuple[int, int], ...] = ()
    uncertain: bool = False


class RawBatch(msgspec.Struct, array_like=True, frozen=True):
    """Frames that travel as one task: what the journal keeps and `validate` receives.

    `journal` names the journal that waits for the batch to be done. The order of `frames`, and of the
    messages within a frame, gives each event its slot number: the same bytes give the same slots.
    """

    batch_id: str
    home: str
    source: str
    journal: str
    opened_ns: int
    frames: list[Frame]


_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_batch_id(now_ms: int | None = None) -> str:
    """Return a ULID: 26 characters that sort by time (milliseconds), with 80 random bits."""
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    number = (ms << 80) | int.from_bytes(os.urandom(10), "big")
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
