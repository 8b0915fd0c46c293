"""The whole stack beside a real Home Assistant that is restarted once: by both roads, once each, in its place.

The `home-assistant` schema is compared with what that Home Assistant's own InfluxDB integration wrote meanwhile.
Not compared, each for a reason:

- What was changed while we were not connected (the restart): outside of `Story.windows`. It is read back as a gap.
- `access_token` and the token in `entity_picture`: Home Assistant stores these secrets, we redact them (rule 18).
- Events that Home Assistant's WebSocket cannot serialise (bytes, sets of objects): no client hears them; this home
  has none, so nothing is left out for it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import make
from tests.homeassistant.configuration import InfluxTarget
from tests.homeassistant.install import HA_2024, HA_2026, Release
from tests.homeassistant.run import HomeAssistant
from tests.servers_stores import InfluxDB
from tests.system import home_life
from tests.system.home_story import BY_BOTH, MARK, OTHERS, STATES, Story, ended_gaps, tell
from tests.system.influxql import Database, Fields, Key
from tests.system.line import Line
from tests.system.stack import Stack, wait_until
from tests.system.witness import Witness

pytestmark = [pytest.mark.homeassistant, pytest.mark.timeout(600)]

#: Events other than changes of state that happen in this home, and that a listener subscribes to by default.
OTHER_TYPES = (
    *("automation_triggered", "script_started", "call_service", "entity_registry_updated", "device_registry_updated"),
    *("persistent_notifications_updated", "system_log_event", "component_loaded", "service_registered"),
)
#: Measurements of our own schema; what holds for the home has a point in whichever window a minute begins.
OUR_OWN = {
    *(STATES, OTHERS, "home_assistant_context", "home_assistant_entities"),
    *("home_degree_days", "ha_quality", "ha_heartbeat"),
}
SECRETS = ("access_token", "entity_picture")


@pytest.fixture(scope="module", params=[HA_2024, HA_2026], ids=lambda release: release.version)
def home(request: pytest.FixtureRequest, influxdb: InfluxDB) -> Iterator[HomeAssistant]:
    """One at a time: the machine is small."""
    release: Release = request.param
    database = f"system_theirs_{release.python}"
    server = make(HomeAssistant, release=release, influx=InfluxTarget(influxdb.port, database))
    influxdb.create_database(database)
    with server:
        yield server
        server.kill()  # nobody wants it again, and its recorder takes its time to stop


@pytest.fixture(scope="module")
def story(home: HomeAssistant, influxdb: InfluxDB, tmp_path_factory: pytest.TempPathFactory) -> Story:
    ours = influxdb.create_database(f"system_ours_{home.release.python}")
    stack = Stack(
        tmp_path_factory.mktemp("story") / "data",
        HA_INGESTOR_HOMEASSISTANT__URL=home.url,
        HA_INGESTOR_HOMEASSISTANT__TOKEN=home.token,
        HA_INGESTOR_MQTT__URL=home.mqtt_url,
        HA_INGESTOR_STORAGE__URL=f"influxdb1://127.0.0.1:{influxdb.port}/{ours}",
        HA_INGESTOR_STORAGE__SCHEMA="both",
        # Right after the rename Home Assistant is away, for half a minute on a busy machine: nobody to ask then.
        HA_INGESTOR_WORKERS__UNKNOWN_WAIT_S="60",
    )
    try:
        return tell(home, stack, Database(home.influxdb_url, home.influxdb_database), Database(influxdb.url, ours))
    finally:
        if stack.process is not None and not stack.ended():
            stack.stop()


def test_every_change_of_state_is_stored_once_as_home_assistant_sent_it(story: Story) -> None:
    sent, stored = story.changes(), story.stored_changes()

    assert sorted(sent - stored, key=str) == []
    assert sorted(stored - sent, key=str) == []
    assert sent.total() > 150
    assert {entity_id for entity_id, _, state in stored if state is None} >= {home_life.REMOVED}


def test_both_roads_are_heard_and_the_richer_one_is_what_is_stored(story: Story) -> None:
    sources = Counter(fields["source"] for fields in story.stored(STATES).values())
    listeners = {one["name"]: one for one in story.status["listeners"]}

    assert set(sources) == {"websocket"}
    assert all(one["connected"] for one in listeners.values()), listeners
    assert len(listeners) == 2
    assert story.status["counts"]["duplicate"] >= BY_BOTH * story.changes().total()
    assert (story.status["counts"]["rejected"], story.status["counts"]["lost"]) == (0, 0)


def test_every_entity_has_the_area_and_the_device_that_it_has_in_home_assistant(story: Story) -> None:
    old, new = home_life.RENAMED
    expected = {entity["entity_id"]: _place(story, entity) for entity in story.entities}
    expected[old] = expected[new]

    wrong = {
        (fields["entity_id"], found)
        for (_, tags, _), fields in story.stored(STATES).items()
        if (found := (dict(tags)["area"], dict(tags)["device"])) != expected.get(fields["entity_id"], ("-", "-"))
    }

    assert wrong == set()
    assert expected[new] == ("Living Room", "Ceiling Lights")
    assert expected["input_boolean.chain_one"] == ("Kitchen", "-")


def _place(story: Story, entity: dict[str, Any]) -> tuple[str, str]:
    device = story.devices.get(entity["device_id"] or "", {})
    area_id = str(entity["area_id"] or device.get("area_id"))
    return story.areas.get(area_id, "-"), device.get("name_by_user") or device.get("name") or "-"


def test_other_events_are_stored_once_each_with_their_context(story: Story) -> None:
    sent = Counter(
        (one.event_type, one.context["id"], one.time_us)
        for one in story.said
        if one.event_type in OTHER_TYPES and story.in_windows(one.time_us)
    )

    stored = Counter(
        (fields["event_type"], fields["context_id"], key[2] // 1000) for key, fields in story.stored(OTHERS).items()
    )

    assert sorted(sent - stored) == []
    assert sorted(stored - sent) == []
    assert {"automation_triggered", "script_started", "call_service"} <= {event_type for event_type, _, _ in stored}


def test_the_chain_of_automations_can_be_followed_from_the_button_to_the_script(story: Story) -> None:
    events = list(story.stored(OTHERS).values())
    presses = [one for one in story.stored(STATES).values() if one["entity_id"] == "input_button.press"]

    for press in presses:
        first = _caused_by(events, press["context_id"], "automation.chain_a")
        second = _caused_by(events, first["context_id"], "automation.chain_b")
        third = _caused_by(events, second["context_id"], "automation.chain_c")
        done = {one["event_type"] for one in events if one["context_id"] == third["context_id"]}
        assert done >= {"automation_triggered", "call_service", "script_started"}
        assert [_told_cause(one) for one in (first, second, third)] == [
            ("user", first["cause_id"], "user", first["cause_id"], 1),
            ("automation", "automation.chain_a", "user", first["cause_id"], 2),
            ("automation", "automation.chain_b", "user", first["cause_id"], 3),
        ]
        by_hand = [one for one in events if one["context_id"] == press["context_id"]]
        assert [one["event_type"] for one in by_hand] == ["call_service"]
        assert by_hand[0]["user_id"]
    assert len(presses) == 2


def _caused_by(events: list[Fields], cause: str, entity_id: str) -> Fields:
    triggered = [one for one in events if one["event_type"] == "automation_triggered"]
    (found,) = [one for one in triggered if one.get("parent_id") == cause and one["entity_id"] == entity_id]
    return found


def test_a_renamed_entity_stays_one_series_and_its_name_of_the_day_is_a_field(story: Story) -> None:
    old, new = home_life.RENAMED
    points = [(dict(tags), fields) for (_, tags, _), fields in story.stored(STATES).items()]
    renamed = [(tags["series"], fields["entity_id"]) for tags, fields in points if fields["entity_id"] in (old, new)]

    assert {series for series, _ in renamed} == {old}
    assert {name for _, name in renamed} == {old, new}
    after = [fields for key, fields in story.stored(STATES).items() if key[2] // 1000 >= story.windows[1].start_us]
    assert new in {fields["entity_id"] for fields in after}


def test_nothing_is_in_quarantine(story: Story) -> None:
    assert [(piece["reason"], piece["detail"], piece["raw"][:300]) for piece in story.quarantine] == []


def test_the_listener_finds_a_restarted_home_assistant_by_itself(story: Story) -> None:
    since_ns = story.windows[1].start_us * 1000
    after = [key for key in story.stored(STATES) if key[2] >= since_ns]

    assert len(after) > 50
    assert story.listeners_before == story.listeners_after
    assert len(story.listeners_after) == 1
    assert "starting it again" not in story.stack.printed()


def test_the_restart_is_a_gap_that_was_read_back(story: Story) -> None:
    before, after = story.windows
    # On a busy machine it may be told as an overload: then we read too late what Home Assistant said last.
    spanning = [gap for gap in story.gaps if gap["start_us"] < after.start_us and gap["end_us"] > before.end_us]

    assert spanning, story.gaps
    assert {(gap["state"], gap["why"]) for gap in spanning} == {("filled", "")}


def test_the_home_assistant_schema_is_point_for_point_what_its_own_integration_wrote(story: Story) -> None:
    theirs = _all_points(story, story.theirs, set())
    ours = _all_points(story, story.ours, OUR_OWN)

    assert sorted(theirs.keys() - ours.keys(), key=str) == []
    assert sorted(ours.keys() - theirs.keys(), key=str) == []
    differing = [
        (key[0], key[2], name, theirs[key].get(name), ours[key].get(name))
        for key in theirs
        for name in sorted(theirs[key].keys() | ours[key].keys())
        if not _is_same(name, theirs[key].get(name), ours[key].get(name))
    ]
    assert not differing, "\n".join(map(str, differing))
    assert len(theirs) > 120


def test_the_fields_of_the_home_assistant_schema_have_the_types_that_its_own_integration_gives_them(
    story: Story,
) -> None:
    measurements = {key[0] for key in _all_points(story, story.theirs, set())}

    for measurement in sorted(measurements):
        theirs, ours = (database.field_types(measurement) for database in (story.theirs, story.ours))
        common = theirs.keys() & ours.keys()
        assert {name: ours[name] for name in common} == {name: theirs[name] for name in common}, measurement


def _all_points(story: Story, database: Database, without: set[str]) -> dict[Key, Fields]:
    found: dict[Key, Fields] = {}
    for measurement in database.measurements() - without:
        for window in story.windows:
            found |= database.points(measurement, window.start_us * 1000, window.end_us * 1000)
    return found


def _is_same(name: str, theirs: object, ours: object) -> bool:
    if name.removesuffix("_str") in SECRETS and theirs is not None:
        # The digits of a secret are a number of their own in Home Assistant's points, and none in ours.
        return ours is None or (isinstance(ours, str) and "**redacted**" in ours)
    return isinstance(theirs, str) == isinstance(ours, str) and theirs == ours


def test_mqtt_alone_is_enough_where_nothing_else_is_configured(
    home: HomeAssistant, story: Story, stack_factory: Callable[..., Stack]
) -> None:
    stack = stack_factory(
        HA_INGESTOR_MQTT__URL=home.mqtt_url,
        # The session of the stack before would hand over what came since.
        HA_INGESTOR_MQTT__CLIENT_ID="system-test-mqtt-alone",
    )
    witness = Witness(home)
    entity = "input_number.level"

    def is_stored() -> bool:
        home.call_service("input_number.increment", entity_id=entity)
        return bool(stack.events("--entity", entity))

    wait_until(is_stored, 60, "a first event by statestream")
    home.set_state(MARK, "by MQTT alone")
    wait_until(lambda: stack.events("--entity", MARK), 60, "the mark")

    stored = stack.events("--limit", "1000")
    witness.close()
    sent = {one.change for one in witness.of_type("state_changed")}
    assert {event["fields"]["source"] for event in stored} == {"statestream"}
    found = [(one["fields"]["entity_id"], one["time_ns"] // 1000, one["fields"]["state"]) for one in stored]
    assert len(found) == len(set(found))
    assert set(found) <= sent
    assert {entity, MARK, "sensor.twice_level"} <= {entity_id for entity_id, _, _ in found}
    assert stack.run("quarantine", "list", "--json").strip() == ""
    assert story.stack.ended()


def _told_cause(event: Any) -> tuple[Any, ...]:
    return tuple(event[name] for name in ("cause_kind", "cause_id", "root_cause_kind", "root_cause_id", "cause_depth"))


def test_what_happened_while_the_line_was_cut_is_read_back_and_long_ago_as_hourly_statistics(
    home: HomeAssistant, stack_factory: Callable[..., Stack]
) -> None:
    if home.release is HA_2024:
        pytest.skip("half a minute: one release will do, the other one's history is read back in the story")
    witness = Witness(home)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=40)
    _import_hours(home, "sensor.long_ago", hour)
    with Line(int(home.url.rpartition(":")[2])) as line:
        stack = stack_factory(
            HA_INGESTOR_HOMEASSISTANT__URL=f"http://127.0.0.1:{line.port}", HA_INGESTOR_HOMEASSISTANT__TOKEN=home.token
        )
        wait_until(lambda: _said(home) and stack.events("--limit", "1"), 90, "an event")
        # An entity that comes and goes while nobody listens cannot be asked for: this one was heard of before.
        home.set_state("sensor.removed_meanwhile", "before")
        wait_until(lambda: stack.events("--entity", "sensor.removed_meanwhile"), 60, "it is known")

        line.cut()
        home.set_state("sensor.long_ago", "1")
        for number in range(20):
            home.call_service("input_number.increment", entity_id="input_number.level")
            home.set_state("sensor.attributes_alone", "same", number=number)
        home.set_state("sensor.removed_meanwhile", "there")
        home.remove_state("sensor.removed_meanwhile")
        line.mend()
        wait_until(lambda: _said(home) and _ended(stack, 1), 60, "the gap ended")
        days = (datetime.now(UTC) - hour).total_seconds() / 86_400
        stack.run("gaps", "add", "--from", f"{int(days * 24) + 1}h", "--to", f"{int(days * 24) - 2}h")
        wait_until(lambda: _ended(stack, 2), 60, "the old span is read back")

        gap, old = _ended(stack, 2)
        stored = stack.events("--kind", "state", "--limit", "100000")
    witness.close()
    assert (gap["state"], gap["why"]) == ("filled", "")
    span = range(gap["start_us"], gap["end_us"])
    expected = Counter(one.change for one in witness.of_type("state_changed") if one.time_us in span)
    found = [(one["fields"]["entity_id"], one["time_ns"] // 1000, one["fields"].get("state")) for one in stored]
    assert Counter(change for change in found if change[1] in span) == expected
    assert [entity_id for entity_id, _, _ in expected].count("sensor.attributes_alone") == 20
    assert {state for entity_id, _, state in expected if entity_id == "sensor.removed_meanwhile"} >= {"there", None}
    assert old["state"] == "partly filled"
    hours = [one for one in stored if one["fields"].get("origin") == "statistics"]
    assert [(one["fields"]["entity_id"], one["fields"]["value"]) for one in hours] == [("sensor.long_ago", 11.5)]
    assert hours[0]["time_ns"] // 1000 == int(hour.timestamp()) * 10**6


def _said(home: HomeAssistant) -> bool:
    """Have the home say something, so that there is something to hear."""
    home.set_state(MARK, time.time_ns())
    return True


def _ended(stack: Stack, count: int) -> list[dict[str, Any]]:
    found = ended_gaps(stack)
    return found if len(found) >= count else []


def _import_hours(home: HomeAssistant, statistic_id: str, hour: datetime) -> None:
    about = {"statistic_id": statistic_id, "source": "recorder", "name": None, "unit_of_measurement": "W"}
    kinds = {"has_mean": True} if home.release is HA_2024 else {"mean_type": 1, "unit_class": None}
    stats = [{"start": hour.isoformat(), "mean": 11.5, "min": 11.0, "max": 12.0}]
    home.command_result("recorder/import_statistics", metadata={**about, **kinds, "has_sum": False}, stats=stats)
