"""The forms by name. Libraries are loaded when a form is first opened: few processes need any."""
# ruff: noqa: PLC0415 -- see above

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ingestor import errors
from ingestor.export.form import FileWriter, Form
from ingestor.export.text_forms import CsvWriter, JsonWriter, LineProtocolWriter, NdJsonWriter


def _arrow() -> FileWriter:
    """Arrow's stream, typed; pandas, Polars, DuckDB and R read it without copying."""
    from ingestor.export.arrow_forms import ArrowWriter

    return ArrowWriter()


def _parquet() -> FileWriter:
    """Parquet, typed, packed with zstd; a row group for each 50,000 events."""
    from ingestor.export.arrow_forms import ParquetWriter

    return ParquetWriter()


def _avro() -> FileWriter:
    """An object container file with its schema inside, packed with deflate."""
    from ingestor.export.avro_form import AvroWriter

    return AvroWriter()


def _protobuf() -> FileWriter:
    """Messages `ha_ingestor.export.v1.Event`, each after its length."""
    from ingestor.export.protobuf_form import ProtobufWriter

    return ProtobufWriter()


_ALL: Final = (
    Form("json", "application/json", "json", JsonWriter, is_text=True),
    Form("ndjson", "application/x-ndjson", "ndjson", NdJsonWriter, is_text=True),
    Form("csv", "text/csv; charset=utf-8; header=present", "csv", CsvWriter, is_text=True),
    Form("parquet", "application/vnd.apache.parquet", "parquet", _parquet, is_packed=True),
    Form("arrow", "application/vnd.apache.arrow.stream", "arrows", _arrow),
    Form("avro", "application/avro", "avro", _avro, is_packed=True),
    Form("protobuf", "application/x-protobuf", "pb", _protobuf),
    Form("lineprotocol", "text/plain; charset=utf-8", "lp", LineProtocolWriter, is_text=True),
)
FORMS: Final[Mapping[str, Form]] = {form.name: form for form in _ALL}


def form_of(name: str) -> Form:
    """Return a form by its name. Raises NotFound."""
    try:
        return FORMS[name]
    except KeyError:
        raise errors.NotFound(f"there is no form {name!r}; there are {', '.join(FORMS)}") from None
