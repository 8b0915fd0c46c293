"""From what the MQTT listener kept to Events: a decoder for each kind of frame; no I/O."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from ingestor import errors
from ingestor.events import decoding, mqtt_models
from ingestor.events.event import Event
from ingestor.events.frame import Frame
from ingestor.events.identity import event_identity, state_identity
from ingestor.events.mqtt_devices import decode_discovery, decode_tasmota, decode_topic, decode_zigbee2mqtt
from ingestor.events.mqtt_reading import checked, require_kept
from ingestor.events.websocket import event_from_message, fill_state

__all__ = [
    "decode_discovery",
    "decode_eventstream",
    "decode_statestream",
    "decode_tasmota",
    "decode_topic",
    "decode_zigbee2mqtt",
]

#: Stands where Home Assistant would name a context, and the stream does not.
_NO_CONTEXT: Final = {"id": "", "parent_id": None, "user_id": None}


def decode_statestream(frame: Frame, first_slot: int, carries: frozenset[str]) -> list[Event | errors.Rejected]:
    """Return the event of a state that was joined from its topics: the twin of one that came by WebSocket.

    Without times it cannot be matched with its twin: then it is `untimed` (rule 11).
    """
    require_kept(frame)
    joined = checked(mqtt_models.STATESTREAM, decoding.loads(frame.payload))
    entity_id, state, updated = joined["entity_id"], joined["state"], joined.get("last_updated")
    event = Event(
        slot=first_slot,
        kind="state",
        event_type="state_changed",
        subject=entity_id,
        entity_id=entity_id,
        time_us=frame.received_ns // 1000,
        received_ns=frame.received_ns,
        source=frame.kind,
        identity=state_identity(state),
        untimed=updated is None,
        uncertain=frame.uncertain,
    )
    attributes = joined.get("attributes", {})
    changed = joined.get("last_changed")
    known = updated or _moment(frame.received_ns)
    new = {"state": state, "attributes": attributes, "last_updated": known, "last_changed": changed or known}
    fill_state(event, new, carries)
    if changed is None:
        event.last_changed_us = None
    return [event]


def decode_eventstream(frame: Frame, first_slot: int, carries: frozenset[str]) -> list[Event | errors.Rejected]:
    """Return the event of an mqtt_eventstream message.

    A change of state has its time in the state itself. All else, and a removal, has none: it is `untimed` (rule 11).
    """
    require_kept(frame)
    message = checked(mqtt_models.EVENTSTREAM, decoding.loads(frame.payload))
    new = message["event_data"].get("new_state") if message["event_type"] == "state_changed" else None
    if not isinstance(new, dict):
        return [_untimed(message, frame, first_slot, carries)]
    return [_from_stream(message, frame, first_slot, carries, new)]


def _untimed(message: mqtt_models.EventstreamShape, frame: Frame, slot: int, carries: frozenset[str]) -> Event:
    event = _from_stream(message, frame, slot, carries, None)
    event.time_us = frame.received_ns // 1000
    event.untimed = True
    event.time_fired_us = None
    if event.kind == "event":
        event.identity = event_identity(frame.payload, repr(frame.deliveries))
    return event


def _from_stream(
    message: mqtt_models.EventstreamShape, frame: Frame, slot: int, carries: frozenset[str], new: dict[str, Any] | None
) -> Event:
    context = None if new is None else new.get("context")
    whole = {
        "event_type": message["event_type"],
        "data": message["event_data"],
        # Only local events are published; the context is the new state's own.
        "origin": "LOCAL",
        "time_fired": _moment(frame.received_ns) if new is None else str(new.get("last_updated")),
        "context": context if isinstance(context, dict) else _NO_CONTEXT,
    }
    event = event_from_message(whole, slot=slot, received_ns=frame.received_ns, source=frame.kind, carries=carries)
    event.context_id = event.context_id or None
    return event


def _moment(received_ns: int) -> str:
    """Return the time of receipt as text, where a source names none."""
    return datetime.fromtimestamp(received_ns // 1000 / 1e6, UTC).isoformat()
