"""The bytes of each event of a frame: what the quarantine keeps, and sends again, of one alone; decides nothing."""

from __future__ import annotations

from typing import Any

from ingestor import errors
from ingestor.events import decoding
from ingestor.events.frame import Frame
from ingestor.events.websocket import is_answer


class FramePieces:
    """A frame taken apart once, however many of its events are asked for."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._value = _taken_apart(frame)

    def raw_of(self, number: int) -> bytes:
        """Return the bytes of the event of that number; those of the whole frame where it cannot be taken apart."""
        kind, value = self._frame.kind, self._value
        if kind == "websocket" and isinstance(value, list) and number < len(value):
            return decoding.dumps(value[number])
        if kind in ("history", "statistics") and isinstance(value, dict):
            return decoding.dumps({**value, "rows": value["rows"][number : number + 1]})
        return self._frame.payload


def _taken_apart(frame: Frame) -> Any:
    try:
        value = decoding.loads(frame.payload)
    except errors.UndecodableFrame:
        value = decoding.salvage(frame.payload)[0] if frame.kind == "websocket" else None
    if frame.kind == "websocket" and isinstance(value, list):
        return [message for message in value if not is_answer(message)]
    return value
