"""What enrichment knows of a home at an event's time: who was home, the room's climate, where a tracker was."""

from __future__ import annotations

from typing import Any

import pytest

from ingestor.enrichment.opening import Means, enrichment_steps
from ingestor.enrichment.since import SinceStep
from ingestor.enrichment.zones import distance_m, geohash, nearest
from ingestor.events.context import CONTEXT_FIELDS, TYPES
from ingestor.events.event import Event, EventBatch, Extra, Place
from ingestor.home.cache import MemoryHomeMap
from ingestor.home.facts import AreaFacts, HomeFacts, PersonFacts, ZoneFacts
from ingestor.home.model import Snapshot, Timeline
from ingestor.home.observation import Observation, observation_of
from ingestor.home.sequence import MemorySequences
from ingestor.home.watched import Reading, current_readings, reading_of, watched_entities
from ingestor.pipeline.enrich import enrich

T_US = 1_795_262_400_000_000
S = 1_000_000
HOME_ZONE = ZoneFacts("zone.home", "Home", 52.52, 13.405, 100.0)
CITY = ZoneFacts("zone.city", "City", 52.52, 13.405, 20_000.0)
PARIS = ZoneFacts("zone.paris", "Paris", 48.8566, 2.3522, 5_000.0)
FACTS = HomeFacts(
    "home",
    areas={
        "kitchen": AreaFacts("kitchen", "Kitchen", "Ground", "sensor.kitchen_t", "sensor.kitchen_h"),
        "attic": AreaFacts("attic", "Attic", "Top", "sensor.attic_t", ""),
        "hall": AreaFacts("hall", "Hall"),
    },
    persons=[PersonFacts("person.anna", "Anna"), PersonFacts("person.bo", "Bo")],
    zones=[HOME_ZONE, CITY, PARIS],
    weather_entity_ids=["weather.home"],
)
AREAS = {
    "light.kitchen": "Kitchen",
    "light.attic": "Attic",
    "light.hall": "Hall",
    "sensor.kitchen_t": "Kitchen",
    "sensor.kitchen_h": "Kitchen",
    "sensor.attic_t": "Attic",
    "person.anna": "",
    "person.bo": "",
    "device_tracker.phone": "",
    "zone.home": "",
}


def state(entity_id: str, value: str | None, at_s: float = 0, **more: Any) -> Event:
    time_us = T_US + int(at_s * S)
    fields = {"state": value, "last_changed_us": time_us, **more}
    return Event(
        0, "state", "state_changed", entity_id, entity_id, time_us, 0, "websocket", hash(value) % 2**32, **fields
    )


class Worker:
    """One worker with its steps and their memory."""

    def __init__(self, *names: str, facts: HomeFacts = FACTS) -> None:
        self.steps = enrichment_steps(names, Means())
        self.facts = facts
        self.map = MemoryHomeMap()
        places = {name: Timeline(0, Place(name, name.partition(".")[0], area=area)) for name, area in AREAS.items()}
        self.map.publish(Snapshot("home", 1, 0, places), [])

    def enrich(self, *events: Event) -> list[dict[str, Extra]]:
        """Enrich a batch; return what context each event has."""
        batch = EventBatch("b" * 26, "home", "websocket", "j", 0, len(events), list(events))
        ready = enrich(batch, self.map, now_ns=0, wait_s=5, steps=self.steps, facts=self.facts).ready
        assert ready is not None
        assert [event.notes for event in ready.events] == [[]] * len(events)
        shared = [ready.moments[event.moment].fields if event.moment >= 0 else {} for event in ready.events]
        return [{**fields, **(event.extras or {})} for fields, event in zip(shared, ready.events, strict=True)]


def test_who_is_home_changes_with_the_event_that_brings_somebody_home() -> None:
    worker = Worker("presence")
    worker.enrich(state("person.anna", "not_home", -60), state("person.bo", "home", -60))

    found = worker.enrich(state("light.hall", "on", -1), state("person.anna", "home", 0), state("light.hall", "off", 1))

    assert [(one["persons_home"], one["persons_home_names"]) for one in found] == [
        (1, "Bo"),
        (2, "Anna, Bo"),
        (2, "Anna, Bo"),
    ]


def test_a_late_event_is_told_who_was_home_at_its_time() -> None:
    worker = Worker("presence")
    worker.enrich(state("person.anna", "home", 0), state("person.bo", "Work", 0))
    worker.enrich(state("person.anna", "not_home", 10))

    late, before = worker.enrich(state("light.hall", "on", 5), state("light.hall", "off", -5))

    assert (late["persons_home"], late["persons_home_names"]) == (1, "Anna")
    assert before == {}


@pytest.mark.parametrize("value", ["unknown", "unavailable", None])
def test_a_person_whose_whereabouts_are_not_known_is_not_counted(value: str | None) -> None:
    worker = Worker("presence")
    worker.enrich(state("person.anna", value, 0))
    assert worker.enrich(state("light.hall", "on", 1)) == [{}]

    worker.enrich(state("person.bo", "not_home", 2))

    assert worker.enrich(state("light.hall", "on", 3)) == [{"persons_home": 0, "persons_home_names": ""}]


