"""Avro: an object container file with its schema inside."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

from fastavro import parse_schema
from fastavro.write import Writer

from ingestor.events.point import StoredEvent
from ingestor.export.columns import COLUMNS, NAMES, row_of

#: A reader that does not know the logical type takes the long as it is.
_TYPES: Final[dict[str, Any]] = {
    "time": {"type": "long", "logicalType": "timestamp-nanos"},
    "text": ["null", "string"],
    "category": ["null", "string"],
    "number": ["null", "double"],
    "truth": ["null", "boolean"],
    "json": ["null", "string"],
}


def _field(name: str, kind: str, says: str) -> dict[str, Any]:
    field: dict[str, Any] = {"name": name, "type": _TYPES[kind], "doc": says}
    return field if name == "time" else {**field, "default": None}


SCHEMA: Final[dict[str, Any]] = {
    "type": "record",
    "name": "Event",
    "namespace": "ha_ingestor.v1",
    "doc": "A stored event of a home.",
    "fields": [_field(column.name, column.type, column.says) for column in COLUMNS],
}


class AvroWriter:
    """Blocks of deflate, which every reader knows."""

    def __init__(self) -> None:
        self._file = io.BytesIO()
        self._writer: Any = None

    def begin(self) -> bytes:
        """Return the head with the schema."""
        self._writer = Writer(self._file, parse_schema(SCHEMA), codec="deflate")
        return self._take()

    def add(self, events: Sequence[StoredEvent]) -> bytes:
        """Return the blocks that are full."""
        for event in events:
            self._writer.write(dict(zip(NAMES, row_of(event), strict=True)))
        return self._take()

    def end(self) -> bytes:
        """Return the last block."""
        self._writer.flush()
        return self._take()

    def _take(self) -> bytes:
        taken = self._file.getvalue()
        self._file.seek(0)
        self._file.truncate()
        return taken
