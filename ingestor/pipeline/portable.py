"""Refuses an event that no message can hold, so that it never fails the batch it travels in; sends nothing."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ingestor import errors
from ingestor.events.event import Event

#: Home Assistant's own attributes nest a handful of levels. A message is packed and read within Python's limit of a
#: thousand calls, of which each step has used up another number already.
MAX_DEPTH: Final = 100

#: What readers of JSON make; asked for by type, since this looks at every attribute of every event.
_NESTING: Final = frozenset({dict, list})
_encoder: Final = msgspec.msgpack.Encoder()


def require_portable(event: Event) -> None:
    """Raise InvalidEvent ("nested_too_deep", "not_portable") for what an event cannot take along in a message."""
    _require_shallow(event.attributes)
    _require_shallow(event.data)
    try:
        _encoder.encode((event.attributes, event.data))
    except (ValueError, TypeError, OverflowError) as error:
        raise errors.InvalidEvent("not_portable", f"{type(error).__name__}: {error}"[:300]) from error


def _require_shallow(value: Any, left: int = MAX_DEPTH) -> None:
    if left == 0:
        raise errors.InvalidEvent("nested_too_deep", f"values nested more than {MAX_DEPTH} levels deep")
    for inner in value.values() if isinstance(value, dict) else value or ():
        if type(inner) in _NESTING:
            _require_shallow(inner, left - 1)
