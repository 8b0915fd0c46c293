"""The whole of a home, read from a running demo home: its facts and its objects, as an admin and as a mere user."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from ingestor.cli.doctor_homes import examine_homes
from ingestor.demo.running import RunningDemo, running_demo
from ingestor.home.facts import HomeFacts
from ingestor.home.facts_redis import RedisFacts
from ingestor.home.objects import KINDS
from ingestor.home.objects_store import RegistryObjects
from ingestor.home.sync import run_sync
from ingestor.home.traces.fetching import Fetched
from ingestor.home.traces.model import Child
from ingestor.home.traces.requests import note_started
from ingestor.home.traces.store import RoutineTraces
from ingestor.home.traces.sync import item_ids, run_fetch
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.homeassistant.rest import HomeAssistantRest
from ingestor.queue.state import connect_state
from ingestor.settings import HomeAssistantSettings, HomeSettings, RegistrySettings, Settings
from ingestor.storage.database import open_database


class Bench:
    """A home's sync from a demo home into a Redis and a SQLite of its own."""

    def __init__(self, demo: RunningDemo, redis_url: str, folder: Path, token: str) -> None:
        self.demo = demo
        self.state = connect_state(redis_url)
        self.database = open_database(f"sqlite:///{folder / 'metadata.sqlite'}")
        self.ha = HomeAssistantSettings(url=demo.url, token=SecretStr(token))
        self.home = HomeSettings(name=f"home-{uuid.uuid4().hex[:12]}", homeassistant=self.ha)

    def sync(self) -> None:
        run_sync(self.home, RegistrySettings(), self.state, self.database)

    def fetch(self, *, whole: bool = False) -> Fetched:
        return run_fetch(self.home, RegistrySettings(), self.state, self.database, whole=whole)

    def facts(self) -> HomeFacts:
        source = RedisFacts(self.state, [self.home.name])
        source.refresh()
        return source.facts(self.home.name)

    def objects(self, kind: str) -> dict[str, dict[str, Any]]:
        return RegistryObjects(self.database).load(self.home.name, kind).get(kind, {})


@pytest.fixture
def demo() -> Iterator[RunningDemo]:
    with running_demo(entities=200) as found:
        yield found


