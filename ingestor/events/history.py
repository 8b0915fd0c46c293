"""From what Home Assistant's recorder keeps to Events: rows of history and hourly statistics; no I/O.

A row of history is the same event as the change that was heard live: same series, time and identity. It knows less:
neither the cause nor the state before (rule 3).
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ingestor import errors
from ingestor.events import decoding
from ingestor.events.event import Event
from ingestor.events.frame import Frame
from ingestor.events.models import MAX_ENTITY_ID, MAX_STATE
from ingestor.events.redact import redact
from ingestor.events.websocket import fill_state, short_text

HISTORY: Final = "history"
STATISTICS: Final = "statistics"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_US_PER_MS: Final = 1000
#: What a store can hold as nanoseconds in 64 bits.
_LAST_US: Final = (2**63 - 1) // 1000
#: `math.isfinite` fails for an integer that no float can hold; comparing does not, and is false for NaN.
_LARGEST: Final = sys.float_info.max
#: What a statistic's mean, or else its last state, is told apart by from a state of the same microsecond.
_STATISTIC_IDENTITY: Final = zlib.crc32(b"statistics")


def row_time(seconds: Any) -> datetime:
    """Return a row's time as Home Assistant itself makes it of its clock's seconds. Raises InvalidEvent.

    `datetime.fromtimestamp` rounds as its live events were rounded; multiplying by a million is off now and then.
    """
    if not _is_number(seconds):
        raise errors.InvalidEvent("invalid_time", f"{seconds!r:.80} is no time of a row of history")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise errors.InvalidEvent("time_out_of_range", f"{seconds!r:.80}") from error


def row_time_us(seconds: Any) -> int:
    """Return a row's time in Unix microseconds. Raises InvalidEvent."""
    return (row_time(seconds) - _EPOCH) // _MICROSECOND


def history_frame(entity_id: str, rows: Sequence[Any], received_ns: int) -> Frame:
    """Return a frame of rows of one entity; known secrets are taken out of it."""
    return Frame(HISTORY, received_ns, redact(decoding.dumps({"entity_id": entity_id, "rows": list(rows)})))


def statistics_frame(entity_id: str, unit: str | None, rows: Sequence[Any], received_ns: int) -> Frame:
    """Return a frame of hourly statistics of one entity."""
    body = {"entity_id": entity_id, "unit": unit, "rows": list(rows)}
    return Frame(STATISTICS, received_ns, decoding.dumps(body))


def decode_history(frame: Frame, first_slot: int, carries: frozenset[str]) -> list[Event | errors.Rejected]:
    """Return an element for each row. Raises InvalidEvent where the frame is none of ours."""
    return _decode(_history_event, frame, first_slot, carries)


def decode_statistics(frame: Frame, first_slot: int, carries: frozenset[str]) -> list[Event | errors.Rejected]:
    """Return an element for each hour. Raises InvalidEvent where the frame is none of ours."""
    return _decode(_statistics_event, frame, first_slot, carries)


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a frame says of one entity."""

    entity_id: str
    unit: Any
    frame: Frame
    carries: frozenset[str]


_Make = Callable[[_Rows, dict[str, Any]], Event]


def _decode(make: _Make, frame: Frame, first_slot: int, carries: frozenset[str]) -> list[Event | errors.Rejected]:
    body = decoding.loads(frame.payload)
    entity_id = body.get("entity_id") if isinstance(body, dict) else None
    rows = body.get("rows") if isinstance(body, dict) else None
    if not isinstance(entity_id, str) or not 0 < len(entity_id) <= MAX_ENTITY_ID or not isinstance(rows, list):
        raise errors.InvalidEvent("unknown_message", "no rows of an entity's history")
    about = _Rows(entity_id, body.get("unit"), frame, carries)
    return [_checked(make, about, row, slot) for slot, row in enumerate(rows, first_slot)]


def _checked(make: _Make, about: _Rows, row: Any, slot: int) -> Event | errors.Rejected:
    try:
        if not isinstance(row, dict):
            raise errors.InvalidEvent("invalid_event", "a row of history is an object")
        event = make(about, row)
    except errors.Rejected as rejected:
        rejected.raw = decoding.dumps({"entity_id": about.entity_id, "rows": [row]})
        return rejected
    event.slot = slot
    return event


def _history_event(about: _Rows, row: dict[str, Any]) -> Event:
    state, attributes = row.get("s"), row.get("a") or {}
    if (
        not (state is None or isinstance(state, str))
        or len(state or "") > MAX_STATE
        or not isinstance(attributes, dict)
    ):
        raise errors.InvalidEvent("invalid_event", "s is text or null, a is an object")
    updated = row_time(row.get("lu"))
    changed = updated if row.get("lc") is None else row_time(row["lc"])
    event = _event(about, (updated - _EPOCH) // _MICROSECOND)
    times = {"last_updated": updated.isoformat(), "last_changed": changed.isoformat()}
    fill_state(event, None if state is None else {"state": state, "attributes": attributes, **times}, about.carries)
    return event


def _statistics_event(about: _Rows, row: dict[str, Any]) -> Event:
    start = row.get("start")
    if not _is_number(start):
        raise errors.InvalidEvent("invalid_time", f"{start!r:.80} is no start of an hour")
    value = next((row[name] for name in ("mean", "state", "sum") if _is_number(row.get(name))), None)
    if value is None:
        raise errors.InvalidEvent("invalid_event", "a statistic has a mean, a state or a sum")
    event = _event(about, int(row["start"] * _US_PER_MS))
    event.event_type = STATISTICS
    event.identity = _STATISTIC_IDENTITY
    event.value = float(value)
    event.unit = short_text(about.unit)
    if "attributes" in about.carries:
        event.attributes = {name: row[name] for name in ("mean", "min", "max", "sum", "state") if name in row}
    return event


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _event(about: _Rows, time_us: int) -> Event:
    if not 0 <= time_us <= _LAST_US:
        raise errors.InvalidEvent("time_out_of_range", f"{time_us} microseconds are before 1970 or after 2262")
    return Event(
        slot=0,
        kind="state",
        event_type="state_changed",
        subject=about.entity_id,
        entity_id=about.entity_id,
        time_us=time_us,
        received_ns=about.frame.received_ns,
        source=about.frame.kind,
        identity=0,
        origin=about.frame.kind,
    )
