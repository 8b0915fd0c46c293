"""From Home Assistant's event messages to Events: decode, check, convert; no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec
from pydantic import ValidationError

from ingestor import errors
from ingestor.events import decoding, models, quick_states
from ingestor.events.event import Event
from ingestor.events.frame import Frame
from ingestor.events.identity import event_identity, state_identity
from ingestor.events.values import has_zone, home_assistant_time_us, is_available, number_of, time_us

#: Home Assistant gives a client up that has 4,096 messages waiting, so no frame of its own has more.
MAX_MESSAGES: Final = 10_000
#: Their attributes are what enrichment reads the weather and the whereabouts from, whatever is stored of them.
_WITH_ATTRIBUTES: Final = ("weather.", "device_tracker.", "person.")
#: How notes begin that say what was put right, or had to be guessed, while an event was read.
HALF_CHARACTERS: Final = "half_characters"
WITHOUT_ZONE: Final = "time_without_zone"
UNEXPECTED_SHAPE: Final = "unexpected_shape"
_MAX_NOTED: Final = 1000
#: Messages that are answers or part of the handshake.
_NO_EVENTS: Final = frozenset({"result", "pong", "auth_required", "auth_ok", "auth_invalid"})


def decode_websocket(frame: Frame, first_slot: int, carries: frozenset[str]) -> list[Event | errors.Rejected]:
    """Return an element for each event of a frame (one message, or a coalesced array), in slots from `first_slot`.

    Messages that are no events (results, pongs) take no slot. Of a frame cut off in the middle the whole
    events are kept, and the rest is one rejected element.
    """
    messages = quick_states.split(frame.payload)
    if messages is None:
        return decode_slowly(frame, first_slot, carries)
    _require_few(messages)
    full = "attributes" in carries
    found: list[Event | errors.Rejected] = []
    for message in messages:
        change = quick_states.change_of(message, full=full)
        if not full and change is not None and change.data.entity_id.startswith(_WITH_ATTRIBUTES):
            change = quick_states.change_of(message, full=True)
        event = _quick_event(change, first_slot + len(found), frame)
        if event is not None:
            found.append(event)
        elif len(messages) == 1:
            return decode_slowly(frame, first_slot, carries)
        else:
            alone = Frame(frame.kind, frame.received_ns, b"[%b]" % bytes(message))
            found += decode_slowly(alone, first_slot + len(found), carries)
    return found


def decode_slowly(frame: Frame, first_slot: int, carries: frozenset[str]) -> list[Event | errors.Rejected]:
    """Decode whatever is no plain change of state: other events, answers, damage."""
    found: list[Event | errors.Rejected] = []
    messages, damaged = _messages(frame.payload)
    _require_few(messages)
    with_halves = decoding.with_halves(frame.payload)
    for place, message in enumerate(messages):
        if is_answer(message):
            continue
        element = _decode_one(message, first_slot + len(found), frame, carries)
        if isinstance(element, Event) and place < len(with_halves):
            _note_halves(element, message, with_halves[place])
        found.append(element)
    if damaged is not None:
        found.append(damaged)
    return found


def _note_halves(event: Event, message: Any, raw: Any) -> None:
    """Note what a text was like before half of a pair of characters was taken out of it."""
    if raw == message:
        return
    data = raw["event"]["data"]
    state = data["new_state"]["state"] if event.kind == "state" and data["new_state"] else None
    # As JSON writes it, in ASCII: no store could hold it as it is.
    before = decoding.escaped(data)[:_MAX_NOTED] if state in (event.state, None) else decoding.escaped(state)[1:-1]
    event.notes.append(f"{HALF_CHARACTERS}: {before}")


def event_from_message(
    message: dict[str, Any],
    *,
    slot: int,
    received_ns: int,
    source: str,
    carries: frozenset[str],
) -> Event:
    """Return the Event of HA's event object {event_type, data, origin, time_fired, context}.

    Raises InvalidEvent where a required field misses or breaks a limit.
    """
    try:
        if message.get("event_type") == "state_changed":
            changed = models.STATE_CHANGED.validate_python(message)
            return _state_event(changed, slot, received_ns, source, carries)
        envelope = models.ENVELOPE.validate_python(message)
    except ValidationError as error:
        raise errors.InvalidEvent("invalid_event", explain(error)) from error
    return _other_event(envelope, slot, received_ns, source)


def explain(error: ValidationError) -> str:
    """Return pydantic's findings as one sentence a person understands, the first three of them."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    named = [f"{'.'.join(str(part) for part in fault['loc']) or 'event'}: {fault['msg']}" for fault in faults[:3]]
    more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""  # noqa: PLR2004 -- three are shown
    return "; ".join(named) + more


