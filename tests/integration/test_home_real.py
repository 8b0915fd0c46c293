"""The map of a real Home Assistant: the places that it has, and what becomes of a rename and of a move."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from ingestor.home.cache import RedisHomeMap
from ingestor.home.facts_redis import RedisFacts
from ingestor.home.merge import Diff
from ingestor.home.objects_store import RegistryObjects
from ingestor.home.sync import run_sync
from ingestor.queue.state import connect_state
from ingestor.settings import HomeAssistantSettings, HomeSettings, RegistrySettings
from ingestor.storage.database import open_database
from tests.homeassistant.configuration import AREA_OF_DEVICE_OF, AREA_OF_ENTITY, FLOOR_OF_AREA

if TYPE_CHECKING:
    from tests.homeassistant.run import HomeAssistant
    from tests.homeassistant.talk import Conversation

pytestmark = pytest.mark.homeassistant
LAMP = "light.bed_light"


class Bench:
    """A home's sync, from that Home Assistant into a Redis and a SQLite of its own."""

    def __init__(self, home: HomeAssistant, redis_url: str, folder: Path) -> None:
        self.name = f"home-{uuid.uuid4().hex[:12]}"
        self.state = connect_state(redis_url)
        self.database = open_database(f"sqlite:///{folder / 'metadata.sqlite'}")
        self.settings = HomeSettings(
            name=self.name, homeassistant=HomeAssistantSettings(url=home.url, token=SecretStr(home.token))
        )

    def sync(self) -> Diff:
        return run_sync(self.settings, RegistrySettings(), self.state, self.database)

    def changed_by(self, work: Callable[[], object]) -> int:
        now_us = time.time_ns() // 1000
        work()
        return RegistryObjects(self.database).changed_since(self.name, now_us)

    def place(self, entity_id: str, *, in_s: float = 0.0) -> Any:
        places = RedisHomeMap(self.state)
        places.ready(self.name)
        return places.place_of(self.name, entity_id, int((time.time() + in_s) * 1_000_000))


@pytest.fixture(params=["homeassistant", "homeassistant_2026"])
def home(request: pytest.FixtureRequest) -> HomeAssistant:
    found: HomeAssistant = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def bench(home: HomeAssistant, redis_server: Any, tmp_path: Path) -> Iterator[Bench]:
    found = Bench(home, redis_server.url, tmp_path)
    yield found
    found.database.dispose()


@pytest.fixture
def admin(home: HomeAssistant) -> Iterator[Conversation]:
    with home.connect() as conversation:
        yield conversation


def test_every_entity_is_where_home_assistant_says_it_is(home: HomeAssistant, bench: Bench) -> None:
    diff = bench.sync()

    expected = {**AREA_OF_ENTITY, **AREA_OF_DEVICE_OF}
    assert {entity_id: bench.place(entity_id).area for entity_id in expected} == expected
    if not home.version.startswith("2024"):
        floors = {entity_id: FLOOR_OF_AREA[area] for entity_id, area in expected.items()}
        assert {entity_id: bench.place(entity_id).floor for entity_id in expected} == floors
    assert set(home.states()) <= set(diff.added)
    lamp = bench.place(LAMP)
    assert (lamp.series, lamp.domain, lamp.device, lamp.integration) == (LAMP, "light", "Bed Light", "demo")
    assert bench.place("sensor.outside_temperature").device_class == "temperature"


def test_an_unchanged_home_stays_at_its_version(bench: Bench) -> None:
    version = bench.sync().version

    again = bench.sync()

    assert (again.version, bool(again)) == (version, False)


def test_a_renamed_entity_stays_one_series(bench: Bench, admin: Conversation) -> None:
    bench.sync()
    new = f"light.{uuid.uuid4().hex[:8]}"
    admin.command("config/entity_registry/update", entity_id=LAMP, new_entity_id=new)
    try:
        diff = bench.sync()
    finally:
        admin.command("config/entity_registry/update", entity_id=new, new_entity_id=LAMP)
    back = bench.sync()

    assert (diff.renamed, diff.added, diff.removed) == ([(LAMP, new)], [], [])
    assert back.renamed == [(new, LAMP)]
    assert {bench.place(name, in_s=60).series for name in (LAMP, new)} == {LAMP}


def test_an_entity_that_was_moved_is_in_its_new_area_five_seconds_later(bench: Bench, admin: Conversation) -> None:
    bench.sync()
    kitchen = next(area for area in admin.command("config/area_registry/list") if area["name"] == "Kitchen")
    admin.command("config/entity_registry/update", entity_id=LAMP, area_id=kitchen["area_id"])
    try:
        diff = bench.sync()
    finally:
        admin.command("config/entity_registry/update", entity_id=LAMP, area_id=None)

    assert diff.changed == [LAMP]
    assert bench.place(LAMP).area != "Kitchen"
    assert bench.place(LAMP, in_s=6).area == "Kitchen"


def test_facts_and_objects_are_those_that_home_assistant_tells(
    home: HomeAssistant, bench: Bench, admin: Conversation
) -> None:
    bench.sync()

    source = RedisFacts(bench.state, [bench.name])
    source.refresh()
    facts, objects = source.facts(bench.name), RegistryObjects(bench.database).load(bench.name)
    assert (facts.time_zone, facts.country, facts.latitude) == ("Europe/Berlin", "DE", 52.5)
    assert facts.integrations["mqtt"].state == "loaded"
    assert facts.integrations["mqtt"].version == home.version
    assert facts.hidden == []
    assert {person.user_id for person in facts.persons} <= facts.users.keys()
    assert {row["name"] for row in objects["area"].values()} == {
        row["name"] for row in admin.command("config/area_registry/list")
    }
    assert (
        objects["automation"]["automation.chain_a"]["config"]
        == (admin.command("automation/config", entity_id="automation.chain_a")["config"])
    )
    assert objects["script"]["script.greet"]["config"]["sequence"]
    assert set(objects["service"]) >= {"light.turn_on", "automation.reload"}
    assert len(objects["user"]) == len(admin.command("config/auth/list"))
    assert not bench.changed_by(bench.sync)


def test_what_a_mere_user_may_not_see_is_left_out_and_said(home: HomeAssistant, bench: Bench) -> None:
    mere = home.user_token
    bench.settings = HomeSettings(
        name=bench.name, homeassistant=HomeAssistantSettings(url=home.url, token=SecretStr(mere))
    )

    bench.sync()

    source = RedisFacts(bench.state, [bench.name])
    source.refresh()
    assert source.facts(bench.name).hidden == ["users", "discoveries"]
    assert source.facts(bench.name).integrations["mqtt"].state == "loaded"
    assert "user" not in RegistryObjects(bench.database).load(bench.name)
