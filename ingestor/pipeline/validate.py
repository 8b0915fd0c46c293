"""validate: raw batch → events. Decodes, checks, converts; what cannot be used is named with its raw bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from ingestor import errors
from ingestor.events import history, mqtt
from ingestor.events.event import Event, EventBatch, Outcome, Settled
from ingestor.events.frame import Frame, FrameKind, RawBatch
from ingestor.events.websocket import decode_websocket
from ingestor.pipeline.portable import require_portable
from ingestor.storage.quarantine import Quarantined

Decoder = Callable[[Frame, int, frozenset[str]], list[Event | errors.Rejected]]

#: Who reads which kind of frame. A decoder returns one element for each slot, in order.
DECODERS: dict[FrameKind, Decoder] = {
    "websocket": decode_websocket,
    "eventstream": mqtt.decode_eventstream,
    "statestream": mqtt.decode_statestream,
    "discovery": mqtt.decode_discovery,
    "zigbee2mqtt": mqtt.decode_zigbee2mqtt,
    "tasmota": mqtt.decode_tasmota,
    "topic": mqtt.decode_topic,
    "history": history.decode_history,
    "statistics": history.decode_statistics,
}

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Validated:
    """What became of a raw batch: events to go on with, and pieces for the quarantine."""

    batch: EventBatch
    quarantined: list[Quarantined]


def validate(raw: RawBatch, carries: frozenset[str], harmful: Mapping[int, str] | None = None) -> Validated:
    """Decode every frame of a batch; the same batch gives the same slots and the same events each time.

    A frame that is named as harmful (by its place, with what it does) is not looked at: it is one rejected slot.
    """
    harmful = harmful or {}
    events: list[Event] = []
    filtered: list[int] = []
    quarantined: list[Quarantined] = []
    slot = 0
    for place, frame in enumerate(raw.frames):
        known = harmful.get(place)
        for element in _decode(frame, slot, carries) if known is None else [_harmful(known)]:
            if isinstance(element, errors.Rejected):
                quarantined.append(_piece(raw, frame, slot, element))
            elif element.untimed and frame.shadowed:
                filtered.append(slot)
            else:
                events.append(element)
            slot += 1
    settled = _settled("rejected", [piece.slot for piece in quarantined]) + _settled("filtered", filtered)
    batch = EventBatch(
        batch_id=raw.batch_id,
        home=raw.home,
        source=raw.source,
        journal=raw.journal,
        opened_ns=raw.opened_ns,
        size=slot,
        events=events,
        settled=settled,
    )
    return Validated(batch, quarantined)


def _decode(frame: Frame, slot: int, carries: frozenset[str]) -> list[Event | errors.Rejected]:
    try:
        return [_portable(element) for element in DECODERS[frame.kind](frame, slot, carries)]
    except errors.Rejected as error:
        return [error]
    except RecursionError:  # anybody can send such a thing: no line in the log for each
        return [errors.UndecodableFrame("nested_too_deep", "values within values within values, hundreds deep")]
    except Exception as error:  # noqa: BLE001 -- a bug in a decoder must cost one frame, never its neighbours
        _log.exception("decoder_failed", kind=frame.kind, topic=frame.topic)
        return [errors.UndecodableFrame("decoder_failed", f"{type(error).__name__}: {error}"[:300])]


def _portable(element: Event | errors.Rejected) -> Event | errors.Rejected:
    if isinstance(element, errors.Rejected) or (element.attributes is None and element.data is None):
        return element
    try:
        require_portable(element)
    except errors.InvalidEvent as error:
        return error
    return element


def _harmful(what: str) -> errors.Rejected:
    return errors.UndecodableFrame("harms_its_worker", f"nobody could work on it: {what}")


def _settled(outcome: Outcome, slots: list[int]) -> list[Settled]:
    return [Settled(outcome, slots)] if slots else []


def _piece(raw: RawBatch, frame: Frame, slot: int, error: errors.Rejected) -> Quarantined:
    return Quarantined(
        batch_id=raw.batch_id,
        slot=slot,
        home=raw.home,
        source=raw.source,
        reason=error.reason,
        detail=error.detail,
        raw=error.raw or frame.payload,
        received_ns=frame.received_ns,
        kind=frame.kind,
        topic=frame.topic,
        shadowed=frame.shadowed,
        uncertain=frame.uncertain,
    )
