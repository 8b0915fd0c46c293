"""The forms of exported events: each read back by the tools that its readers use; all say the same."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import fastavro
import line_protocol_parser
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from google.protobuf import descriptor_pb2
from google.protobuf.proto import parse_length_prefixed
from grpc_tools import protoc

from ingestor import errors
from ingestor.events.point import FieldValue, StoredEvent
from ingestor.export.columns import COLUMNS, NAMES, columns_of, row_of
from ingestor.export.files import file_of
from ingestor.export.forms import FORMS, form_of
from ingestor.export.protobuf_form import Event, proto_text
from ingestor.export.text_forms import time_text
from ingestor.storage.schema import OTHERS, STATES
from tests.unit.line_protocol_parser import parse_lines

T0_NS = 1_795_229_244_031_714_042
TAGS = {
    "home": "home",
    "series": "sensor.kitchen",
    "domain": "sensor",
    "area": "Küche, groß",
    "device": "-",
    "device_class": "temperature",
}
FULL = StoredEvent(
    T0_NS,
    "state",
    "home",
    "sensor.kitchen",
    "sensor",
    {**TAGS, "floor": "Ground"},
    {
        "event_id": f"home~sensor.kitchen~{T0_NS}",
        "entity_id": "sensor.kitchen",
        "state": '21.5 "warm"\nand more',
        "value": 21.5,
        "unit": "°C",
        "previous_state": "",
        "available": True,
        "source": "websocket",
        "context_id": "01M7",
        "cause_kind": "device",
        "cause_id": "sensor.other",
        "outdoor_temperature": -3.25,
        "is_peak_hour": False,
    },
)
BARE = StoredEvent(T0_NS + 1, "state", "home", "sensor.kitchen", "sensor", TAGS, {"available": False})
OTHER = StoredEvent(
    T0_NS + 2,
    "event",
    "home",
    "call_service:light.turn_on",
    "light",
    {**TAGS, "series": "call_service:light.turn_on", "domain": "light", "area": "-", "device_class": "-"},
    {"event_type": "call_service", "data": '{"entity_id": ["light.a"]}', "source": "history"},
)
EVENTS = [FULL, BARE, OTHER] * 700
ROWS = [row_of(event) for event in EVENTS]


def written(form: str, events: list[StoredEvent] = EVENTS, packed: str | None = None) -> bytes:
    pieces = [events[start : start + 500] for start in range(0, len(events), 500)]
    return b"".join(file_of(pieces, form_of(form), packed=packed))


def texts(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (time_text(row[0]), *row[1:])


def of_objects(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    for one in found:
        assert "more" not in one or isinstance(one["more"], dict)
    rows = [tuple(one.get(name) for name in NAMES) for one in found]
    return [(*row[:-1], row[-1] and json.dumps(row[-1], separators=(",", ":"), sort_keys=True)) for row in rows]


def read_json(data: bytes) -> list[tuple[Any, ...]]:
    return of_objects(json.loads(data))


def read_ndjson(data: bytes) -> list[tuple[Any, ...]]:
    return of_objects([json.loads(line) for line in data.splitlines()])


def read_csv(data: bytes) -> list[tuple[Any, ...]]:
    found = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    given: dict[str, Callable[[str], Any]] = {"number": float, "truth": {"true": True, "false": False}.__getitem__}
    return [
        tuple(given.get(column.type, str)(row[column.name]) if row[column.name] else None for column in COLUMNS)
        for row in found
    ]


def of_arrow(table: pa.Table) -> list[tuple[Any, ...]]:
    assert table.schema.field("time").type == pa.timestamp("ns", tz="UTC")
    assert pa.types.is_dictionary(table.schema.field("area").type)
    assert table.schema.field("value").type == pa.float64()
    times = table.column("time").cast(pa.int64()).to_pylist()
    others = [table.column(name).to_pylist() for name in NAMES[1:]]
    return [(time_text(row[0]), *row[1:]) for row in zip(times, *others, strict=True)]


def read_arrow(data: bytes) -> list[tuple[Any, ...]]:
    return of_arrow(pa.ipc.open_stream(data).read_all())


def read_parquet(data: bytes) -> list[tuple[Any, ...]]:
    return of_arrow(pq.read_table(io.BytesIO(data)))


def read_avro(data: bytes) -> list[tuple[Any, ...]]:
    return [texts(tuple(one[name] for name in NAMES)) for one in fastavro.reader(io.BytesIO(data))]  # type: ignore[index,call-overload] # records


def read_protobuf(data: bytes) -> list[tuple[Any, ...]]:
    source, rows = io.BytesIO(data), []
    while (message := parse_length_prefixed(Event, source)) is not None:
        given = [getattr(message, name) if message.HasField(name) else None for name in NAMES[1:]]
        rows.append((time_text(message.time_unix_nano), *given))
    return rows


READERS = {
    "json": read_json,
    "ndjson": read_ndjson,
    "csv": read_csv,
    "arrow": read_arrow,
    "parquet": read_parquet,
    "avro": read_avro,
    "protobuf": read_protobuf,
}


def expected(form: str) -> list[tuple[Any, ...]]:
    rows = [texts(row) for row in ROWS]
    if form == "csv":  # an empty text and none are the same there
        rows = [tuple(None if value == "" else value for value in row) for row in rows]
    if form in ("json", "ndjson"):
        rows = [
            (*row[:-1], row[-1] and json.dumps(json.loads(row[-1]), separators=(",", ":"), sort_keys=True))
            for row in rows
        ]
    return rows


@pytest.mark.parametrize("form", READERS)
def test_every_form_holds_the_same_rows(form: str) -> None:
    assert READERS[form](written(form)) == expected(form)


@pytest.mark.parametrize("form", READERS)
def test_a_file_without_events_is_a_whole_file(form: str) -> None:
    assert READERS[form](written(form, [])) == []


def test_line_protocol_holds_the_points_as_they_are_stored() -> None:
    found = parse_lines(written("lineprotocol", [FULL, BARE, OTHER]))

    assert [point.measurement for point in found] == [STATES, STATES, OTHERS]
    assert [dict(point.tags) for point in found] == [FULL.tags, BARE.tags, OTHER.tags]
    assert [dict(point.fields) for point in found] == [FULL.fields, BARE.fields, OTHER.fields]
    assert [point.time_ns for point in found] == [FULL.time_ns, BARE.time_ns, OTHER.time_ns]


def test_line_protocol_is_read_by_a_parser_that_others_wrote() -> None:
    plain = replace(FULL, fields={**FULL.fields, "state": '21.5 "warm", and more = \\'})  # it takes a line at a time

    lines = written("lineprotocol", [plain, BARE, OTHER]).decode().splitlines()

    for line, event in zip(lines, [plain, BARE, OTHER], strict=True):
        told = line_protocol_parser.parse_line(line)
        assert told["tags"] == event.tags
        assert told["fields"] == event.fields
        assert told["time"] == event.time_ns


def test_what_has_no_column_is_kept_beside() -> None:
    more = json.loads(row_of(FULL)[-1])

    assert more == {"floor": "Ground", "outdoor_temperature": -3.25, "is_peak_hour": False}
    assert row_of(BARE)[-1] is None


def test_every_column_holds_what_is_stored_under_its_name() -> None:
    tags = {name: f"tag {name}" for name in ("home", "series", "domain", "area", "device", "device_class")}
    fields: dict[str, FieldValue] = {name: f"field {name}" for name in NAMES if name not in tags}
    fields |= {"value": 21.5, "available": True}
    del fields["time"], fields["kind"], fields["more"]

    row = dict(zip(NAMES, row_of(StoredEvent(1, "event", "home", "series", "domain", tags, fields)), strict=True))

    assert row == {"time": 1, "kind": "event", "more": None, **tags, **fields}


def test_columns_say_what_rows_say() -> None:
    odd: dict[str, FieldValue] = {"state": 21, "value": 21, "unit": True, "available": 1, "context_id": 2.5}
    events = [*EVENTS[:3], StoredEvent(T0_NS + 3, "event", "home", "x", "x", {"area": "-", "floor": "-"}, odd)]

    rows = [list(row) for row in zip(*columns_of(events), strict=True)]

    assert repr(rows) == repr([list(row_of(event)) for event in events])
    assert columns_of([]) == [[] for _ in COLUMNS]


def test_what_a_tag_does_not_know_is_nothing() -> None:
    row = dict(zip(NAMES, row_of(FULL), strict=True))

    assert row["device"] is None
    assert row["area"] == "Küche, groß"


@pytest.mark.parametrize("packed", ["zstd", "gzip"])
def test_a_packed_file_is_the_same_file(packed: str) -> None:
    small = written("ndjson", packed=packed)
    whole = (
        gzip.decompress(small) if packed == "gzip" else zstandard.ZstdDecompressor().decompressobj().decompress(small)
    )

    assert whole == written("ndjson")
    assert len(small) < len(whole) / 10


def test_parquet_opens_in_pandas_polars_and_duckdb(tmp_path: Path) -> None:
    file = tmp_path / "events.parquet"
    file.write_bytes(written("parquet"))

    frame = pd.read_parquet(file)
    mean = frame[frame["area"] == "Küche, groß"].groupby("series", observed=True)["value"].mean()
    seen = pl.read_parquet(file).filter(pl.col("available"))
    asked = f"SELECT kind, count(*), min(time) FROM '{file}' GROUP BY kind ORDER BY kind"
    found = duckdb.execute(asked).fetchall()

    assert mean.to_dict() == {"sensor.kitchen": 21.5}
    assert str(frame["time"].dtype) == "datetime64[ns, UTC]"
    assert (seen.height, seen["time"].dtype) == (700, pl.Datetime("ns", "UTC"))
    first = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=(T0_NS + 2) // 1000)
    assert [(kind, count) for kind, count, _ in found] == [("event", 700), ("state", 1400)]
    assert abs(found[0][2] - first) < timedelta(milliseconds=1)


def test_a_large_parquet_file_has_groups_and_keeps_little(tmp_path: Path) -> None:
    writer = form_of("parquet").open()
    file = tmp_path / "events.parquet"
    with file.open("wb") as out:
        out.write(writer.begin())
        sizes = [out.write(writer.add(EVENTS)) for _ in range(100)]
        out.write(writer.end())

    assert pq.ParquetFile(file).metadata.num_row_groups == 5
    assert pq.ParquetFile(file).metadata.num_rows == 210_000
    assert sum(size > 0 for size in sizes) == 4


def test_the_protobuf_schema_that_is_published_compiles_to_the_message_that_is_written(tmp_path: Path) -> None:
    (tmp_path / "event.proto").write_text(proto_text())
    compiled = tmp_path / "event.bin"
    assert protoc.main(["protoc", f"-I{tmp_path}", f"--descriptor_set_out={compiled}", "event.proto"]) == 0
    found = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes()).file[0].message_type[0]

    ours = descriptor_pb2.DescriptorProto()
    Event.DESCRIPTOR.CopyToProto(ours)

    def told(message: descriptor_pb2.DescriptorProto) -> list[tuple[str, int, int, bool]]:
        return [(field.name, field.number, field.type, field.proto3_optional) for field in message.field]

    assert told(found) == told(ours)
    assert len(told(found)) == len(COLUMNS)


def test_the_protobuf_schemas_that_are_published_are_compiled_and_loaded_together(tmp_path: Path) -> None:
    schemas = Path(__file__).parents[2] / "docs" / "reference" / "schemas"
    include = Path(protoc.__file__).parent / "_proto"
    names = sorted(file.name for file in schemas.glob("*.proto"))

    told = protoc.main(["protoc", f"-I{schemas}", f"-I{include}", f"--python_out={tmp_path}", *names])

    assert (told, names) == (0, ["event.v1.proto", "ingestor_v1.proto"])
    load = [sys.executable, "-c", "import event.v1_pb2 as one, ingestor_v1_pb2 as other; one.Event(), other.Event()"]
    subprocess.run(load, cwd=tmp_path, check=True)


def test_a_form_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(errors.NotFound, match=r"'xlsx'.*json, ndjson, csv, parquet"):
        form_of("xlsx")


def test_the_schemas_have_a_place_for_every_column_and_numbers_that_stay() -> None:
    assert [column.number for column in COLUMNS] == list(range(1, len(COLUMNS) + 1))
    assert {form.name for form in FORMS.values()} == {*READERS, "lineprotocol"}