def test_an_event_has_the_climate_of_its_room_at_its_time() -> None:
    worker = Worker("room")
    worker.enrich(
        state("sensor.kitchen_t", "20.5", 0, unit="°C"),
        state("sensor.kitchen_h", "40", 0, unit="%"),
        state("sensor.attic_t", "50", 0, unit="°F"),
    )

    found = worker.enrich(
        state("light.kitchen", "on", 5),
        state("light.attic", "on", 5),
        state("light.hall", "on", 5),
        state("light.kitchen", "off", -5),
        state("person.anna", "home", 5),
    )

    assert found == [{"room_temperature": 20.5, "room_humidity": 40.0}, {"room_temperature": 10.0}, {}, {}, {}]


def test_a_sensor_that_is_unavailable_says_nothing_of_the_room_from_then_on() -> None:
    worker = Worker("room")
    worker.enrich(state("sensor.attic_t", "10", 0, unit="°C"), state("sensor.attic_t", "unavailable", 10, unit="°C"))

    assert worker.enrich(state("light.attic", "on", 9), state("light.attic", "on", 11)) == [
        {"room_temperature": 10.0},
        {},
    ]


def test_new_facts_name_other_sensors() -> None:
    worker = Worker("room")
    worker.enrich(state("sensor.attic_t", "10", 0, unit="°C"))

    worker.facts = HomeFacts("home", areas={"hall": AreaFacts("hall", "Hall", "", "sensor.attic_t")})

    assert worker.enrich(state("light.hall", "on", 1), state("light.attic", "on", 1)) == [
        {"room_temperature": 10.0},
        {},
    ]


def test_a_tracker_has_the_nearest_zone_and_its_cell() -> None:
    where = {"latitude": 52.53, "longitude": 13.405, "gps_accuracy": 10}

    (found,) = Worker("zone").enrich(state("device_tracker.phone", "not_home", attributes=where))

    assert found == {"geo_cell": "u33dc4", "nearest_zone": "City", "nearest_zone_distance": 0.0}


@pytest.mark.parametrize(
    ("latitude", "zone", "distance_km"), [(52.52, "Home", 0), (48.9, "Paris", 0), (50.0, "Paris", 122.2)]
)
def test_the_nearest_zone_is_the_one_whose_edge_is_nearest_and_inside_several_the_smallest(
    latitude: float, zone: str, distance_km: float
) -> None:
    longitude = 13.405 if zone == "Home" else 2.3522

    near = nearest(latitude, longitude, FACTS.zones)

    assert near is not None
    assert near.zone.name == zone
    assert near.distance_m / 1000 == pytest.approx(distance_km, abs=0.5)
    # Berlin to Paris is 878 km.
    assert distance_m(52.52, 13.405, PARIS) == pytest.approx(878_000, rel=0.01)


# Reference: the worked examples of the Wikipedia article on geohashes, and the corners of the globe.
@pytest.mark.parametrize(
    ("latitude", "longitude", "cell"),
    [(57.64911, 10.40744, "u4pruydqq"), (42.605, -5.603, "ezs42"), (-90, -180, "00000"), (90, 180, "zzzzz")],
)
def test_the_cell_is_the_geohash(latitude: float, longitude: float, cell: str) -> None:
    assert geohash(latitude, longitude, len(cell)) == cell


@pytest.mark.parametrize(
    "attributes",
    [
        None,
        {},
        {"latitude": "x", "longitude": 1},
        {"latitude": 91, "longitude": 1},
        {"latitude": 1},
        {"latitude": float("nan"), "longitude": 1.0},
    ],
)
def test_coordinates_that_are_none_say_nothing(attributes: dict[str, Any] | None) -> None:
    assert Worker("zone").enrich(state("device_tracker.phone", "home", attributes=attributes)) == [{}]


def test_a_zone_itself_is_no_tracker() -> None:
    assert Worker("zone").enrich(state("zone.home", "1", attributes={"latitude": 1.0, "longitude": 1.0})) == [{}]


def test_the_time_since_the_last_change_is_what_the_event_itself_tells() -> None:
    changed = state("light.hall", "on", 0, previous_changed_us=T_US - 90 * S)
    same = state("light.hall", "on", 30, last_changed_us=T_US)

    found = Worker("since").enrich(changed, same)

    assert [one["seconds_since_change"] for one in found] == [90.0, 30.0]


def test_where_the_event_does_not_tell_the_memory_of_all_workers_does() -> None:
    worker = Worker("since")
    found = [
        *worker.enrich(state("light.hall", "on", 0, last_changed_us=None)),
        *worker.enrich(state("light.hall", "on", 10, last_changed_us=None)),
        *worker.enrich(state("light.hall", "off", 25, last_changed_us=None)),
        *worker.enrich(state("light.hall", "on", 26, last_changed_us=None)),
    ]

    assert [one.get("seconds_since_change") for one in found] == [None, 10.0, 25.0, 1.0]
    assert [one["sequence"] for one in found] == [1, 2, 3, 4]


