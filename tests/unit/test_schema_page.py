"""docs/reference/schema.md shows lines that the real encoder writes, and names every field, tag and table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ingestor.events.event import Event, Place
from ingestor.settings import StorageSettings
from ingestor.storage import embedded_tables, schema
from ingestor.storage.line_protocol import Encoder

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "schema.md").read_text()
KITCHEN = Place(
    "sensor.kitchen_temperature",
    "sensor",
    area="Kitchen",
    device="Climate sensor",
    device_class="temperature",
    integration="mqtt",
)


def event(**more: Any) -> Event:
    fields = {
        "slot": 0,
        "kind": "state",
        "event_type": "state_changed",
        "subject": "sensor.kitchen_temperature",
        "entity_id": "sensor.kitchen_temperature",
        "time_us": 1_795_229_244_031_714,
        "time_fired_us": 1_795_229_244_031_714,
        "received_ns": 0,
        "source": "websocket",
        "identity": 3_042,
        "context_id": "01M7Y00PKZ7DXDFB7DG7DRV0B3",
    }
    return Event(**{**fields, **more})


def lines(schema_name: str, one: Event, place: Place) -> list[str]:
    builder = schema.PointBuilder(StorageSettings.model_validate({"schema": schema_name}))
    return [Encoder().line(point) for point in builder.points(one, place, "home", schema.point_time_ns(one))]


def test_the_lines_on_the_page_are_what_the_encoder_writes() -> None:
    measured = event(
        state="21.5",
        value=21.5,
        previous_state="21.4",
        unit="°C",
        attributes={"unit_of_measurement": "°C", "friendly_name": "Kitchen temperature", "battery": 87},
    )
    called = event(
        kind="event",
        event_type="call_service",
        subject="call_service:light.turn_on",
        entity_id=None,
        origin="LOCAL",
        user_id="c0ffee",
        data={"domain": "light", "service": "turn_on", "service_data": {"entity_id": ["light.hall"]}},
    )

    shown = lines("both", measured, KITCHEN) + lines("native", called, Place("call_service:light.turn_on", "light"))

    assert len(shown) == 3
    for line in shown:
        assert f"\n{line}\n" in PAGE


def test_the_page_names_every_field_tag_table_and_measurement() -> None:
    place_tags = [name for name, _ in schema.PointBuilder(StorageSettings())._tags("home", KITCHEN)]
    columns = [name for table in embedded_tables.COLUMNS.values() for name in table]
    names = [schema.STATES, schema.OTHERS, *place_tags, *columns, *schema._EXTRA, *embedded_tables.UPSERT, "series_id"]

    assert [name for name in names if f"`{name}`" not in PAGE] == []
