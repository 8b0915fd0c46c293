"""The map of a real Home Assistant: the places that it has, and what becomes of a rename and of a move."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from ingestor.home.cache import RedisHomeMap
from ingestor.home.merge import Diff
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
