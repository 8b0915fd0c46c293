"""Protobuf: messages `ha_ingestor.export.v1.Event`, each after its length (varint), as Protobuf's own streams are.

The message is made from the columns; `proto_text` says it in Protobuf's own language, for `protoc`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.proto import serialize_length_prefixed

from ingestor.events.point import StoredEvent
from ingestor.export.columns import COLUMNS, row_of

#: Not the package of gRPC, which has an `Event`, too: whoever uses both loads both into one process.
PACKAGE: Final = "ha_ingestor.export.v1"
_Field = descriptor_pb2.FieldDescriptorProto
_TYPES: Final[dict[str, tuple[str, Any]]] = {
    "time": ("sfixed64", _Field.TYPE_SFIXED64),
    "text": ("string", _Field.TYPE_STRING),
    "category": ("string", _Field.TYPE_STRING),
    "number": ("double", _Field.TYPE_DOUBLE),
    "truth": ("bool", _Field.TYPE_BOOL),
    "json": ("string", _Field.TYPE_STRING),
}
#: What is in a column of time is told by its name there.
_NAMES: Final = tuple("time_unix_nano" if column.type == "time" else column.name for column in COLUMNS)


def _message_class() -> Any:
    where = "ha_ingestor/export/v1/event.proto"
    file = descriptor_pb2.FileDescriptorProto(name=where, package=PACKAGE, syntax="proto3")
    message = file.message_type.add(name="Event")
    for column, name in zip(COLUMNS, _NAMES, strict=True):
        field = message.field.add(
            name=name, number=column.number, type=_TYPES[column.type][1], label=_Field.LABEL_OPTIONAL
        )
        if column.type != "time":
            # `optional` of proto3: a oneof of its own says whether the field is there.
            field.proto3_optional = True
            field.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{name}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Event"))


#: The class of the messages.
Event: Final = _message_class()


def proto_text() -> str:
    """Return the schema as a `.proto` file."""
    lines = ['syntax = "proto3";', "", f"package {PACKAGE};", "", "// A stored event of a home.", "message Event {"]
    for column, name in zip(COLUMNS, _NAMES, strict=True):
        optional = "" if column.type == "time" else "optional "
        lines += [f"  // {column.says}", f"  {optional}{_TYPES[column.type][0]} {name} = {column.number};"]
    return "\n".join([*lines, "}", ""])


def fields_of(event: StoredEvent) -> dict[str, Any]:
    """Return the fields of an event's message, by name; what is not known is left out."""
    values = zip(_NAMES, row_of(event), strict=True)
    return {name: value for name, value in values if value is not None}


class ProtobufWriter:
    """Messages one after the other."""

    def begin(self) -> bytes:
        """Return nothing."""
        return b""

    def add(self, events: Sequence[StoredEvent]) -> bytes:
        """Return a message for each event."""
        out = io.BytesIO()
        for event in events:
            serialize_length_prefixed(Event(**fields_of(event)), out)
        return out.getvalue()

    def end(self) -> bytes:
        """Return nothing."""
        return b""
