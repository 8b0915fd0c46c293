"""Filters that cover one another, topics and what they are, patterns with named parts."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.intake.mqtt.filters import covers, filter_of, matches, named_parts, without_covered
from ingestor.intake.mqtt.routes import DROPPED_TOPIC, Routes
from ingestor.settings import MqttSettings, TopicMapping


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "$SYS/broker", False),
        ("+/broker", "$SYS/broker", False),
        ("$SYS/#", "$SYS/broker", True),
        ("a", "a/b", False),
        ("+", "", True),
    ],
)
def test_a_filter_matches_as_the_standard_says(topic_filter: str, topic: str, expected: bool) -> None:
    assert matches(topic_filter, topic) is expected


LEVELS = st.lists(st.sampled_from(["a", "b", "+"]), min_size=1, max_size=4).map("/".join)


@given(wide=LEVELS | LEVELS.map(lambda one: f"{one}/#"), narrow=LEVELS | LEVELS.map(lambda one: f"{one}/#"))
def test_a_filter_that_covers_another_matches_all_that_it_matches(wide: str, narrow: str) -> None:
    topics = [narrow.replace("+", "x").replace("/#", rest) for rest in ("", "/y", "/y/z")]

    if covers(wide, narrow):
        assert all(matches(wide, topic) for topic in topics if matches(narrow, topic))


def test_of_filters_that_cover_one_another_the_widest_stays() -> None:
    assert without_covered(["a/b", "a/#", "a/+/c", "x/+", "x/y"]) == ["a/#", "x/+"]


@given(filters=st.lists(LEVELS | LEVELS.map(lambda one: f"{one}/#"), max_size=12))
def test_what_is_left_covers_all_and_none_of_it_covers_another(filters: list[str]) -> None:
    left = without_covered(filters)

    assert all(any(covers(kept, one) for kept in left) for one in filters)
    assert not any(covers(one, other) for one in left for other in left if one != other)


def test_thousands_of_announced_topics_do_not_hold_up_the_listener() -> None:
    announced = [f"devices/d{number}/state" for number in range(20_000)]
    started = time.thread_time()

    filters = routes().filters(announced)

    assert len(filters) > 20_000
    assert time.thread_time() - started < 5, "comparing each with each takes minutes"


def test_a_pattern_finds_its_named_parts() -> None:
    pattern = named_parts("heating/{room}/{kind}_temp/+")

    found = pattern.fullmatch("heating/living room/floor_temp/now")

    assert found is not None
    assert found.groupdict() == {"room": "living room", "kind": "floor"}
    assert filter_of("heating/{room}/{kind}_temp/+") == "heating/+/+/+"
    assert pattern.fullmatch("heating/a/b/now") is None


def routes(**settings: object) -> Routes:
    return Routes(MqttSettings.model_validate({"url": "mqtt://localhost", **settings}))


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        ("homeassistant/sensor/power/state", "statestream"),
        ("homeassistant/sensor/power/a/b", "statestream"),
        ("homeassistant/status", "ignored"),
        ("zigbee2mqtt/kitchen", "zigbee2mqtt"),
        ("zigbee2mqtt/floor/kitchen/availability", "zigbee2mqtt"),
        ("zigbee2mqtt/bridge/state", "zigbee2mqtt"),
        ("zigbee2mqtt/bridge/devices", "devices"),
        ("zigbee2mqtt/kitchen/set", "ignored"),
        ("zigbee2mqtt/kitchen/set/state", "ignored"),
        ("tele/plug/SENSOR", "tasmota"),
        ("stat/plug/STATUS10", "tasmota"),
        ("tele/something/else", "ignored"),
        (DROPPED_TOPIC, "dropped"),
        ("events", "eventstream"),
        ("unknown/topic", "ignored"),
    ],
)
def test_a_topic_says_what_its_messages_are(topic: str, kind: str) -> None:
    assert routes(eventstream_topic="events").of(topic).kind == kind


def test_the_users_own_word_on_a_topic_comes_first() -> None:
    mapping = TopicMapping(topic="zigbee2mqtt/{room}.x", entity_id="sensor.z_{room}")

    route = routes(topics=(mapping,)).of("zigbee2mqtt/kit chen.x")

    assert (route.kind, route.entity_id) == ("topic", "sensor.z_kit_chen")


def test_statestream_is_never_shared_and_what_stands_alone_is() -> None:
    filters = routes(share_group="g", eventstream_topic="events").filters(["my/sensor", "zigbee2mqtt/a"])

    assert "homeassistant/+/+/#" in filters
    assert {"$share/g/events", "$share/g/zigbee2mqtt/#", "$share/g/tele/#", "$share/g/my/sensor"} <= set(filters)
    assert not any("zigbee2mqtt/a" in one for one in filters), "another filter brings it already"
    assert not any(one.startswith("$share/g/homeassistant") for one in filters)


def test_listeners_divide_statestream_by_domain() -> None:
    filters = routes(statestream_domains=("sensor", "light"), zigbee2mqtt_base="", tasmota=False).filters([])

    assert set(filters) == {
        "homeassistant/sensor/+/#",
        "homeassistant/light/+/#",
        "homeassistant/+/+/config",
        "homeassistant/+/+/+/config",
        DROPPED_TOPIC,
    }


def test_the_list_of_zigbee_devices_is_heard_by_each_who_shares_since_retained_messages_are_not_shared() -> None:
    shared, alone = routes(share_group="g").filters([]), routes().filters([])

    assert "zigbee2mqtt/bridge/devices" in shared
    assert "zigbee2mqtt/bridge/devices" not in alone, "another filter brings it already"
