"""MQTT out without a broker: topics, what may be published where, how far a broker has confirmed, our own sensors."""

from __future__ import annotations

import asyncio
import json
import math
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ingestor.api.lag import Lag
from ingestor.api.mqtt_figures import FigureReader
from ingestor.api.overview import Overview
from ingestor.intake.mqtt.filters import matches
from ingestor.intake.mqtt.routes import DROPPED_TOPIC, Routes
from ingestor.intake.mqtt.seen import MOST_TOPICS, SeenTopics
from ingestor.live.envelope import Subject
from ingestor.mqtt_out.line import _packet_bytes
from ingestor.mqtt_out.sensors import Figures, configs
from ingestor.mqtt_out.suspects import Sent, Suspects
from ingestor.mqtt_out.topics import TopicTemplate
from ingestor.mqtt_out.window import Window
from ingestor.quality.book_sql import QualityHead
from ingestor.settings import MqttSettings, Settings, TopicMapping
from ingestor.settings_mqtt_out import MqttOutSettings, filter_of_topic, listened_to, overlap, own_topics

LAMP = Subject("event.new", "light.hall", "light", "Ground floor", "Lamp", "state_changed")
TEMPLATE = "ha-ingestor/{home}/{domain}/{object_id}/{event}"


@pytest.mark.parametrize(
    ("template", "subject", "topic"),
    [
        (TEMPLATE, LAMP, "ha-ingestor/h/light/hall/event.new"),
        ("x/{area}/{device}/{entity_id}/{event_type}", LAMP, "x/Ground floor/Lamp/light.hall/state_changed"),
        (TEMPLATE, Subject("device.offline", device="My Lamp"), "ha-ingestor/h/-/My Lamp/device.offline"),
        (TEMPLATE, Subject("event.new", event_type="call_service"), "ha-ingestor/h/-/call_service/event.new"),
        ("x/{area}", LAMP._replace(area="a/b+c#d\x00e"), "x/a_b_c_d_e"),
        ("x/{device}", LAMP._replace(device="Bob\x92s"), "x/Bob_s"),
        ("x/{event_type}", LAMP._replace(event_type="a\x80b\x9fc\ufdd0d\U0010ffffe\ud800f"), "x/a_b_c_d_e_f"),
        ("x/{area}", LAMP._replace(area="\xa0\ufffd\ufeffü😀"), "x/\xa0\ufffd\ufeffü😀"),
        ("x/{device}", LAMP._replace(device="😀" * 300), "x/" + "😀" * 255),
    ],
)
def test_a_message_has_a_topic_that_every_broker_takes(template: str, subject: Subject, topic: str) -> None:
    assert TopicTemplate(template).topic("h", subject) == topic
    assert matches(filter_of_topic(template), topic)


@pytest.mark.parametrize("topic", ["{home}/x", "x/{room}", "x/+/y", "x/#", "x/{home", "x\0"])
def test_a_template_that_no_broker_takes_or_that_nobody_knows_as_ours_is_refused(topic: str) -> None:
    with pytest.raises(ValidationError):
        MqttOutSettings(topic=topic)


@pytest.mark.parametrize("name", ["topic", "base", "discovery_prefix", "client_id"])
@pytest.mark.parametrize("sign", ["\x01", "\x85", "\ufffe"])
def test_what_brokers_refuse_in_any_text_is_refused_at_the_start(name: str, sign: str) -> None:
    with pytest.raises(ValidationError, match="brokers refuse"):
        MqttOutSettings.model_validate({name: f"a{sign}b"})


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("a/+/c", "a/b/+", True),
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/+", "a", False),
        ("a/#", "a", True),
        ("a/b/c", "#", True),
        ("a/+/c", "+/b/d", False),
        ("a/b", "a/b/c", False),
        ("a/+/+", "a/b/#", True),
    ],
)
def test_two_filters_that_meet_in_a_topic_are_found(one: str, other: str, meet: bool) -> None:
    assert overlap(one, other) is overlap(other, one) is meet


LISTENER = {
    "url": "mqtt://localhost",
    "eventstream_topic": "events",
    "topics": [{"topic": "heating/{room}/temp", "entity_id": "sensor.{room}"}],
}


