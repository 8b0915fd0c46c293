"""validate: raw batch → events. Decodes, checks, converts; what cannot be used is named with its raw bytes."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import structlog

from ingestor import errors
from ingestor.events import history, mqtt
from ingestor.events.decoding import TOO_DEEP
from ingestor.events.event import Event, EventBatch, Outcome, Settled
from ingestor.events.frame import Frame, FrameKind, RawBatch
from ingestor.events.websocket import decode_websocket
from ingestor.pipeline.pieces import FramePieces
from ingestor.pipeline.portable import require_portable
from ingestor.quality.gate import Gate
from ingestor.quality.rule import Severity
from ingestor.quality.rules import rule_of
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
    """What became of a raw batch: events to go on with, pieces for the quarantine, and how often each rule spoke."""

    batch: EventBatch
    quarantined: list[Quarantined]
    findings: Counter[tuple[str, Severity]] = field(default_factory=Counter)


def validate(
    raw: RawBatch, carries: frozenset[str], harmful: Mapping[int, str] | None = None, gate: Gate | None = None
) -> Validated:
    """Decode every frame of a batch; the same batch gives the same slots and the same events each time.

    A frame that is named as harmful (by its place, with what it does) is not looked at: it is one rejected slot.
    The gate asks the rules of quality about the events.
    """
    harmful = harmful or {}
    events: list[Event] = []
    filtered: list[int] = []
    quarantined: list[Quarantined] = []
    slot = 0
    begins: list[int] = []
    for place, frame in enumerate(raw.frames):
        begins.append(slot)
        known = harmful.get(place)
        for element in _decode(frame, slot, carries) if known is None else [_harmful(known)]:
            if isinstance(element, errors.Rejected):
                element.forget_where()
                quarantined.append(_piece(raw, frame, slot, element))
            elif element.untimed and frame.shadowed:
                filtered.append(slot)
            else:
                events.append(element)
            slot += 1
    findings = _found(quarantined)
    if gate is not None and events:
        looked = gate.look(events, raw.frames[-1].received_ns)
        events, findings = looked.staying, findings + looked.findings
        filtered += [event.slot for event in looked.filtered]
        quarantined += _rejected(raw, begins, looked.rejected)
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
    return Validated(batch, quarantined, findings)


def _rejected(raw: RawBatch, begins: list[int], rejected: list[tuple[Event, errors.Rejected]]) -> Iterator[Quarantined]:
    """Yield what the gate refused, each with its own bytes. `begins` has the first slot of each frame."""
    apart: dict[int, FramePieces] = {}
    for event, error in rejected:
        place = bisect_right(begins, event.slot) - 1
        if place not in apart:
            apart = {place: FramePieces(raw.frames[place])}
        error.raw = apart[place].raw_of(event.slot - begins[place])
        yield _piece(raw, raw.frames[place], event.slot, error)


def _found(quarantined: list[Quarantined]) -> Counter[tuple[str, Severity]]:
    """Count what decoding refused under the rules that it stands for."""
    rules = [rule for piece in quarantined if (rule := rule_of(piece.reason))]
    return Counter((rule.name, rule.severity) for rule in rules)


def _decode(frame: Frame, slot: int, carries: frozenset[str]) -> list[Event | errors.Rejected]:
    try:
        return [_portable(element) for element in DECODERS[frame.kind](frame, slot, carries)]
    except errors.Rejected as error:
        return [error]
    except RecursionError:  # anybody can send such a thing: no line in the log for each
        return [errors.UndecodableFrame("nested_too_deep", TOO_DEEP)]
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