@pytest.fixture
def bench(demo: RunningDemo, redis_server: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    token = demo.user_token if getattr(request, "param", "") == "user" else demo.token
    found = Bench(demo, redis_server.url, tmp_path, token)
    yield found
    found.database.dispose()


def test_a_sync_brings_out_the_facts_of_the_home(bench: Bench) -> None:
    bench.sync()

    facts = bench.facts()
    assert (facts.time_zone, facts.country, facts.temperature_unit) == ("Europe/Amsterdam", "NL", "°C")
    assert {area.name: area.temperature_entity_id for area in facts.areas.values()}["Kitchen"].startswith("sensor.")
    assert {person.user_id for person in facts.persons} <= facts.users.keys()
    assert facts.weather_entity_ids
    assert facts.integrations["mqtt"].state == "loaded"
    assert any(one.link_quality_entity_id or one.battery_entity_id for one in facts.devices.values())
    assert facts.hidden == []


def test_every_object_of_the_home_is_kept_as_home_assistant_has_it(bench: Bench) -> None:
    bench.sync()

    with HomeAssistantClient(bench.ha) as client:
        asked = {
            "area": {row["area_id"] for row in client.areas()},
            "floor": {row["floor_id"] for row in client.floors()},
            "label": {row["label_id"] for row in client.labels()},
            "category": {f"automation/{one.category_id}" for one in bench.demo.home.registry.categories.values()},
            "device": {row["id"] for row in client.devices()},
            "config_entry": {row["entry_id"] for row in client.config_entries()},
            "manifest": {row["domain"] for row in client.manifests()},
            "service": {f"{domain}.{name}" for domain, of in client.services().items() for name in of},
        }
        names = {row["entity_id"] for row in (*client.entities(), *client.get_states())}
        bedtime = client.command("automation/config", entity_id="automation.bedtime")["config"]
        welcome = client.command("script/config", entity_id="script.welcome")["config"]
    assert {kind: set(bench.objects(kind)) for kind in asked} == asked
    assert {row["entity_id"] for row in bench.objects("entity").values()} == names
    assert bench.objects("automation")["automation.bedtime"]["config"] == bedtime
    assert bench.objects("script")["script.welcome"]["config"] == welcome
    evening = bench.objects("scene")["scene.evening"]
    assert evening["config"]["entities"].keys() == set(evening["entities"])
    named = {row["category_id"]: row["name"] for row in bench.objects("category").values()}
    entity = next(row for row in bench.objects("entity").values() if row["entity_id"] == "automation.bedtime")
    assert named[entity["categories"]["automation"]] == "House"
    assert bench.objects("energy")["preferences"]["energy_sources"]
    assert {row["name"]: row["is_admin"] for row in bench.objects("user").values()}["Admin"] is True
    assert not any({"username", "credentials"} & row.keys() for row in bench.objects("user").values())
    assert set(RegistryObjects(bench.database).load(bench.home.name)) <= set(KINDS)


def test_a_home_that_is_as_it_was_writes_nothing_and_a_failing_integration_is_one_change(bench: Bench) -> None:
    bench.sync()
    store = RegistryObjects(bench.database)
    before = max(held.from_us for held in store.history(bench.home.name, "energy", "preferences"))

    bench.sync()
    unchanged = store.changed_since(bench.home.name, before)
    bench.demo.control.call(lambda home: home.registry.set_entry_state("mqtt", "setup_retry"))
    bench.sync()

    (entry,) = [row for row in bench.objects("config_entry").values() if row["domain"] == "mqtt"]
    held = store.history(bench.home.name, "config_entry", entry["entry_id"])
    assert unchanged == 0
    assert [one.data["state"] for one in held] == ["loaded", "setup_retry"]
    assert store.changed_since(bench.home.name, before) == 2
    assert bench.facts().integrations["mqtt"].state == "setup_retry"


def test_what_ran_is_fetched_with_what_it_called_and_what_came_before(bench: Bench) -> None:
    bench.sync()
    press = {"entity_id": "input_button.good_night"}
    bench.demo.control.call(lambda home: home.call_service("input_button.press", target=press))
    note_started(bench.state, bench.home.name, ["automation.bedtime", "script.good_night"])

    first, again = bench.fetch(), bench.fetch()

    kept = RoutineTraces(bench.database)
    script, bedtime = kept.runs(bench.home.name)
    assert (first.new, again) == (2, Fetched())
    assert (bedtime.trigger, bedtime.result) == ("state of input_button.good_night", "finished")
    assert (script.domain, script.item_id) == ("script", "good_night")
    steps = kept.trace(bench.home.name, bedtime.run_id).steps
    assert [(step.path, step.call) for step in steps] == [("trigger/0", ""), ("action/0", "script.good_night")]
    assert steps[1].child == Child("script", "good_night", script.run_id)
    assert kept.around(bench.home.name, script)[0] == [bedtime]


def test_what_always_fails_in_the_demo_home_is_found_by_a_look_at_all_runs(bench: Bench) -> None:
    bench.sync()
    for state in ("off", "on") * 2:
        bench.demo.control.set_state("binary_sensor.hallway_motion_occupancy", state, {})

    fetched = bench.fetch(whole=True)

    (failing,) = RoutineTraces(bench.database).failing(bench.home.name)
    ids = item_ids(RegistryObjects(bench.database), bench.home.name)
    assert fetched.new >= 2
    assert failing.item == ids["automation.tell_the_old_phone_of_motion"]
    assert failing.error == "Action notify.mobile_app_old_phone not found"


@pytest.mark.parametrize("bench", ["user"], indirect=True)
def test_a_mere_user_gets_no_runs(bench: Bench) -> None:
    assert bench.fetch(whole=True) == Fetched(may_not=True)


@pytest.mark.parametrize("bench", ["user"], indirect=True)
def test_what_a_mere_user_may_not_see_is_left_out_and_said(bench: Bench) -> None:
    bench.sync()

    assert bench.facts().hidden == [
        "users",
        "discoveries",
        "runs of automations and scripts",
        "configurations of scenes",
        "blueprints",
    ]
    assert (bench.objects("user"), bench.facts().users) == ({}, {})
    assert "config" not in bench.objects("scene")["scene.evening"]
    assert len(bench.objects("device")) == len(bench.demo.home.registry.devices)


def test_while_home_assistant_starts_what_was_known_before_stands(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.sync()
    config, facts = bench.demo.home.config(), bench.facts()
    services, states = bench.objects("service"), dict(bench.demo.home.bus.states)
    monkeypatch.setattr(bench.demo.home, "config", lambda: config | {"state": "NOT_RUNNING"})
    for entity_id in states:
        bench.demo.control.remove(entity_id)

    bench.sync()

    assert bench.facts() == facts
    assert bench.objects("service") == services
    assert bench.objects("automation")


@pytest.mark.parametrize("bench", ["user"], indirect=True)
def test_doctor_names_what_of_the_home_a_mere_user_may_not_see(bench: Bench, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, homes=(bench.home,))

    found = {one.subject: one for one in examine_homes(settings)}

    hidden = found[f"{bench.home.name}: map"]
    left_out = "users, discoveries, runs of automations and scripts, blueprints, configurations of scenes"
    assert (hidden.verdict, hidden.says) == ("warning", f"left out, for want of rights: {left_out}")


def test_doctor_shows_no_password_of_an_address(bench: Bench, tmp_path: Path) -> None:
    connection = bench.home.homeassistant
    address = (connection.url or "").replace("://", "://me:secret@")
    home = bench.home.model_copy(update={"homeassistant": connection.model_copy(update={"url": address})})

    found = list(examine_homes(Settings(data_dir=tmp_path, homes=(home,))))

    assert any("://me:****@" in one.says for one in found)
    assert not any("secret" in one.says for one in found)


def test_a_scene_is_not_asked_for_twice_where_rest_is_away() -> None:
    asked: list[str] = []

    class Away:
        def get(self, address: str, **_: Any) -> Any:
            asked.append(address)
            raise requests.ConnectionError

    rest = HomeAssistantRest(HomeAssistantSettings(url="http://home:8123"))
    rest._session = Away()  # type: ignore[assignment]  # a network that is away

    assert [rest.scene_config("1"), rest.scene_config("2")] == [None, None]
    assert asked == ["http://home:8123/api/config/scene/config/1"]