@pytest.mark.parametrize(
    "out",
    [
        {"topic": "homeassistant/{domain}/{object_id}/state"},
        {"topic": "heating/{object_id}/temp"},
        {"topic": "zigbee2mqtt/{object_id}"},
        {"topic": "tele/{object_id}/STATE"},
        {"topic": "events"},
        {"base": "zigbee2mqtt"},
    ],
)
def test_what_a_listener_would_hear_again_is_refused_at_the_start(out: dict[str, str]) -> None:
    def settings(**more: object) -> Settings:
        given = {"data_dir": "/x", "mqtt": LISTENER, "mqtt_out": {"url": "mqtt://localhost", **out, **more}}
        return Settings.model_validate(given)

    with pytest.raises(ValidationError, match="would hear again"):
        settings()
    settings(url=None)


def test_the_settings_know_all_that_a_listener_subscribes_to() -> None:
    mqtt = MqttSettings.model_validate(LISTENER)
    subscribed = set(Routes(mqtt).filters(())) - {DROPPED_TOPIC}

    configs_alone = {one for one in subscribed if one.endswith("/config")}
    assert set(listened_to(mqtt)) == subscribed - configs_alone


def test_a_listener_takes_nothing_of_what_we_publish() -> None:
    out = MqttOutSettings(url="mqtt://localhost")
    mapping = TopicMapping(topic="ha-ingestor/{home}/sensors", entity_id="sensor.{home}")
    routes = Routes(MqttSettings(url="mqtt://localhost", topics=(mapping,)), own_topics(out))

    ours = [*configs(out, "home"), "ha-ingestor/out/status", "ha-ingestor/home/sensors", "ha-ingestor/home/gap"]
    ours.append(TopicTemplate(TEMPLATE).topic("home", LAMP))
    assert {routes.of(topic).kind for topic in ours} == {"own"}
    assert routes.of("homeassistant/light/hall/state").kind == "statestream"
    assert "ha-ingestor/home/light/hall/event.new" not in routes.filters(["ha-ingestor/home/light/hall/event.new"])
    assert "lamp/state" in routes.filters(["lamp/state"])


def test_the_discovery_of_another_installation_of_ours_is_no_event_either() -> None:
    assert matches(own_topics(MqttOutSettings())[0], next(iter(configs(MqttOutSettings(url="mqtt://x"), "home"))))


def sent(key: str) -> Sent:
    return Sent(key, "event.new", "t", 1)


def test_a_cursor_moves_on_when_all_before_it_is_confirmed() -> None:
    window = Window(10)
    for cursor, ids in (("a", (1, 2)), ("b", ()), ("c", (3,))):
        window.open(cursor)
        for one in ids:
            window.sent(one, sent(str(one)))
        window.close()

    seen = []
    for confirmed in (3, 1, 2, 99):
        window.confirmed(confirmed)
        seen.append(window.cursor)

    assert seen == ["", "", "c", "c"]
    assert window.waiting == 0


def test_a_portion_that_is_not_through_holds_the_cursor() -> None:
    window = Window(10)
    window.open("a")
    window.sent(1, sent("m"))
    window.confirmed(1)
    assert window.cursor == ""

    window.close()
    assert window.cursor == "a"


def test_a_portion_that_is_split_lets_the_cursor_move_within_it() -> None:
    window = Window(10)
    window.open("all")
    window.sent(1, sent("m"))
    window.split("half")
    window.sent(2, sent("n"))
    window.confirmed(1)
    assert (window.cursor, window.oldest, window.under_way) == ("half", 2, [sent("n")])

    window.close()
    window.confirmed(2)
    assert window.cursor == "all"


def test_a_message_that_ends_the_connection_again_and_again_is_found_and_no_other() -> None:
    suspects = Suspects(20)
    good, bad = sent("good"), sent("bad")
    assert not suspects.goes_alone("good")

    suspects.ended([good, bad])
    assert suspects.goes_alone("good")
    suspects.over("good")
    for _ in range(3):
        assert suspects.goes_alone("bad")
        assert not suspects.is_guilty("bad")
        suspects.ended([bad])
        suspects.ended([])  # the broker was away

    assert suspects.is_guilty("bad")
    assert not suspects.is_guilty("good")
    suspects.over("bad")
    assert not suspects.is_guilty("bad")
    assert not suspects.goes_alone("good")


def test_what_fell_out_of_the_channel_leaves_nothing_to_go_alone() -> None:
    suspects = Suspects(20)
    suspects.ended([sent("gone"), sent("gap")])

    suspects.forget_before("gap")
    assert suspects.goes_alone("next")
    suspects.over("gap")
    assert not suspects.goes_alone("next")


