"""Two homes in one installation, with entities of the same names: each keeps to itself, whatever the other one does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish

from tests.servers import HOST
from tests.servers_brokers import Mosquitto
from tests.system.demo_home import Demo, answers, compared
from tests.system.stack import Stack, wait_until
from tests.system.witness import Witness

#: Events a second that a home may have under way; both homes send less, but for the flood.
LIMIT_PER_S = 60
#: So many take minutes at that limit.
FLOOD = 8_000
HEATING = "sensor.heating_bath"

_HOME = """
{head}
[{inside}homeassistant]
url = "http://127.0.0.1:{port}"
token = "demo-home-token"
[{inside}mqtt]
url = "{broker}"
statestream_base = ""
discovery_prefix = ""
tasmota = false
zigbee2mqtt_base = "{name}/zigbee2mqtt"
topics = [{{ topic = "{name}/heating/{{room}}", entity_id = "sensor.heating_{{room}}" }}]
"""


@dataclass(slots=True)
class Home:
    """A home, and who has heard it since before the stack began."""

    demo: Demo
    witness: Witness


@dataclass(slots=True)
class Both:
    """The stack and its two homes, by name."""

    stack: Stack
    homes: dict[str, Home]
    broker: Mosquitto

    def events(self, home: str, entity_id: str) -> list[dict[str, Any]]:
        """Return what is stored of an entity of a home, newest first."""
        return self.stack.events("--home", home, "--entity", entity_id, "--limit", "1000")

    def publish(self, *messages: tuple[str, str]) -> None:
        """Publish to the broker that both homes have; each message is acknowledged before the next."""
        publish.multiple([(topic, told, 1, False) for topic, told in messages], hostname=HOST, port=self.broker.port)

    def intake(self, listener: str) -> dict[str, Any]:
        """Return what a listener tells of its journal."""
        told = json.loads(self.stack.run("status", "--json"))["listeners"] or []
        return next((one["intake"] for one in told if one["name"] == listener), {})


def _settings(homes: dict[str, Home], broker: Mosquitto) -> str:
    first, *others = [
        _HOME.format(
            head='[[homes]]\nname = "b"' if inside else 'home = "a"',
            inside=inside,
            port=homes[name].demo.port,
            broker=broker.url,
            name=name,
        )
        for name, inside in (("a", ""), ("b", "homes."))
    ]
    return "\n".join([first, f"[queue]\nhome_events_per_s = {LIMIT_PER_S}", *others])


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Home]]:
    made = {}
    for seed, name in enumerate("ab", start=1):
        options = ("--entities", "60", "--rate", "15", "--seed", str(seed))
        demo = Demo(tmp_path_factory.mktemp(f"home-{name}"), *options)
        wait_until(partial(answers, demo), 60, f"the home {name}")
        made[name] = Home(demo, Witness(demo))
    yield made
    for home in made.values():
        home.witness.close()
        home.demo.close()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, homes: dict[str, Home], mosquitto: Mosquitto) -> Iterator[Both]:
    folder: Path = tmp_path_factory.mktemp("two-homes")
    (folder / "ha-ingestor.toml").write_text(_settings(homes, mosquitto))
    stack = Stack(folder / "data", HA_INGESTOR_FLOWER__ENABLED="false")
    both = Both(stack, homes, mosquitto)
    try:
        stack.start()
        for home in homes:
            wait_until(partial(stack.events, "--home", home, "--limit", "1"), 90, f"a first event of {home}")
        yield both
    finally:
        if not stack.ended():
            stack.stop()


def _area_of(demo: Demo, entity_id: str) -> tuple[str, str]:
    """Return the name of the area in which a home has an entity, and the id of the device that it belongs to."""
    home = demo.connect()
    areas = {one["area_id"]: one["name"] for one in home.command("config/area_registry/list")}
    entities = {one["entity_id"]: one for one in home.command("config/entity_registry/list")}
    devices = {one["id"]: one for one in home.command("config/device_registry/list")}
    home.cut()
    device = devices[entities[entity_id]["device_id"]]
    return areas[device["area_id"]], device["id"]


def _often_changed(home: Home) -> str:
    """Return a sensor that a device of the home has in its own area, and that changes often."""
    talk = home.demo.connect()
    entities = {one["entity_id"]: one for one in talk.command("config/entity_registry/list")}
    devices = {one["id"]: one for one in talk.command("config/device_registry/list")}
    talk.cut()
    changed = [one.change[0] for one in home.witness.of_type("state_changed")]
    found = [
        name
        for name, one in entities.items()
        if not one["area_id"] and one["device_id"] and devices[one["device_id"]]["area_id"] not in (None, "attic")
    ]
    return str(max(found, key=changed.count))


def _has_said(witness: Witness, start_us: int) -> bool:
    return sum(one.time_us > start_us for one in witness.of_type("state_changed")) > 120


def test_each_home_has_what_happened_in_it_and_nothing_of_the_other(both: Both) -> None:
    start_us = time.time_ns() // 1000

    for name, home in both.homes.items():
        wait_until(partial(_has_said, home.witness, start_us), 60, f"enough happens in {name}")

    for name, home in both.homes.items():
        compared(both.stack, home.witness, start_us, "--home", name)


def test_what_is_moved_in_one_home_stays_where_it_is_in_the_other(both: Both) -> None:
    entity_id = _often_changed(both.homes["a"])
    (was, device), (other, _) = (_area_of(both.homes[name].demo, entity_id) for name in "ab")
    assert was == other

    talk = both.homes["a"].demo.connect()
    talk.command("config/device_registry/update", device_id=device, area_id="attic")
    talk.cut()

    moved = wait_until(
        lambda: [one for one in both.events("a", entity_id) if one["tags"]["area"] == "Attic"], 60, "it has moved in a"
    )
    since_ns = min(one["time_ns"] for one in moved)
    later = wait_until(
        lambda: [one for one in both.events("b", entity_id) if one["time_ns"] > since_ns], 60, "it changes in b"
    )
    assert {one["tags"]["area"] for one in later} == {other}
    assert "Attic" not in {one["tags"]["area"] for one in both.events("b", entity_id)}


def test_two_prefixes_on_one_mqtt_broker_are_two_homes(both: Both) -> None:
    both.publish(
        ("a/heating/bath", "21.5"),
        ("b/heating/bath", "4.5"),
        ("a/zigbee2mqtt/kitchen", json.dumps({"temperature": 22})),
        ("b/zigbee2mqtt/kitchen", json.dumps({"temperature": 5})),
    )

    for name, state, kitchen in (("a", "21.5", "22"), ("b", "4.5", "5")):
        wait_until(partial(both.events, name, HEATING), 60, f"the bath of {name}")
        assert {one["fields"]["state"] for one in both.events(name, HEATING)} == {state}
        entity_id = f"mqtt.{name}-zigbee2mqtt-kitchen-temperature"
        found = wait_until(partial(both.events, name, entity_id), 60, f"the kitchen of {name}")
        assert {one["fields"]["state"] for one in found} == {kitchen}
    assert not both.events("b", "mqtt.a-*")
    assert not both.events("a", "mqtt.b-*")


def test_a_flood_in_one_home_waits_in_its_own_journal_while_the_other_home_is_stored(both: Both) -> None:
    both.publish(*(("a/heating/bath", str(number)) for number in range(FLOOD)))

    both.publish(("b/heating/bath", "after the flood"))

    wait_until(
        lambda: any(one["fields"]["state"] == "after the flood" for one in both.events("b", HEATING)),
        60,
        "what was published after the flood",
    )
    assert both.intake("a:mqtt")["pending_batches"] > 0  # at its limit it takes minutes
    assert both.intake("a:mqtt")["may_per_s"] <= LIMIT_PER_S