def test_events_of_a_batch_are_numbered_by_their_time_and_a_late_one_gets_none() -> None:
    worker = Worker("since")

    found = worker.enrich(state("light.hall", "b", 2), state("light.hall", "a", 1), state("light.attic", "on", 1))
    late = worker.enrich(state("light.hall", "c", 1.5), state("light.hall", "d", 3))

    assert [one.get("sequence") for one in [*found, *late]] == [2, 1, 1, None, 3]


def test_without_the_state_server_events_go_on_with_a_note_and_without_a_number() -> None:
    class Away(MemorySequences):
        def count(self, home: str, seen: object) -> list[Any]:
            raise ConnectionError("away")

    worker, event = Worker(), state("light.hall", "on", 0, previous_changed_us=T_US - S)
    batch = EventBatch("b" * 26, "home", "websocket", "j", 0, 1, [event])

    outcome = enrich(batch, worker.map, now_ns=0, wait_s=5, steps=(*worker.steps, SinceStep(Away())))

    assert outcome.ready is not None
    assert event.extras == {"seconds_since_change": 1.0}
    assert event.notes == ["since: ConnectionError: away"]


def test_a_sync_tells_what_the_watched_entities_are() -> None:
    stamp = {"last_changed": "2026-11-21T12:00:00+00:00", "last_updated": "2026-11-21T12:00:30+00:00"}
    states: list[dict[str, Any]] = [
        {"entity_id": "person.anna", "state": "home", "attributes": {}, **stamp},
        {"entity_id": "sensor.attic_t", "state": "50", "attributes": {"unit_of_measurement": "°F"}, **stamp},
        {"entity_id": "weather.home", "state": "sunny", "attributes": {"temperature": 5}, **stamp},
        {"entity_id": "light.hall", "state": "on", "attributes": {}, **stamp},
        {"entity_id": "sensor.kitchen_t", "state": "1", "attributes": None, **stamp},
        {"entity_id": "sensor.kitchen_h", "state": "1", "attributes": {}, "last_changed": None},
    ]

    found = current_readings(FACTS, states)

    assert found == [
        Reading("person.anna", T_US, "home"),
        Reading("sensor.attic_t", T_US, 10.0),
        Reading("weather.home", T_US + 30 * S, Observation(T_US + 30 * S, "homeassistant", "sunny", 5.0)),
    ]
    assert "light.hall" not in watched_entities(FACTS)


def test_the_weather_of_home_assistant_is_taken_in_units_of_our_own() -> None:
    american = {
        "temperature": 50,
        "temperature_unit": "°F",
        "humidity": 80,
        "pressure": 29.92,
        "pressure_unit": "inHg",
        "wind_speed": 10,
        "wind_speed_unit": "mph",
        "cloud_coverage": 75,
    }
    metric = {
        "temperature": 5.5,
        "temperature_unit": "°C",
        "wind_speed": 36,
        "wind_speed_unit": "km/h",
        "pressure": 1013,
    }

    assert observation_of(1, "rainy", american) == Observation(
        1, "homeassistant", "rainy", 10.0, 80.0, 1013.21, 4.47, 75.0
    )
    assert observation_of(2, "sunny", metric) == Observation(2, "homeassistant", "sunny", 5.5, None, 1013.0, 10.0)
    strange = {
        "temperature": "warm",
        "pressure": 1,
        "pressure_unit": "bananas",
        "humidity": True,
        "wind_speed": float("inf"),
    }
    assert observation_of(3, "sunny", strange) == Observation(3, "homeassistant", "sunny")
    assert observation_of(4, "unavailable", metric) is None
    assert reading_of("weather.home", 5, None, None, {}) == Reading("weather.home", 5, None)
    assert observation_of(6, "x", {"wind_speed": 4, "wind_speed_unit": "Beaufort"}) == Observation(
        6, "homeassistant", "x", wind_m_s=6.69
    )


def test_every_field_of_these_steps_is_declared_with_its_type() -> None:
    declared = {field.name: TYPES[field.kind] for field in CONTEXT_FIELDS}
    worker = Worker("presence", "room", "zone", "since")
    worker.enrich(
        state("sensor.kitchen_t", "20", 0, unit="°C"),
        state("sensor.kitchen_h", "40", 0, unit="%"),
        state("person.bo", "home", 0),
    )
    where = {"latitude": 52.53, "longitude": 13.405}

    (found,) = worker.enrich(state("light.kitchen", "on", 1, attributes=where, previous_changed_us=T_US))

    assert {name: type(value) for name, value in found.items()} == {name: declared[name] for name in found}
    assert len(found) == 9
