"""What is answered, as messages: events by the columns of exports, all else by REST's shapes. Reads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from google.protobuf import json_format

from ingestor.api.rpc import ingestor_pb2 as pb
from ingestor.api.v1.keeping import CountsShape, GapItems, LedgerShape
from ingestor.events.point import StoredEvent
from ingestor.export.protobuf_form import fields_of
from ingestor.live.listener import Delivery
from ingestor.live.pacing import Pace

_COUNTS: Final = tuple(CountsShape.model_fields)


def events(found: Iterable[StoredEvent]) -> list[Any]:
    """Return events."""
    return [pb.Event(**fields_of(event)) for event in found]


def windows(rows: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return windows of time; what is not known is left out."""
    known = ({name: value for name, value in row.items() if value is not None} for row in rows)
    return [json_format.ParseDict(row, pb.Window()) for row in known]


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


def live_messages(deliveries: Sequence[Delivery], pace: Pace) -> Any | None:
    """Return what was heard; None where nothing of it is wanted."""
    found: list[Any] = []
    for one in deliveries:
        made: dict[bytes, Any] = one.made_once("grpc", _made)
        found += [made[rendered] for rendered in pace.select(list(made))] if pace.limits else made.values()
    if not found:
        return None
    skipped, pace.skipped = pace.skipped, 0
    return pb.LiveMessages(messages=found, cursor=deliveries[-1].cursor, skipped=skipped)


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
