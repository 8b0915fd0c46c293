"""The demo home's life: the same for the same seed, believable, and true to Home Assistant's causes."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from ingestor.demo.clock import HOUR_US, ManualClock
from ingestor.demo.home import DemoHome
from ingestor.demo.recorder import Asked
from ingestor.demo.registry import RefusedError
from ingestor.demo.services import SERVICES
from ingestor.demo.wire import Event

#: A Wednesday in March, 05:00 in Amsterdam: everybody sleeps, the day is to come.
MORNING_US = int(datetime(2026, 3, 11, 4, tzinfo=UTC).timestamp()) * 1_000_000


def lived(seconds: float, *, step_s: float = 60, **options: object) -> tuple[DemoHome, list[Event]]:
    """Return a home after so many seconds, and what happened in them."""
    home = DemoHome(clock=ManualClock(MORNING_US), **options)  # type: ignore[arg-type]  # passed on as they are
    home.begin()
    events: list[Event] = []
    home.listen(events.append)
    for _ in range(round(seconds / step_s)):
        home.run_for(step_s)
    return home, events


@pytest.fixture(scope="module")
def day() -> tuple[DemoHome, list[Event]]:
    """A home of 150 entities after a day, and its events."""
    return lived(86_400, entities=150, rate=0.5)


def _counts(attributes: dict[str, object]) -> bool:
    return attributes.get("state_class") == "total_increasing"


def changes_of(events: list[Event], entity_id: str) -> list[Event]:
    return [event for event in events if event.entity_id == entity_id]


@pytest.mark.parametrize("entities", [10, 25, 60, 300, 2000])
def test_a_home_has_as_many_entities_as_asked_for(entities: int) -> None:
    home = DemoHome(entities=entities, clock=ManualClock())

    home.begin()

    assert len(home.bus.states) == entities


def test_a_home_has_twelve_rooms_on_three_floors_and_the_garden_on_none() -> None:
    home = DemoHome(clock=ManualClock())

    areas = home.registry.areas.values()

    assert len(areas) == 12
    assert len(home.registry.floors) == 3
    assert [area.name for area in areas if area.floor_id is None] == ["Garden"]


def test_most_entities_have_an_area_and_some_are_in_no_registry() -> None:
    home = DemoHome(clock=ManualClock())
    home.begin()

    placed = [entity_id for entity_id in home.bus.states if home.registry.area_of(entity_id)]
    unknown = set(home.bus.states) - set(home.registry.entities)

    assert len(placed) > 200
    assert {"zone.home", "sun.sun", "binary_sensor.anyone_home"} <= unknown


def test_every_device_that_hangs_on_a_hub_names_one_that_exists() -> None:
    devices = DemoHome(clock=ManualClock()).registry.devices

    hubs = {device.via_device_id for device in devices.values() if device.via_device_id}

    assert {devices[hub].name for hub in hubs} == {"Hue Bridge", "Zigbee Coordinator"}


def test_the_same_seed_gives_the_same_events_and_another_seed_others() -> None:
    def told(seed: int) -> list[bytes]:
        return [event.message(1) for event in lived(900, seed=seed, entities=80)[1]]

    assert told(7) == told(7)
    assert told(7) != told(8)


def test_events_do_not_depend_on_how_often_the_home_is_advanced() -> None:
    often = [event.message(1) for event in lived(600, entities=60, step_s=0.5)[1]]
    seldom = [event.message(1) for event in lived(600, entities=60, step_s=300)[1]]

    assert often == seldom


def test_no_two_events_have_the_same_time_and_times_only_grow(day: tuple[DemoHome, list[Event]]) -> None:
    times = [event.fired_us for event in day[1]]

    assert all(before < after for before, after in pairwise(times))


def test_the_rate_is_about_what_was_asked_for() -> None:
    _home, events = lived(600, entities=300, rate=20)

    changes = sum(event.event_type == "state_changed" for event in events)

    assert 0.7 * 20 < changes / 600 < 1.4 * 20


def test_counters_of_energy_never_fall(day: tuple[DemoHome, list[Event]]) -> None:
    series: dict[str, list[float]] = defaultdict(list)
    for event in day[1]:
        if event.new and event.new.state != "unavailable" and _counts(event.new.attributes):
            series[event.entity_id].append(float(event.new.state))

    assert len(series) > 3
    assert all(values == sorted(values) for values in series.values())
    assert any(values[-1] > values[0] for values in series.values())


def test_it_is_warmer_and_brighter_outside_by_day(day: tuple[DemoHome, list[Event]]) -> None:
    def mean(entity_id: str, start: int, end: int) -> float:
        values = [
            float(event.new.state)
            for event in changes_of(day[1], entity_id)
            if event.new and event.new.state != "unavailable" and start <= (event.fired_us - MORNING_US) / HOUR_US < end
        ]
        return sum(values) / len(values)

    assert mean("sensor.garden_motion_illuminance", 7, 10) > 50 * max(
        1.0, mean("sensor.garden_motion_illuminance", 18, 22)
    )


def test_people_move_when_they_are_awake(day: tuple[DemoHome, list[Event]]) -> None:
    hours = Counter(
        int((event.fired_us - MORNING_US) / HOUR_US)
        for event in day[1]
        if "motion_occupancy" in event.entity_id and event.new and event.new.state == "on"
    )

    asleep = sum(hours[hour] for hour in (19, 20, 21, 22))
    evening = sum(hours[hour] for hour in (13, 14, 15, 16))
    assert evening > 3 * asleep


def test_every_automation_runs_in_a_context_of_its_own_caused_by_what_it_watches(
    day: tuple[DemoHome, list[Event]],
) -> None:
    home, events = day
    watched = {one.entity_id: one.watched for one in home.routines.automations}
    states = {event.context.id: event for event in events if event.entity_id in set(watched.values())}

    triggered = [event for event in events if event.event_type == "automation_triggered"]

    assert len(triggered) > 50
    for event in triggered:
        cause = states[str(event.context.parent_id)]
        assert cause.entity_id == watched[event.data["entity_id"]]
        assert event.data["source"] == f"state of {cause.entity_id}"
        assert event.context.user_id is None


def test_what_an_automation_does_carries_its_context() -> None:
    home = DemoHome(entities=150, clock=ManualClock(MORNING_US))
    home.begin()
    events: list[Event] = []
    home.listen(events.append)

    home.set_state("binary_sensor.kitchen_motion_occupancy", "on")

    told = [
        (event.event_type, event.entity_id or event.data.get("service") or event.data["entity_id"]) for event in events
    ]
    automation = "automation.kitchen_light_on"
    assert told == [
        ("state_changed", "binary_sensor.kitchen_motion_occupancy"),
        ("automation_triggered", automation),
        ("state_changed", automation),
        ("call_service", "turn_on"),
        ("state_changed", "light.kitchen_light"),
        ("call_service", "increment"),
        ("state_changed", "counter.motion_lights"),
        ("state_changed", automation),
    ]
    assert {event.context.id for event in events[1:]} == {events[1].context.id}
    assert events[1].context.parent_id == events[0].context.id


def test_a_chain_leads_from_a_person_over_automation_script_and_scene_to_a_light() -> None:
    home = DemoHome(entities=300, clock=ManualClock(MORNING_US))
    home.begin()
    home.call_service("input_select.select_option", {"option": "Away"}, {"entity_id": ["input_select.house_mode"]})
    home.set_state("binary_sensor.anyone_home", "off")
    events: list[Event] = []
    home.listen(events.append)

    home.set_state("binary_sensor.anyone_home", "on")

    by_context = {event.context.id: event.context for event in events}
    light = next(event for event in events if event.entity_id == "light.living_room_light")
    script = next(event for event in events if event.event_type == "script_started")
    chain = [light.context]
    while chain[-1].parent_id in by_context:
        chain.append(by_context[str(chain[-1].parent_id)])
    assert script.context == light.context
    assert chain[-1].id == events[0].context.id
    assert len(chain) == 3


def test_only_the_first_link_of_a_chain_names_the_user(day: tuple[DemoHome, list[Event]]) -> None:
    by_user = [event for event in day[1] if event.context.user_id]

    assert by_user
    assert all(event.context.parent_id is None for event in by_user)


def test_devices_drop_out_as_a_whole_and_come_back(day: tuple[DemoHome, list[Event]]) -> None:
    home, events = day
    gone: dict[str, set[str]] = defaultdict(set)
    back = 0
    for event in events:
        if event.new and event.new.state == "unavailable":
            gone[home.registry.entities[event.entity_id].device_id or ""].add(event.entity_id)
        elif event.old and event.old.state == "unavailable":
            back += 1

    device_id, lost = next(iter(gone.items()))
    owned = {one.entity_id for one in home.registry.entities.values() if one.device_id == device_id}
    assert lost == owned
    assert back > 10


def test_a_pause_of_the_machine_is_not_made_up_for() -> None:
    clock = ManualClock(MORNING_US)
    home = DemoHome(entities=60, clock=clock)
    home.begin()
    events: list[Event] = []
    home.listen(events.append)

    clock.advance(3600)
    home.advance()
    after_pause = len(events)
    clock.advance(20)
    home.advance()

    assert after_pause < 10
    assert len(events) > after_pause


def test_a_renamed_entity_lives_on_under_its_new_name() -> None:
    home = DemoHome(entities=60, clock=ManualClock(MORNING_US))
    home.begin()
    old = next(entity_id for entity_id in home.bus.states if entity_id.endswith("linkquality"))

    home.registry.update_entity(old, {}, "sensor.another_name")
    events: list[Event] = []
    home.listen(events.append)
    home.run_for(600)

    assert changes_of(events, "sensor.another_name")
    assert not changes_of(events, old)


@pytest.mark.parametrize(
    ("new_name", "reason"), [("sensor.hallway_motion_battery", "registered"), ("light.no_sensor", "same domain")]
)
def test_a_name_that_is_taken_or_of_another_domain_is_refused(new_name: str, reason: str) -> None:
    home = DemoHome(entities=60, clock=ManualClock(MORNING_US))
    home.begin()

    with pytest.raises(RefusedError, match=reason):
        home.registry.update_entity("sensor.hallway_motion_illuminance", {}, new_name)


def test_history_is_not_there_before_the_recorder_has_committed_it() -> None:
    clock = ManualClock(MORNING_US)
    home = DemoHome(entities=10, clock=clock)
    home.begin()
    home.set_state("sensor.probe", "1")
    asked = Asked(0, 2**62, ["sensor.probe"])

    at_once = home.recorder.history(asked)
    clock.advance(4.9)
    just_before = home.recorder.history(asked)
    clock.advance(0.2)
    after = home.recorder.history(asked)

    assert (at_once, just_before) == ({}, {})
    assert [row["s"] for row in after["sensor.probe"]] == ["1"]


def test_a_removed_state_is_a_row_without_a_state() -> None:
    clock = ManualClock(MORNING_US)
    home = DemoHome(entities=10, clock=clock)
    home.begin()
    home.set_state("sensor.probe", "1")
    home.bus.remove("sensor.probe")
    clock.advance(5)

    rows = home.recorder.history(Asked(0, 2**62, ["sensor.probe"]))["sensor.probe"]

    assert [row["s"] for row in rows] == ["1", None]


def test_minimal_history_shows_attributes_of_the_first_row_alone_and_no_repetitions() -> None:
    clock = ManualClock(MORNING_US)
    home = DemoHome(entities=10, clock=clock)
    home.begin()
    for state, step in (("1", 1), ("1", 2), ("2", 3)):
        home.set_state("sensor.probe", state, {"step": step})
    clock.advance(5)

    asked = Asked(0, 2**62, ["sensor.probe"], significant_only=False, minimal=True)
    rows = home.recorder.history(asked)["sensor.probe"]

    assert [(row["s"], row.get("a")) for row in rows] == [("1", {"step": 1}), ("2", None)]


@pytest.mark.parametrize("version", ["2024.3.3", "2026.2.3"])
def test_the_seconds_of_a_history_row_are_the_time_of_the_state(version: str) -> None:
    clock = ManualClock(MORNING_US + 123_456)
    home = DemoHome(entities=10, clock=clock, ha_version=version)
    home.begin()
    changes = [home.set_state("sensor.probe", str(number)) for number in range(200)]
    clock.advance(5)

    rows = home.recorder.history(Asked(0, 2**62, ["sensor.probe"]))["sensor.probe"]

    live = [event.new.as_dict()["last_updated"] for event in changes if event and event.new]
    assert [datetime.fromtimestamp(row["lu"], UTC) for row in rows] == [datetime.fromisoformat(time) for time in live]


@pytest.mark.parametrize(("version", "reported"), [("2024.3.3", False), ("2024.5.0", True), ("2026.2.3", True)])
def test_states_say_when_they_were_last_reported_since_2024_5(version: str, reported: bool) -> None:
    home = DemoHome(entities=10, ha_version=version, clock=ManualClock())
    home.begin()

    states = [state.as_dict() for state in home.bus.states.values()]

    assert all(("last_reported" in state) is reported for state in states)


def test_every_service_that_is_listed_can_be_called() -> None:
    home = DemoHome(entities=300, clock=ManualClock())
    home.begin()
    for domain, names in SERVICES.items():
        entity_id = next(one for one in home.bus.states if one.startswith(f"{domain}."))
        for name in names:
            home.call_service(f"{domain}.{name}", {}, {"entity_id": [entity_id]})

    with pytest.raises(RefusedError, match="not found"):
        home.call_service("no.such")
