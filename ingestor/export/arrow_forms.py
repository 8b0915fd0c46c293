"""The forms for analysts: Arrow's stream and Parquet, typed, texts that repeat as dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from ingestor.events.point import StoredEvent
from ingestor.export.columns import COLUMNS, VERSION, columns_of

# Arrow's own allocator kept 20 MB more in an export of two million events, and was no quicker.
pa.set_memory_pool(pa.system_memory_pool())
#: Rows of a group: enough that a reader skips well, few enough that memory stays flat.
_GROUP_ROWS: Final = 50_000
_TYPES: Final[dict[str, pa.DataType]] = {
    "time": pa.timestamp("ns", tz="UTC"),
    "text": pa.string(),
    "category": pa.dictionary(pa.int32(), pa.string()),
    "number": pa.float64(),
    "truth": pa.bool_(),
    "json": pa.string(),
}
SCHEMA: Final = pa.schema(
    [pa.field(column.name, _TYPES[column.type], nullable=column.name != "time") for column in COLUMNS],
    metadata={"ha_ingestor_version": str(VERSION)},
)


class _Sink:
    """A file that keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0
        self.closed = False

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def batch_of(events: Sequence[StoredEvent]) -> pa.RecordBatch:
    """Return events as one batch of columns."""
    arrays = [_array(values, field.type) for values, field in zip(columns_of(events), SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode()
    return pa.array(values, kind)


class ArrowWriter:
    """Arrow's streaming format (`application/vnd.apache.arrow.stream`)."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._writer: Any = None

    def begin(self) -> bytes:
        """Return the schema."""
        self._writer = pa.ipc.new_stream(pa.PythonFile(self._sink, mode="w"), SCHEMA)
        return self._sink.take()

    def add(self, events: Sequence[StoredEvent]) -> bytes:
        """Return a batch."""
        if events:
            self._writer.write_batch(batch_of(events))
        return self._sink.take()

    def end(self) -> bytes:
        """Return the end of the stream."""
        self._writer.close()
        return self._sink.take()


class ParquetWriter:
    """Parquet, zstd: a row group for each 50,000 events."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._writer: Any = None
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0

    def begin(self) -> bytes:
        """Return the magic."""
        self._writer = pq.ParquetWriter(pa.PythonFile(self._sink, mode="w"), SCHEMA, compression="zstd")
        return self._sink.take()

    def add(self, events: Sequence[StoredEvent]) -> bytes:
        """Return the row groups that are full."""
        if events:
            self._batches.append(batch_of(events))
            self._rows += len(events)
        if self._rows >= _GROUP_ROWS:
            self._write_group()
        return self._sink.take()

    def end(self) -> bytes:
        """Return the last row group and the foot."""
        if self._rows:
            self._write_group()
        self._writer.close()
        return self._sink.take()

    def _write_group(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._batches), row_group_size=self._rows)
        self._batches, self._rows = [], 0
