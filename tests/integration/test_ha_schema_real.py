"""The `home-assistant` schema equals what a real Home Assistant's own integration writes to the same InfluxDB 1.6."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

import pytest

from ingestor.events.event import Event
from ingestor.events.frame import Frame
from ingestor.events.point import FieldValue, Point
from ingestor.events.websocket import decode_websocket
from ingestor.storage.ha_schema import ha_point
from tests.servers import wait_until

if TYPE_CHECKING:
    from tests.homeassistant.run import HomeAssistant

pytestmark = pytest.mark.homeassistant

ODD_ATTRIBUTES = {
    "list": [1, 20],
    "nested": {"a": [True, None, 1.5]},
    "mac": "aa:bb:cc:11:22:33",
    "chip": "EFR32MG21",
    "when": "2026-11-21T02:47:24+00:00",
    "quoted": 'say "hi", a=b c\\d',
    "empty": "",
    "nothing": None,
    "yes": True,
    "number_in_text": "21.5",
    "umlaut ü": "Küche",
    "value": 5,
}


@pytest.fixture(params=["homeassistant", "homeassistant_2026"])
def home(request: pytest.FixtureRequest) -> HomeAssistant:
    """Each of the two in turn."""
    found: HomeAssistant = request.getfixturevalue(request.param)
    return found


def make_changes(home: HomeAssistant) -> None:
    """Change states of several kinds; `sensor.schema_last` is the last."""
    for color in ([255, 0, 0], [0, 128, 255]):
        home.call_service("light.turn_on", entity_id="light.bed_light", rgb_color=color, brightness=200)
    home.call_service("light.turn_off", entity_id="light.bed_light")
    home.call_service("climate.set_temperature", entity_id="climate.hvac", temperature=23)
    home.call_service("media_player.media_pause", entity_id="media_player.living_room")
    home.call_service("media_player.media_play", entity_id="media_player.living_room")
    home.call_service("input_boolean.toggle", entity_id="input_boolean.chain_one")
    home.call_service("input_number.set_value", entity_id="input_number.level", value=77.7)
    home.call_service("input_text.set_value", entity_id="input_text.note", value='a, "b" = c\\d ü')
    home.set_state("sensor.schema_odd", "21.5", unit_of_measurement="°C", **ODD_ATTRIBUTES)
    home.set_state("sensor.schema_words", "heat", **ODD_ATTRIBUTES)
    for state in ("on", "unavailable", "off", "unknown", "1_000", "nan_or_so"):
        home.set_state("binary_sensor.schema_words", state, device_class="door")
    home.set_state("sensor.schema_last", "1")


def written(home: HomeAssistant, point: Point) -> dict[str, FieldValue]:
    """Return the fields of the point that Home Assistant wrote there; {} where there is none."""
    measurement = point.measurement.replace("\\", "\\\\").replace('"', '\\"')
    tags = dict(point.tags)
    statement = (
        f'SELECT * FROM "{measurement}" WHERE "domain" = \'{tags["domain"]}\' AND'
        f" \"entity_id\" = '{tags['entity_id']}' AND time = {point.time_ns}"
    )
    query = urllib.parse.urlencode({"db": home.influxdb_database, "epoch": "ns", "q": statement})
    with urllib.request.urlopen(f"{home.influxdb_url}/query?{query}", timeout=10) as answer:
        (result,) = json.loads(answer.read())["results"]
    for series in result.get("series", []):
        row = dict(zip(series["columns"], series["values"][0], strict=True))
        names = set(row) - {"time", "domain", "entity_id"}
        return {name: row[name] for name in names if row[name] is not None}
    return {}


def listened(home: HomeAssistant) -> list[Event]:
    """Return the state changes of a while, decoded from what Home Assistant sends over its WebSocket."""
    found: list[Event] = []
    with home.connect() as conversation:
        conversation.command("subscribe_events", event_type="state_changed")
        make_changes(home)
        while not found or found[-1].entity_id != "sensor.schema_last":
            event = conversation.next_event("state_changed")
            payload = json.dumps({"type": "event", "event": event}).encode()
            frame = Frame(kind="websocket", payload=payload, received_ns=1)
            (decoded,) = decode_websocket(frame, 0, frozenset({"attributes"}))
            assert isinstance(decoded, Event)
            found.append(decoded)
    home.set_state("sensor.schema_last", "0")
    return found


def test_each_point_equals_what_home_assistant_wrote_itself(home: HomeAssistant) -> None:
    events = listened(home)
    points = [point for event in events if (point := ha_point(event)) is not None]
    wait_until(lambda: bool(written(home, points[-1])), timeout_s=60, what="Home Assistant's own points")

    differing = [
        (".".join(value for _, value in point.tags), name, ours.get(name), theirs.get(name))
        for point in points
        for ours, theirs in [(point.fields, written(home, point))]
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name) != theirs.get(name)
    ]

    assert differing == []
    assert len(points) >= 12
    assert len(events) - len(points) >= 2  # unavailable, unknown
