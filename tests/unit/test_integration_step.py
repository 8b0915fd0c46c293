"""The step `integration`: version and quality of an integration, and how an event's device was connected then."""

from __future__ import annotations

from typing import Any

from ingestor.enrichment.integration import IntegrationStep
from ingestor.enrichment.place import PlaceStep
from ingestor.enrichment.steps import Surroundings
from ingestor.enrichment.watching import Watching
from ingestor.events.event import Event, Place
from ingestor.home.cache import MemoryHomeMap
from ingestor.home.facts import DeviceFacts, HomeFacts, IntegrationFacts
from ingestor.home.model import Snapshot, Timeline
from ingestor.home.watched import MemoryWatched

NOON_US = 1_795_262_400_000_000
FACTS = HomeFacts(
    "home",
    integrations={"zha": IntegrationFacts("zha", version="2026.2.3", quality_scale="gold"), "x": IntegrationFacts("x")},
    devices={
        "dimmer": DeviceFacts(
            "dimmer",
            "Dimmer",
            link_quality_entity_id="sensor.lqi",
            signal_entity_id="sensor.rssi",
            battery_entity_id="sensor.battery",
        )
    },
    entity_devices={"light.hall": "dimmer", "sensor.battery": "dimmer", "light.other": "gone"},
)


def state(
    entity_id: str, seconds: float, value: str = "on", unit: str | None = None, source: str = "websocket"
) -> Event:
    at_us = NOON_US + int(seconds * 1e6)
    return Event(0, "state", "state_changed", entity_id, entity_id, at_us, 1, source, 1, state=value, unit=unit)


def told(*events: Event, facts: HomeFacts = FACTS) -> list[dict[str, Any]]:
    places = MemoryHomeMap()
    of = {"light.other": "x", "light.nobody": ""}
    timelines = {
        event.subject: Timeline(0, Place(event.subject, "light", integration=of.get(event.subject, "zha")))
        for event in events
    }
    places.publish(Snapshot("home", 1, 0, timelines), [])
    around, step = Surroundings("home", places, facts=facts), IntegrationStep(Watching(MemoryWatched()))
    step.begin(events, around)
    assert all(PlaceStep().apply(event, around) and step.apply(event, around) for event in events)
    return [event.extras or {} for event in events]


def test_an_event_tells_version_and_quality_of_its_integration() -> None:
    light, other, nobody = told(state("light.garden", 0), state("light.other", 0), state("light.nobody", 0))

    assert light == {"integration_version": "2026.2.3", "integration_quality": "gold"}
    assert other == nobody == {}


def test_an_event_tells_how_its_device_was_connected_at_its_own_time() -> None:
    events = [
        state("sensor.lqi", 10, "200", "lqi"),
        state("sensor.rssi", 11, "-60", "dBm"),
        state("sensor.battery", 12, "80", "%"),
        state("sensor.battery", 100, "79", "%"),
    ]
    found = told(*events, state("light.hall", 5), state("light.hall", 50), state("light.hall", 200))[4:]

    assert [[one.get(f"device_{name}") for name in ("link_quality", "signal", "battery")] for one in found] == [
        [None, None, None],
        [200.0, -60.0, 80.0],
        [200.0, -60.0, 79.0],
    ]


def test_a_battery_does_not_tell_of_itself_and_an_unavailable_one_tells_nothing() -> None:
    events = [
        state("sensor.battery", 1, "80", "%"),
        state("sensor.battery", 2, "unavailable", "%"),
        state("light.hall", 3),
    ]

    battery, _, light = told(*events)

    assert "device_battery" not in battery
    assert "device_battery" not in light


def test_what_is_read_back_from_history_has_no_version() -> None:
    battery = state("sensor.battery", 1, "80", "%")
    past = state("light.hall", 3, source="history")

    assert told(battery, past)[1] == {"device_battery": 80.0}
