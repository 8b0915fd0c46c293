"""The step `errors`: a log event taken apart, tied to what it is about, with nothing of its stack trace lost."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ingestor import errors
from ingestor.enrichment.log_errors import ErrorsStep
from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event, Place
from ingestor.home.cache import MemoryHomeMap
from ingestor.home.facts import AutomationFacts, DeviceFacts, HomeFacts, IntegrationFacts
from ingestor.home.model import Snapshot, Timeline
from ingestor.settings import StorageSettings
from ingestor.storage.schema import PointBuilder

FACTS = HomeFacts(
    "home",
    integrations={"zha": IntegrationFacts("zha", loggers=("zigpy", "bellows"))},
    devices={"d": DeviceFacts("d", "Hall Dimmer"), "e": DeviceFacts("e", "Hall")},
    automations={
        "automation.level_watcher": AutomationFacts("automation.level_watcher", "Level watcher"),
        "automation.motion_light": AutomationFacts("automation.motion_light", "Motion light"),
    },
)
NODE = Place("sensor.zoo_node_3_power", "sensor", device="Zoo Node 3", integration="mqtt")


def log(
    message: Any = "it failed", name: str = "homeassistant.components.hue.bridge", exception: Any = "", **data: Any
) -> Event:
    body = {"name": name, "message": [message] if isinstance(message, str) else message, "level": "ERROR", **data}
    event = Event(0, "event", "system_log_event", "system_log_event:-", None, 1, 1, "websocket", 1)
    event.data = {**body, "exception": exception}
    return event


def fields(event: Event) -> dict[str, Any]:
    places = MemoryHomeMap()
    timelines = {"sensor.zoo_node_3_power": Timeline(0, NODE)}
    places.publish(Snapshot("home", 1, 0, timelines), [])
    assert ErrorsStep().apply(event, Surroundings("home", places, facts=FACTS))
    return dict(event.extras or {})


def test_a_log_event_is_taken_apart() -> None:
    event = log(
        ["first", "second"],
        exception="Traceback ...",
        source=["components/hue/bridge.py", 12],
        count=3,
        first_occurred=1795229244.5,
        timestamp=1795229250.0,
    )

    assert fields(event) == {
        "log_level": "ERROR",
        "logger": "homeassistant.components.hue.bridge",
        "log_message": "first\nsecond",
        "exception": "Traceback ...",
        "log_source": "components/hue/bridge.py:12",
        "log_count": 3,
        "log_first_occurred": "2026-11-21T02:47:24.500000+00:00",
        "log_integration": "hue",
    }
    assert "exception" not in (event.data or {})
    assert (event.data or {})["timestamp"] == 1795229250.0


@pytest.mark.parametrize(
    ("logger", "source", "integration"),
    [
        ("homeassistant.components.mqtt.models", None, "mqtt"),
        ("custom_components.my_thing", None, "my_thing"),
        ("custom_components.my_thing.sensor", ["helpers/entity.py", 3], "my_thing"),
        ("zigpy.application", ["/usr/lib/zigpy/application.py", 9], "zha"),
        ("homeassistant", ["components/demo/sensor.py", 4], "demo"),
        ("homeassistant", ["custom_components/own/sensor.py", 4], "own"),
        ("homeassistant.core", ["core.py", 1286], None),
        ("", None, None),
    ],
)
def test_an_error_is_tied_to_the_integration_by_its_logger_its_library_or_its_file(
    logger: str, source: Any, integration: str | None
) -> None:
    assert fields(log(name=logger, source=source)).get("log_integration") == integration


@pytest.mark.parametrize(
    ("logger", "message", "automation"),
    [
        ("homeassistant.components.automation.motion_light", "Error executing script", "automation.motion_light"),
        (
            "homeassistant.components.homeassistant.triggers",
            "Error in 'Level watcher' trigger: ...",
            "automation.level_watcher",
        ),
        ("homeassistant.helpers.script", "Level watchers are many", None),
        ("homeassistant.components.script.good_night", "Error executing script", "script.good_night"),
    ],
)
def test_an_error_is_tied_to_the_automation_that_its_logger_or_its_message_names(
    logger: str, message: str, automation: str | None
) -> None:
    assert fields(log(message, name=logger)).get("log_automation") == automation


def test_an_error_of_a_serving_part_is_about_the_integration_of_the_entity_that_it_names() -> None:
    found = fields(
        log("Error adding entity sensor.zoo_node_3_power for domain sensor", "homeassistant.components.sensor")
    )

    assert found["log_entity_id"] == "sensor.zoo_node_3_power"
    assert found["log_device"] == "Zoo Node 3"
    assert found["log_integration"] == "mqtt"


def test_the_longest_name_of_a_device_that_stands_there_as_words_is_taken() -> None:
    assert fields(log("cannot reach Hall Dimmer."))["log_device"] == "Hall Dimmer"
    assert "log_device" not in fields(log("cannot reach Hall Dimmers, Hallway"))


@pytest.mark.parametrize("letter", ["x", "ü", "\U0001f525"])
@pytest.mark.parametrize("length", [14_999, 60_000, 60_001, 110_000])
def test_a_long_stack_trace_is_kept_whole_over_several_fields(letter: str, length: int) -> None:
    trace = "".join(letter if number % 70 else "\n" for number in range(length))
    event = log(exception=trace)

    found = fields(event)

    names = ["exception", *(f"exception_{number}" for number in range(2, 9))]
    assert "".join(str(found.get(name, "")) for name in names) == trace
    (point,) = PointBuilder(StorageSettings()).points(event, Place("s", "d"), "home", 1)
    assert all(len(str(value).encode()) <= 65_000 for value in point.fields.values())


def test_a_trace_that_no_fields_hold_is_for_the_quarantine_whole() -> None:
    event = log(exception="x" * 500_000)

    found = fields(event)

    assert "exception" not in found
    with pytest.raises(errors.Rejected, match="field_too_long"):
        PointBuilder(StorageSettings()).points(event, Place("s", "d"), "home", 1)


@pytest.mark.parametrize(
    "data", [{"message": None}, {"message": 5}, {"source": "x", "count": True, "first_occurred": "y"}, {"exception": 7}]
)
def test_a_log_event_of_somebody_elses_shape_is_taken_as_far_as_it_goes(data: dict[str, Any]) -> None:
    event = log()
    event.data = {"name": "a", "level": "ERROR", **data}

    assert fields(event)["logger"] == "a"


def test_other_events_are_left_alone() -> None:
    event = Event(0, "event", "call_service", "call_service:-", None, 1, 1, "websocket", 1, data={"message": "x"})

    assert fields(event) == {}


def test_recorded_errors_are_tied_to_their_integrations() -> None:
    recording = Path(__file__).parents[1] / "recordings" / "log_events.json.gz"
    with gzip.open(recording) as file:
        recorded = json.load(file)

    found = [fields(log(name=one["name"], message=one["message"], source=one["source"])) for one in recorded]

    told = {one["name"]: extras.get("log_integration") for one, extras in zip(recorded, found, strict=True)}
    assert told["homeassistant.components.mqtt.models"] == "mqtt"
    assert told["homeassistant.components.automation.always_fails_bad_template"] == "automation"
    assert len([name for name in told.values() if name]) >= len(told) - 6
