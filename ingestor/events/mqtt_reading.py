"""What all MQTT decoders share: the names of entities that Home Assistant does not know, and events of readings."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from ingestor import errors
from ingestor.events import decoding, models
from ingestor.events.event import Event
from ingestor.events.frame import Frame
from ingestor.events.identity import event_identity
from ingestor.events.mqtt_models import OVERSIZE_MARK, Oversize
from ingestor.events.values import number_of
from ingestor.events.websocket import explain, short_text

#: A payload with more values than this is no device's.
MAX_READINGS: Final = 500
_MAX_DEPTH: Final = 6
#: Domain of entities that only MQTT knows. Home Assistant has no entities in it: so none of ours is one of its own.
DOMAIN: Final = "mqtt"
_OFFLINE: Final = frozenset({"offline", "unavailable"})

Shape = TypeVar("Shape")
Model = TypeVar("Model", bound=BaseModel)


def checked(shape: TypeAdapter[Shape], value: Any) -> Shape:
    """Return the value if it has the shape. Raises InvalidEvent."""
    try:
        return shape.validate_python(value)
    except ValidationError as error:
        raise errors.InvalidEvent("invalid_event", explain(error)) from error


def checked_model(model: type[Model], value: Any) -> Model:
    """Return the model made from the value. Raises InvalidEvent."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise errors.InvalidEvent("invalid_event", explain(error)) from error


def require_kept(frame: Frame) -> None:
    """Raise InvalidEvent("payload_too_large") for a frame of which the listener kept only size and hash."""
    if frame.payload.startswith(OVERSIZE_MARK):
        kept = checked_model(Oversize, decoding.loads(frame.payload[len(OVERSIZE_MARK) :]))
        raise errors.InvalidEvent("payload_too_large", f"{kept.bytes} bytes, SHA-256 {kept.sha256}")


def payload_text(raw: str | None, raw_base64: str | None) -> str:
    """Return a payload as text. Raises UndecodableFrame("not_utf8") for bytes that are none."""
    if raw is not None:
        return raw
    try:
        data = base64.b64decode(raw_base64 or "", validate=True)
    except binascii.Error as error:
        raise errors.UndecodableFrame("not_base64", str(error)) from error
    return text_of(data)


def text_of(data: bytes) -> str:
    """Return bytes as text. Raises UndecodableFrame("not_utf8")."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise errors.UndecodableFrame("not_utf8", str(error)[:200], raw=data) from error


def entity_name(*path: str) -> str:
    """Return an entity_id in our own domain for a path of names, each path another one.

    Letters, digits and `_` stay; where anything else had to be replaced, a hash of the whole path is added.
    """
    joined = "-".join("".join(sign if sign.isalnum() or sign == "_" else "_" for sign in part) or "_" for part in path)
    limit = models.MAX_ENTITY_ID - len(DOMAIN) - 1 - 9
    if joined.split("-") == list(path) and len(joined) <= limit:
        return f"{DOMAIN}.{joined}"
    digest = zlib.crc32("\x1f".join(path).encode("utf-8", "surrogatepass"))
    return f"{DOMAIN}.{joined[:limit]}-{digest:08x}"


def state_text(value: Any) -> str:
    """Return a JSON value as the text of a state: true is `on`, null is `unknown`, whole floats stay as they came."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "on" if value else "off"
    return value if isinstance(value, str) else decoding.dumps(value).decode()


def flatten(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield (path, value) of everything in nested objects; a list is a value. Raises InvalidEvent at the limits."""
    if not isinstance(value, dict):
        yield path, value
        return
    if len(path) >= _MAX_DEPTH:
        raise errors.InvalidEvent("nested_too_deep", f"more than {_MAX_DEPTH} levels of objects")
    for key, inner in value.items():
        yield from flatten(inner, (*path, str(key)))


def reading(
    frame: Frame,
    slot: int,
    entity_id: str,
    state: str,
    *,
    unit: str | None = None,
    device_class: str | None = None,
) -> Event:
    """Return the event of a reading that has no time but that of its receipt.

    Raises InvalidEvent where the state is too long. Two equal readings are two events: packet id and slot tell
    them apart, if the microsecond of their receipt does not (rule 12).
    """
    if len(state) > models.MAX_STATE:
        raise errors.InvalidEvent("state_too_long", f"{len(state)} characters")
    return Event(
        slot=slot,
        kind="state",
        event_type="state_changed",
        subject=entity_id,
        entity_id=entity_id,
        time_us=frame.received_ns // 1000,
        received_ns=frame.received_ns,
        source=frame.kind,
        identity=event_identity(frame.topic, state, repr(frame.deliveries), str(slot)),
        state=state,
        value=_value(state),
        available=state.lower() not in _OFFLINE,
        unit=short_text(unit),
        device_class=short_text(device_class),
        untimed=True,
        uncertain=frame.uncertain,
    )


def _value(state: str) -> float | None:
    found = number_of(state)
    return number_of(state.lower()) if found is None else found


def readings(
    frame: Frame, first_slot: int, found: Iterable[tuple[str, Any, str | None]]
) -> list[Event | errors.Rejected]:
    """Return an element for each (entity_id, value, unit); one that cannot be used costs no other."""
    elements: list[Event | errors.Rejected] = []
    for entity_id, value, unit in found:
        if len(elements) >= MAX_READINGS:
            raise errors.InvalidEvent("too_many_values", f"more than {MAX_READINGS} values in one payload")
        try:
            elements.append(reading(frame, first_slot + len(elements), entity_id, state_text(value), unit=unit))
        except errors.Rejected as error:
            error.raw = decoding.dumps({entity_id: value})
            elements.append(error)
    return elements