def test_a_message_that_is_taken_at_last_was_not_at_fault() -> None:
    suspects = Suspects(20)
    for _ in range(3):
        suspects.ended([sent("a")])
        suspects.ended([sent("b")])
        suspects.over("b")

    assert not suspects.is_guilty("a")


@pytest.mark.parametrize(
    ("payload_bytes", "qos", "packet_bytes"),
    [(0, 1, 11), (0, 0, 9), (118, 1, 129), (119, 1, 131), (16_374, 1, 16_386), (16_375, 1, 16_388)],
)
def test_how_large_a_packet_is_is_counted_to_the_byte(payload_bytes: int, qos: int, packet_bytes: int) -> None:
    assert _packet_bytes("ü/t", b"x" * payload_bytes, qos) == packet_bytes


def test_only_so_many_are_on_their_way() -> None:
    async def tried() -> list[bool]:
        window = Window(2)
        window.open("a")
        found = []
        for one in (1, 2):
            window.sent(one, sent(str(one)))
            found.append(window._room.is_set())
        window.confirmed(1)
        await window.room()
        window.sent(3, sent("3"))
        window.forget()
        await window.room()
        return found

    assert asyncio.run(tried()) == [True, False]


def test_sensors_are_announced_with_all_that_home_assistant_needs() -> None:
    out = MqttOutSettings(url="mqtt://x", sensors_every_s=20)

    found = {topic: json.loads(config) for topic, config in configs(out, "home").items()}

    assert len({one["unique_id"] for one in found.values()}) == len(found) == 5
    for topic, config in found.items():
        assert topic.split("/")[1:3] in (["sensor", "ha_ingestor"], ["binary_sensor", "ha_ingestor"])
        assert config["availability_topic"] == "ha-ingestor/out/status"
        assert config["state_topic"] == "ha-ingestor/home/sensors"
        assert config["expire_after"] == 60
        assert config["origin"]["name"] == "HA-Ingestor"
        assert config["device"]["identifiers"] == ["ha_ingestor_home"]
        assert ("state_class" in config) == ("/sensor/" in topic)
    assert set(configs(out.model_copy(update={"discovery": False}), "home").values()) == {b""}


def test_figures_that_nobody_knows_are_null() -> None:
    assert json.loads(Figures(1.5, listening=True).body()) == {
        "ingest_rate": 1.5,
        "lag_s": None,
        "quality_score": None,
        "queue_depth": None,
        "listening": "ON",
    }


def test_topics_that_were_seen_are_counted_up_to_a_limit() -> None:
    seen = SeenTopics()
    for _ in range(3):
        seen.note("a/b", "statestream", 5_000)
    for number in range(MOST_TOPICS + 4):
        seen.note(f"t/{number}", "ignored", 1_000)
    seen.note("x" * 600, "ignored", 1_000)

    told = seen.told()
    assert told["topics"][0] == ("a/b", "statestream", 3, 5)
    assert (len(told["topics"]), told["other_messages"]) == (MOST_TOPICS, 6)


def test_the_settings_that_the_page_shows_are_in_order() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "publish-to-mqtt.md").read_text()
    shown = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)

    tables = [tomllib.loads(one)["mqtt_out"] for one in shown]

    assert len(tables) == 2
    for table in tables:
        MqttOutSettings.model_validate(table)


def test_figures_are_those_of_a_home_and_the_lag_that_of_the_time_since() -> None:
    def listener(home: str, per_s: float, *, connected: bool = False) -> dict[str, Any]:
        return {"home": home, "connected": connected, "intake": {"written_per_s": per_s}}

    listeners = [listener("a", 1.25), listener("a", 2.0, connected=True), listener("b", 7.0)]
    head = QualityHead("a", 0, 97.66, {})
    lags = iter([Lag({1.0: 100.0, math.inf: 100.0}), Lag({0.5: 10.0, 1.0: 110.0, math.inf: 110.0})])
    empty: dict[str, Any] = {name.name: None for name in fields(Overview)}

    def overview() -> Overview:
        known: dict[str, Any] = {
            "listeners": listeners,
            "queues": {"validate": 2, "write": 3},
            "quality": [head],
            "lag": next(lags),
        }
        return Overview(**{**empty, **known})

    read = FigureReader(overview, ["a", "b", "c"])
    first, second = read(), read()

    assert first["a"] == Figures(3.2, None, 97.7, 5, listening=True)
    assert second["b"] == Figures(7.0, 0.475, None, 5, listening=False)
    assert second["c"] == Figures(0.0, 0.475, None, 5, listening=False)
