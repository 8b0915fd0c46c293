"""The commands of `home`, on a running demo home: what is there, what was there, and a device that was replaced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from ingestor import bootstrap
from ingestor.cli.main import run
from ingestor.demo import entries
from ingestor.demo.home import DemoHome
from ingestor.demo.running import RunningDemo, running_demo
from ingestor.home.cache import RedisHomeMap
from ingestor.home.requests import sync_due
from ingestor.settings_sources import load_settings
from tests.servers_brokers import RedisServer

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")

LAMP = "light.kitchen_light"
LATER_US = 4_000_000_000_000_000


@pytest.fixture
def demo() -> Iterator[RunningDemo]:
    with running_demo(entities=120) as found:
        yield found


class Shell:
    """The command line of one home; each call as a person types it."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> str:
        self._capsys.readouterr()
        assert run(["--set", "registry.effective_after_s=0", "home", *arguments]) == code
        return self._capsys.readouterr().out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    def refused(self, *arguments: str) -> str:
        self._capsys.readouterr()
        assert run(["home", *arguments]) != 0
        return self._capsys.readouterr().err


@pytest.fixture
def shell(
    demo: RunningDemo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    redis_server: RedisServer,
    capsys: pytest.CaptureFixture[str],
) -> Shell:
    monkeypatch.chdir(tmp_path)
    url = redis_server.url.removesuffix("/0") + "/9"
    redis.Redis.from_url(url).flushdb()
    monkeypatch.setenv("HA_INGESTOR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HA_INGESTOR_BROKER__URL", url)
    monkeypatch.setenv("HA_INGESTOR_HOMEASSISTANT__URL", demo.url)
    monkeypatch.setenv("HA_INGESTOR_HOMEASSISTANT__TOKEN", demo.token)
    (tmp_path / "data").mkdir()
    return Shell(capsys)


def series(entity_id: str) -> str:
    settings = load_settings().settings
    places = RedisHomeMap(bootstrap.open_state(settings))
    places.ready(settings.home)
    place = places.place_of(settings.home, entity_id, LATER_US)
    assert place is not None
    return place.series


def replace_lamp(home: DemoHome) -> None:
    """Take the kitchen's light out and put another one in, of the same kind, under another name."""
    old = home.registry.entities.pop(LAMP)
    gone = home.registry.devices.pop(str(old.device_id))
    home.bus.remove(LAMP)
    home.registry.devices["new-device"] = entries.Device("new-device", "New lamp", gone.config_entry, [["mqtt", "n"]])
    home.registry.entities["light.new_lamp"] = entries.Entity(
        "new-entity", "light.new_lamp", "n_light", "mqtt", old.original_name, device_id="new-device"
    )
    home.bus.set_state("light.new_lamp", "on", {"friendly_name": "New lamp"})


def test_a_home_is_read_listed_and_shown(shell: Shell, demo: RunningDemo) -> None:
    first = shell.json("sync")
    counts = shell.json("list")

    assert (first["busy"], first["hidden"], first["objects_changed"] > 100) == (False, [], True)
    assert counts["objects"]["entity"] == len({*demo.home.registry.entities, *demo.home.bus.states})
    assert "Kitchen" in shell("list", "area")
    assert set(shell.json("list", "device")) == set(demo.home.registry.devices)
    shown = shell.json("show", "entity", LAMP)
    assert (shown["data"]["entity_id"], shown["series"], shown["former_entity_ids"]) == (LAMP, LAMP, [])
    assert shell.json("show", "area", "kitchen")["data"]["name"] == "Kitchen"
    assert shell.json("show", "automation", "Bedtime")["data"]["config"]["alias"] == "Bedtime"
    assert "no area is known as" in shell.refused("show", "area", "Ballroom")
    assert shell.json("sync")["entities"] == "unchanged"


def test_a_renamed_entity_keeps_its_series_and_tells_its_former_names(shell: Shell, demo: RunningDemo) -> None:
    shell("sync")
    demo.control.rename(LAMP, "light.cooking")
    shell("sync")

    shown = shell.json("show", "entity", "light.cooking")

    assert (shown["series"], shown["former_entity_ids"]) == (LAMP, [LAMP])
    told = shell.json("history", "entity", "light.cooking")["history"]
    assert [one["data"]["entity_id"] for one in told] == [LAMP, "light.cooking"]
    assert f"entity_id: {LAMP} → light.cooking" in shell("history", "entity", "light.cooking")


def test_a_replaced_device_goes_on_as_the_old_one_until_that_is_undone(shell: Shell, demo: RunningDemo) -> None:
    shell("sync")
    old_device = demo.home.registry.entities[LAMP].device_id
    assert "has no entities that have gone" in shell.refused("alias", str(old_device), str(old_device))
    demo.control.call(replace_lamp)
    shell("sync")
    before = series("light.new_lamp")

    told = shell.json("alias", "New lamp", str(old_device))
    state = bootstrap.open_state(load_settings().settings)
    assert sync_due(state, load_settings().settings.home, 0)
    shell("sync")
    joined = series("light.new_lamp")
    (listed,) = shell.json("alias")
    shell("alias", "light.new_lamp", "--remove")
    shell("sync")

    assert [role["series"] for role in told["roles"]] == [LAMP]
    assert (before, joined, series("light.new_lamp")) == ("light.new_lamp", LAMP, "light.new_lamp")
    assert (listed["entity_id"], listed["replaces"], listed["until"]) == ("light.new_lamp", LAMP, None)
    assert shell.json("alias")[0]["until"] is not None
    assert "plays no role" in shell.refused("alias", "light.new_lamp", "--remove")


def test_the_past_can_be_asked_for(shell: Shell, demo: RunningDemo) -> None:
    shell("sync")
    demo.control.call(replace_lamp)
    shell("sync")

    gone = shell.json("show", "entity", LAMP)

    assert gone["until"] is not None
    assert gone["data"]["entity_id"] == LAMP
    assert "at that time" in shell.refused("show", "entity", LAMP, "--at", "0s")
    assert shell.json("list", "area", "--at", "2020-01-01") == {}


def test_an_unknown_kind_and_a_half_alias_are_refused(shell: Shell) -> None:
    assert "is none of: area," in shell.refused("list", "wall")
    assert "--remove" in shell.refused("alias", "light.a")
