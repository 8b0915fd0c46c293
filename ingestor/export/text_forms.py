"""The forms that are text: JSON, NDJSON, CSV and line protocol."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from ingestor.events.point import Point, StoredEvent
from ingestor.export.columns import NAMES, Row, row_of
from ingestor.storage.line_protocol import Encoder
from ingestor.storage.schema import OTHERS, STATES

_NS: Final = 1_000_000_000
_TIME, _MORE = NAMES.index("time"), NAMES.index("more")
_TRUTH: Final = {True: "true", False: "false"}


def time_text(time_ns: int) -> str:
    """Return a time (Unix, nanoseconds) as RFC 3339, UTC, with nine digits."""
    seconds, rest = divmod(time_ns, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


class NdJsonWriter:
    """One object a line; a column that is not known is left out, `more` is an object."""

    def begin(self) -> bytes:
        """Return nothing."""
        return b""

    def add(self, events: Sequence[StoredEvent]) -> bytes:
        """Return a line for each event."""
        return b"".join([line + b"\n" for line in _objects(events)])

    def end(self) -> bytes:
        """Return nothing."""
        return b""


class JsonWriter:
    """One array of the objects of NDJSON, one a line."""

    def __init__(self) -> None:
        self._is_first = True

    def begin(self) -> bytes:
        """Return the beginning of the array."""
        return b"["

    def add(self, events: Sequence[StoredEvent]) -> bytes:
        """Return objects with commas between."""
        if not events:
            return b""
        before = b"\n" if self._is_first else b",\n"
        self._is_first = False
        return before + b",\n".join(_objects(events))

    def end(self) -> bytes:
        """Return the end of the array."""
        return b"\n]\n"


class CsvWriter:
    """RFC 4180 with a head line, UTF-8; what is not known is empty, so is a text without signs; `more` is JSON."""

    def begin(self) -> bytes:
        """Return the head line."""
        return _csv([NAMES])

    def add(self, events: Sequence[StoredEvent]) -> bytes:
        """Return a line for each event."""
        return _csv([_csv_row(row_of(event)) for event in events])

    def end(self) -> bytes:
        """Return nothing."""
        return b""


class LineProtocolWriter:
    """The points as they are stored, for an InfluxDB: measurement, tags, fields and time in nanoseconds."""

    def __init__(self) -> None:
        self._encoder = Encoder()

    def begin(self) -> bytes:
        """Return nothing."""
        return b""

    def add(self, events: Sequence[StoredEvent]) -> bytes:
        """Return a line for each event."""
        points = [
            Point(STATES if event.kind == "state" else OTHERS, tuple(event.tags.items()), event.fields, event.time_ns)
            for event in events
        ]
        return self._encoder.encode(points) + b"\n" if points else b""

    def end(self) -> bytes:
        """Return nothing."""
        return b""


def _objects(events: Sequence[StoredEvent]) -> Iterator[bytes]:
    for event in events:
        found = {name: value for name, value in zip(NAMES, row_of(event), strict=True) if value is not None}
        found["time"] = time_text(event.time_ns)
        if "more" in found:
            found["more"] = orjson.Fragment(found["more"])
        yield orjson.dumps(found)


def _csv_row(row: Row) -> list[Any]:
    values = ["" if value is None else value for value in row]
    values[_TIME] = time_text(row[_TIME])
    return [_TRUTH[value] if isinstance(value, bool) else value for value in values]


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")