def _messages(payload: bytes) -> tuple[list[Any], errors.Rejected | None]:
    try:
        decoded = decoding.loads(payload)
    except errors.UndecodableFrame as error:
        saved, rest = decoding.salvage(payload)
        damaged = errors.UndecodableFrame(error.reason, error.detail)
        damaged.raw = rest
        return saved, damaged
    return (decoded if isinstance(decoded, list) else [decoded]), None


def _require_few(messages: Sequence[Any]) -> None:
    if len(messages) > MAX_MESSAGES:
        raise errors.InvalidEvent("too_many_messages", f"{len(messages)} messages in one frame")


def _decode_one(message: Any, slot: int, frame: Frame, carries: frozenset[str]) -> Event | errors.Rejected:
    try:
        if message["type"] == "event":
            return event_from_message(
                message["event"], slot=slot, received_ns=frame.received_ns, source=frame.kind, carries=carries
            )
        error: errors.Rejected = _unknown_message()
    except errors.Rejected as rejected:
        error = rejected
    except (TypeError, KeyError, AttributeError):
        error = _unknown_message()
    error.raw = decoding.dumps(message)
    return error


def _unknown_message() -> errors.Rejected:
    return errors.InvalidEvent("unknown_message", "neither an event nor an answer of Home Assistant")


def is_answer(message: Any) -> bool:
    """Tell whether a message is no event of the bus; what `config_entries/subscribe` tells comes as a list."""
    kind = message.get("type") if isinstance(message, dict) else None
    if kind == "event":
        return isinstance(message.get("event"), list)
    return isinstance(kind, str) and kind in _NO_EVENTS


def _quick_event(
    change: quick_states.LeanChange | quick_states.FullChange | None, slot: int, frame: Frame
) -> Event | None:
    """Return the Event of a change of state; None where something of it needs a closer look."""
    if change is None:
        return None
    new, old, context = change.data.new_state, change.data.old_state, change.context
    state = None if new is None else new.state
    try:
        # Of a plain change all three times are one text.
        fired_us = updated_us = home_assistant_time_us(change.time_fired)
        if new is not None and new.last_updated != change.time_fired:
            updated_us = home_assistant_time_us(new.last_updated)
        if fired_us is None or updated_us is None:
            return None
        changed_us = None
        if new is not None:
            changed_us = updated_us if new.last_changed == new.last_updated else time_us(new.last_changed)
    except errors.Rejected:
        return None
    event = Event(
        slot=slot,
        kind="state",
        event_type="state_changed",
        subject=change.data.entity_id,
        entity_id=change.data.entity_id,
        time_us=updated_us,
        received_ns=frame.received_ns,
        source=frame.kind,
        identity=state_identity(state),
        state=state,
        value=number_of(state),
        available=is_available(state),
        previous_state=None if old is None else old.state,
        context_id=context.id,
        parent_id=context.parent_id,
        user_id=context.user_id,
        origin=change.origin,
        time_fired_us=fired_us,
        last_changed_us=changed_us,
        previous_changed_us=None if old is None or old.state == state else _time_or_none(old.last_changed),
    )
    if new is not None and not _add_attributes(event, new.attributes):
        return None
    return event


def _add_attributes(event: Event, given: quick_states.LeanAttributes | msgspec.Raw) -> bool:
    """Take what is needed of the attributes; False where they are none."""
    if isinstance(given, quick_states.LeanAttributes):
        # "" says nothing, here as there.
        event.unit = given.unit_of_measurement or None
        event.device_class = given.device_class or None
        event.state_class = given.state_class or None
        last_reset = given.last_reset
    else:
        try:
            event.attributes = decoding.loads(bytes(given))
        except errors.Rejected:
            return False
        if not isinstance(event.attributes, dict):
            return False
        read = event.attributes.get
        event.unit = short_text(read("unit_of_measurement"))
        event.device_class = short_text(read("device_class"))
        event.state_class = short_text(read("state_class"))
        last_reset = read("last_reset")
    if last_reset is not None:
        event.last_reset_us = _time_or_none(last_reset)
    return True


