"""How things look in answers below `/api/v1`."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, Field

from ingestor.export.columns import COLUMNS

_SAYS: Final = {column.name: column.says for column in COLUMNS}


def _is(name: str, **more: Any) -> Any:
    """Return a column's field: what it says is declared once, for all forms of an event."""
    return Field(description=f"{_SAYS[name]}.", **more)


class EventShape(BaseModel):
    """A stored event, with the columns of an export ([version 1](exports.md)); what is not known is null."""

    time: str = _is("time", json_schema_extra={"format": "date-time"})
    event_id: str = _is("event_id")
    kind: str = _is("kind")
    event_type: str | None = _is("event_type")
    home: str = _is("home")
    series: str = _is("series")
    entity_id: str | None = _is("entity_id")
    domain: str | None = _is("domain")
    area: str | None = _is("area")
    device: str | None = _is("device")
    device_class: str | None = _is("device_class")
    state: str | None = _is("state")
    value: float | None = _is("value")
    unit: str | None = _is("unit")
    previous_state: str | None = _is("previous_state")
    available: bool | None = _is("available")
    source: str | None = _is("source")
    context_id: str | None = _is("context_id")
    cause_kind: str | None = _is("cause_kind")
    cause_id: str | None = _is("cause_id")
    more: dict[str, float | bool | int | str] = _is("more")
