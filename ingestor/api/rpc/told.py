"""What is answered, as messages: events by the columns of exports, all else by REST's shapes. Reads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
from google.protobuf import json_format

from ingestor.api.live import in_parts
from ingestor.api.rpc import ingestor_pb2 as pb
from ingestor.api.v1.keeping import CountsShape, GapItems, LedgerShape
from ingestor.events.point import StoredEvent
from ingestor.export.protobuf_form import fields_of
from ingestor.live.listener import Delivery
from ingestor.live.pacing import Pace

#: Events, messages or windows that are told at once, and how many bytes of them: far below the 4 MiB that clients take.
BATCH: Final = 500
BATCH_BYTES: Final = 1024 * 1024
_COUNTS: Final = tuple(CountsShape.model_fields)


def events(found: Iterable[StoredEvent]) -> Iterator[Any]:
    """Yield events."""
    return (pb.Event(**fields_of(event)) for event in found)


def batches(messages: Iterable[Any], *, most: int = BATCH) -> Iterator[list[Any]]:
    """Yield messages in lists that fit into one message each: of so many, and of so many bytes."""
    found: list[Any] = []
    size = 0
    for one in messages:
        more = one.ByteSize()
        if found and (len(found) >= most or size + more > BATCH_BYTES):
            yield found
            found, size = [], 0
        found.append(one)
        size += more
    if found:
        yield found


def windows(rows: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    """Yield windows of time; what is not known is left out."""
    known = ({name: value for name, value in row.items() if value is not None} for row in rows)
    return (json_format.ParseDict(row, pb.Window()) for row in known)


def ledger(shape: LedgerShape) -> Any:
    """Return the ledger."""
    told = shape.model_dump()
    rows = [
        {**{name: row[name] for name in ("hour", "home", "source")}, "counts": {name: row[name] for name in _COUNTS}}
        for row in told["rows"]
    ]
    return json_format.ParseDict({**told, "rows": rows}, pb.Ledger())


def gaps(shape: GapItems) -> Any:
    """Return gaps."""
    return json_format.ParseDict(shape.model_dump(exclude_none=True), pb.Gaps())


def live_messages(deliveries: Sequence[Delivery], pace: Pace) -> Iterator[Any]:
    """Yield what was heard, as far as it is wanted; large messages in more than one answer, each with its cursor."""
    for messages, cursor in in_parts(deliveries, pace, lambda one: one.made_once("grpc", _made), BATCH_BYTES):
        skipped, pace.skipped = pace.skipped, 0
        yield pb.LiveMessages(messages=messages, cursor=cursor, skipped=skipped)


def _made(delivery: Delivery) -> dict[bytes, Any]:
    """Return the messages of a delivery, by their text: made once for all who listen by that filter."""
    found: dict[bytes, Any] = {}
    for index in delivery.chosen:
        rendered = delivery.messages.render(index, "native")
        told = orjson.loads(rendered)
        message = pb.LiveMessage(
            id=told["id"],
            type=told["type"],
            home=told["home"],
            subject=told["subject"],
            late=told.get("late", False),
            data_json=orjson.dumps(told["data"]).decode(),
        )
        message.time.FromJsonString(told["time"])
        found[rendered] = message
    return found
