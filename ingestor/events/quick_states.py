"""The quick way from a `state_changed` message's bytes to its parts; takes only what pydantic would take as well.

Nine events of ten are well-formed changes of state. To decode and check them in one pass, without building what is
not used (the old state's attributes, most of the new one's), takes a quarter of the time of one after the other.
Whatever is not exactly of this shape is left to the models (`ingestor/events/models.py`), which also say what is wrong
with it. That both ways come to the same event is a property test.
"""

from __future__ import annotations

import functools
import re
from typing import Annotated, Any, Final, Literal

import msgspec

from ingestor.events.decoding import UNREADABLE
from ingestor.events.models import MAX_ENTITY_ID, MAX_SHORT_TEXT, MAX_STATE

_EntityId = Annotated[str, msgspec.Meta(max_length=MAX_ENTITY_ID)]
# `\Z`, not `$`: Python's `$` would also take a line break at the end.
_ENTITY_ID: Final = re.compile(r"[^.\s/#+]+\.[^.\s/#+]+\Z")
_ShortText = Annotated[str, msgspec.Meta(max_length=MAX_SHORT_TEXT)]
_State = Annotated[str, msgspec.Meta(max_length=MAX_STATE)]


class Context(msgspec.Struct, gc=False):
    """Who or what caused an event."""

    id: str
    parent_id: str | None
    user_id: str | None


class _OldState(msgspec.Struct, gc=False):
    state: _State
    last_changed: Any = None  # whatever it is, the event is good without it


class LeanAttributes(msgspec.Struct, gc=False):
    """The attributes that every event needs. Home Assistant checks none of them: another type has a closer look."""

    unit_of_measurement: _ShortText | None = None
    device_class: _ShortText | None = None
    state_class: _ShortText | None = None
    last_reset: Any = None


class _LeanState(msgspec.Struct, gc=False):
    state: _State
    attributes: LeanAttributes
    last_changed: str
    last_updated: str


class _FullState(msgspec.Struct, gc=False):
    state: _State
    attributes: msgspec.Raw  # read as everywhere else: how big an integer may be is decided in one place
    last_changed: str
    last_updated: str


class _LeanData(msgspec.Struct, gc=False):
    entity_id: _EntityId
    old_state: _OldState | None
    new_state: _LeanState | None


class _FullData(msgspec.Struct, gc=False):
    entity_id: _EntityId
    old_state: _OldState | None
    new_state: _FullState | None


class LeanChange(msgspec.Struct, gc=False):
    """A `state_changed` event without its attributes."""

    event_type: Literal["state_changed"]
    data: _LeanData
    origin: str
    time_fired: str
    context: Context


class FullChange(msgspec.Struct, gc=False):
    """A `state_changed` event with the attributes of its new state."""

    event_type: Literal["state_changed"]
    data: _FullData
    origin: str
    time_fired: str
    context: Context


class _LeanMessage(msgspec.Struct, gc=False):
    type: Literal["event"]
    event: LeanChange


class _FullMessage(msgspec.Struct, gc=False):
    type: Literal["event"]
    event: FullChange


_messages: Final = msgspec.json.Decoder(list[msgspec.Raw])
_lean: Final = msgspec.json.Decoder(_LeanMessage)
_full: Final = msgspec.json.Decoder(_FullMessage)


def split(payload: bytes) -> list[msgspec.Raw] | None:
    """Return the messages of a frame as bytes; None where it cannot be split without a closer look."""
    if not payload.startswith(b"["):
        return [msgspec.Raw(payload)]
    try:
        return _messages.decode(payload)
    except UNREADABLE:
        return None


def change_of(message: msgspec.Raw, *, full: bool) -> LeanChange | FullChange | None:
    """Return the change of state that a message brings; None where it is, or may be, anything else."""
    try:
        change = _full.decode(message).event if full else _lean.decode(message).event
    except UNREADABLE:
        return None
    return change if _is_entity_id(change.data.entity_id) else None


# Asked by the decoder for each event, the pattern would take as long as all the rest of it.
@functools.lru_cache(maxsize=20_000)
def _is_entity_id(text: str) -> bool:
    return _ENTITY_ID.match(text) is not None