def _state_event(
    message: models.StateChangedEvent, slot: int, received_ns: int, source: str, carries: frozenset[str]
) -> Event:
    data = message["data"]
    context = message["context"]
    entity_id = data["entity_id"]
    new, old = data["new_state"], data["old_state"]
    fired_us = time_us(message["time_fired"])
    event = Event(
        slot=slot,
        kind="state",
        event_type="state_changed",
        subject=entity_id,
        entity_id=entity_id,
        time_us=fired_us,
        received_ns=received_ns,
        source=source,
        identity=0,
        previous_state=None if old is None else old["state"],
        context_id=context["id"],
        parent_id=context["parent_id"],
        user_id=context["user_id"],
        origin=message["origin"],
        time_fired_us=fired_us,
    )
    fill_state(event, None if new is None else cast("dict[str, Any]", new), carries)
    _note_zone(event, message["time_fired"] if new is None else new["last_updated"])
    if old is not None and event.state != old["state"]:
        event.previous_changed_us = _time_or_none(old.get("last_changed"))
    return event


def _note_zone(event: Event, time: str) -> None:
    if not has_zone(time):
        event.notes.append(f"{WITHOUT_ZONE}: {time}")


def _time_or_none(text: Any) -> int | None:
    """Return a time, or None for what is none: an event is good without it."""
    try:
        return time_us(text) if isinstance(text, str) else None
    except errors.Rejected:
        return None


def fill_state(event: Event, new: dict[str, Any] | None, carries: frozenset[str]) -> None:
    """Put what a state object says into a state event: state, value, unit, times; None is a removal."""
    state = None if new is None else new["state"]
    event.state = state
    event.identity = state_identity(state)
    event.value = number_of(state)
    event.available = is_available(state)
    if new is None:
        return
    # Mostly equal to the time that was read already: then it is not read again.
    event.time_us = time_us(new["last_updated"])
    event.last_changed_us = (
        event.time_us if new["last_changed"] == new["last_updated"] else time_us(new["last_changed"])
    )
    attributes = new["attributes"]
    event.unit = short_text(attributes.get("unit_of_measurement"))
    event.device_class = short_text(attributes.get("device_class"))
    event.state_class = short_text(attributes.get("state_class"))
    event.last_reset_us = _time_or_none(attributes.get("last_reset"))
    if "attributes" in carries or event.subject.startswith(_WITH_ATTRIBUTES):
        event.attributes = attributes


def short_text(value: Any) -> str | None:
    """Return an attribute that should be a short text; None for what is not (HA checks none of them)."""
    return value if isinstance(value, str) and 0 < len(value) <= models.MAX_SHORT_TEXT else None


def _other_event(message: models.Envelope, slot: int, received_ns: int, source: str) -> Event:
    event_type, data, context = message["event_type"], message["data"], message["context"]
    notes: list[str] = []
    try:
        about = models.model_of(event_type).model_validate(data).about()
    except ValidationError as error:
        # Somebody's own event under a known name: kept like one of an unknown kind.
        about = models.UnknownEvent.model_validate(data).about()
        notes.append(f"{UNEXPECTED_SHAPE}: {explain(error)}"[:300])
    fired_us = time_us(message["time_fired"])
    if not has_zone(message["time_fired"]):
        notes.append(f"{WITHOUT_ZONE}: {message['time_fired']}")
    entity_id = data.get("entity_id")
    return Event(
        slot=slot,
        kind="event",
        event_type=event_type,
        subject=f"{event_type}:{about or '-'}",
        entity_id=entity_id if isinstance(entity_id, str) and len(entity_id) <= models.MAX_ENTITY_ID else None,
        time_us=fired_us,
        received_ns=received_ns,
        source=source,
        identity=event_identity(context["id"], message["origin"], decoding.dumps(data)),
        data=data,
        context_id=context["id"],
        parent_id=context["parent_id"],
        user_id=context["user_id"],
        origin=message["origin"],
        time_fired_us=fired_us,
        notes=notes,
    )
