"""Stored events as plain values: the columns of an export, so that all ways out say the same; reads nothing."""

from __future__ import annotations

from typing import Any

import orjson

from ingestor.events.point import StoredEvent
from ingestor.export.columns import NAMES, row_of
from ingestor.reading.times import rfc3339_of_ns


def event_object(event: StoredEvent) -> dict[str, Any]:
    """Return an event as the JSON object that is told of it; what is not known is None."""
    found = dict(zip(NAMES, row_of(event), strict=True))
    found["time"] = rfc3339_of_ns(event.time_ns)
    found["more"] = orjson.loads(found["more"]) if found["more"] else {}
    return found
