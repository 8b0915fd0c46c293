"""The statestream join: first in, first out, held against a recorded home (rule 10)."""

from __future__ import annotations

import base64
import gzip
import json
import math
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.intake.mqtt import statestream
from ingestor.intake.mqtt.statestream import Joined, StatestreamJoin

RECORDED = Path(__file__).parents[1] / "recordings" / "mqtt_statestream_2024.jsonl.gz"


class Wire:
    """Feeds a join, with a clock of its own."""

    def __init__(self, quiet_s: float = 0.5) -> None:
        self.join = StatestreamJoin("homeassistant", quiet_s)
        self.now_s = 100.0
        self.packet_id = 0
        self.joined: list[Joined] = []

    def say(self, topic: str, payload: bytes | str) -> bool:
        self.packet_id += 1
        raw = payload if isinstance(payload, bytes) else payload.encode()
        delivery = (self.packet_id, 0)
        kept, done = self.join.take(f"homeassistant/{topic}", raw, int(self.now_s * 1e9), self.now_s, delivery)
        self.joined += [done] if done is not None else []
        return kept

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.joined += self.join.expire(self.now_s)

    def event(self, entity: str, state: str, when: str, **attributes: Any) -> None:
        self.say(f"{entity}/state", state)
        self.say(f"{entity}/last_updated", when)
        self.say(f"{entity}/last_changed", when)
        for name, value in attributes.items():
            self.say(f"{entity}/{name}", json.dumps(value))

    def payloads(self) -> list[dict[str, Any]]:
        return [json.loads(one.payload) for one in self.joined]


def test_the_topics_of_an_event_become_one_payload_with_all_their_deliveries() -> None:
    wire = Wire()

    wire.event("sensor/power", "21.5", "T1", unit_of_measurement="W", nested={"a": [1, None]})
    wire.wait(0.5)

    assert wire.payloads() == [
        {
            "entity_id": "sensor.power",
            "state": "21.5",
            "last_updated": "T1",
            "last_changed": "T1",
            "attributes": {"unit_of_measurement": "W", "nested": {"a": [1, None]}},
        }
    ]
    assert wire.joined[0].deliveries == ((1, 0), (2, 0), (3, 0), (4, 0), (5, 0))
    assert wire.joined[0].topic == "homeassistant/sensor/power/state"


def test_an_event_of_unknown_shape_waits_until_it_is_quiet() -> None:
    wire = Wire()

    wire.event("light/a", "on", "T1", brightness=5)
    wire.wait(0.49)
    early = list(wire.joined)
    wire.wait(0.01)

    assert early == []
    assert len(wire.joined) == 1


def test_an_event_of_a_known_shape_is_complete_with_its_last_topic() -> None:
    wire = Wire()
    wire.event("light/a", "on", "T1", brightness=5)
    wire.wait(1)

    wire.event("light/a", "on", "T2", brightness=6)
    wire.wait(0.01)

    assert [one["last_updated"] for one in wire.payloads()] == ["T1", "T2"]


def test_an_attribute_that_nobody_knew_of_belongs_to_the_complete_event_that_it_comes_right_behind() -> None:
    wire = Wire()
    wire.event("light/a", "on", "T1", brightness=5)
    wire.wait(1)

    wire.event("light/a", "on", "T2", brightness=6)
    wire.wait(0.005)
    wire.say("light/a/effect", '"rainbow"')
    wire.wait(0.009)
    early = len(wire.joined)
    wire.wait(0.002)
    wire.event("light/a", "on", "T3", brightness=7)
    wire.wait(0.01)
    without_effect = len(wire.joined)

    assert early == 1, "each message lets it settle anew"
    assert wire.payloads()[1]["attributes"] == {"brightness": 6, "effect": "rainbow"}
    assert without_effect == 2, "it has been learned, and is waited for"
    assert wire.join.orphans == 0


def test_the_join_asks_to_be_looked_at_when_an_event_is_settled_not_only_when_it_is_quiet() -> None:
    wire = Wire()
    unknown_at_s = wire.join.next_deadline_s()
    wire.event("light/a", "on", "T1")
    quiet_at_s = wire.join.next_deadline_s()
    wire.wait(1)

    wire.event("light/a", "on", "T2")

    assert unknown_at_s is None
    assert quiet_at_s == 100.5
    assert wire.join.next_deadline_s() == 101.01


def test_topics_without_end_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statestream, "_MAX_TOPICS", 1000)
    wire = Wire()

    for number in range(1001):
        wire.join.seed(f"homeassistant/sensor/s{number}/unit")
    wire.event("sensor/a", "1", "T1")
    wire.wait(1)

    assert len(wire.join._entities) < 10
    assert wire.payloads()[0]["last_updated"] == "T1"


def test_retained_replays_teach_the_shape() -> None:
    wire = Wire()
    for leaf in ("state", "last_updated", "last_changed", "brightness"):
        wire.join.seed(f"homeassistant/light/a/{leaf}")

    wire.event("light/a", "on", "T1", brightness=6)
    wire.wait(0.01)

    assert len(wire.joined) == 1


def test_an_entity_may_have_another_shape_in_another_state() -> None:
    wire = Wire()
    wire.event("light/a", "on", "T1", brightness=5)
    wire.wait(1)
    wire.event("light/a", "off", "T2")
    wire.wait(1)

    wire.event("light/a", "on", "T3", brightness=6)
    wire.event("light/a", "off", "T4")
    wire.wait(0.01)

    assert [one["attributes"] for one in wire.payloads()] == [{"brightness": 5}, {}, {"brightness": 6}, {}]


def test_mixed_messages_of_two_events_are_told_apart_first_in_first_out() -> None:
    wire = Wire()

    for leaf, first, second in (("state", "1", "2"), ("last_updated", "T1", "T2"), ("last_changed", "T1", "T2")):
        wire.say(f"sensor/a/{leaf}", first)
        wire.say(f"sensor/a/{leaf}", second)
    wire.wait(1)

    assert [(one["state"], one["last_updated"]) for one in wire.payloads()] == [("1", "T1"), ("2", "T2")]


def test_an_attribute_that_could_belong_to_two_events_marks_the_join_uncertain() -> None:
    wire = Wire()
    wire.event("sensor/a", "1", "T1")
    wire.event("sensor/a", "2", "T2")

    wire.say("sensor/a/icon", '"mdi:x"')
    wire.wait(1)

    marked = {one["state"]: joined.uncertain for one, joined in zip(wire.payloads(), wire.joined, strict=True)}
    assert marked == {"1": True, "2": False}


def test_a_message_that_belongs_to_no_event_is_not_kept_but_counted_and_learned() -> None:
    wire = Wire()
    wire.event("sensor/a", "1", "T1")
    wire.wait(1)
    wire.event("sensor/a", "2", "T2")
    wire.wait(0.01)

    kept = wire.say("sensor/a/icon", '"late"')
    wire.event("sensor/a", "3", "T3", icon="x")
    wire.wait(0.01)

    assert not kept
    assert wire.join.orphans == 1
    assert wire.payloads()[2]["attributes"] == {"icon": "x"}


def test_an_attribute_that_is_no_json_stays_in_its_place() -> None:
    wire = Wire()
    wire.event("sensor/a", "1", "T1")

    wire.say("sensor/a/evil", '1},"state":"forged","x":{"y":2')
    wire.say("sensor/a/binary", b"\xff\x00")
    wire.say("sensor/a/nan", "NaN")
    wire.wait(1)

    [one] = wire.payloads()
    assert one["state"] == "1"
    assert one["attributes"]["evil"] == '1},"state":"forged","x":{"y":2'
    assert one["attributes"]["binary"] == "\ufffd\x00"
    assert one["attributes"]["nan"] != one["attributes"]["nan"]  # it is not a number


def test_an_event_that_is_open_while_the_connection_changes_waits_anew_for_its_rest() -> None:
    wire = Wire()
    wire.say("sensor/a/state", "1")
    wire.now_s += 5

    wire.join.touch(wire.now_s)
    wire.wait(0.4)
    wire.say("sensor/a/last_updated", "T1")
    wire.wait(1)

    assert wire.payloads() == [{"entity_id": "sensor.a", "state": "1", "last_updated": "T1", "attributes": {}}]


def test_a_time_that_comes_late_does_not_fall_to_the_next_event() -> None:
    wire = Wire()
    wire.event("sensor/power", "1", "T1")
    wire.wait(0.6)
    wire.say("sensor/power/state", "2")
    wire.wait(0.6)
    wire.say("sensor/power/last_updated", "T2")
    wire.say("sensor/power/last_changed", "T2")

    wire.event("sensor/power", "3", "T3")
    wire.wait(0.6)

    assert [(one["state"], one["last_updated"]) for one in wire.payloads()] == [("1", "T1"), ("2", "T2"), ("3", "T3")]


def test_a_time_does_not_go_to_an_older_event_whose_state_was_there_long_before_it() -> None:
    wire = Wire()
    at_100_s, at_101_s = "1970-01-01T00:01:40+00:00", "1970-01-01T00:01:41+00:00"
    wire.event("sensor/power", "1", at_100_s)
    wire.wait(0.6)
    wire.say("sensor/power/state", "2")
    wire.wait(1.0)

    wire.event("sensor/power", "3", at_101_s, unit_of_measurement="W")
    wire.wait(2.0)

    found = {one["state"]: one for one in wire.payloads()}
    assert {state: one.get("last_updated") for state, one in found.items()} == {"1": at_100_s, "2": None, "3": at_101_s}
    assert found["3"]["attributes"] == {"unit_of_measurement": "W"}


def test_a_time_that_never_comes_is_not_waited_for_long() -> None:
    wire = Wire()
    wire.event("sensor/power", "1", "T1")
    wire.wait(0.6)
    wire.say("sensor/power/state", "2")

    for _ in range(4):
        assert len(wire.joined) == 1
        wire.wait(0.5)

    assert [one.get("last_updated") for one in wire.payloads()] == ["T1", None]


def test_of_a_recorded_home_at_most_18_of_2364_states_get_a_time_that_is_not_theirs(
    record_property: Callable[[str, object], None],
) -> None:
    truth, messages = _recorded()

    wire = _played(messages)

    times = {(entity_id, updated) for entity_id, _, updated, _ in truth}
    found = [
        (one["entity_id"], one["state"], one.get("last_updated"), one.get("last_changed")) for one in wire.payloads()
    ]
    heard_twice = [one for one in found if one[2] is None or (one[0], one[2]) in times]
    wrong = [one for one in heard_twice if one not in truth]
    record_property("wrong_times", len(wrong))
    sys.stdout.write(f"{len(wrong)} of {len(heard_twice)} states without their own time\n")
    assert len(heard_twice) == 2364
    assert len(wrong) <= 18, wrong
    assert len(wrong) == 7, "Home Assistant had waited ten seconds for the broker between their state and their times"
    assert all(updated is None for _, _, updated, _ in wrong), "none has the time of another"


def test_of_a_recorded_home_few_states_lack_an_attribute_or_have_one_of_another_and_are_not_marked(
    record_property: Callable[[str, object], None],
) -> None:
    truth, messages = _recorded()

    wire = _played(messages)

    mistaken = [
        (one["entity_id"], one["state"], joined.uncertain)
        for one, joined in zip(wire.payloads(), wire.joined, strict=True)
        if (known := truth.get((one["entity_id"], one["state"], one.get("last_updated"), one.get("last_changed"))))
        and known != _checksum(one["attributes"])
    ]
    unmarked = [one for one in mistaken if not one[2]]
    record_property("wrong_attributes_unmarked", len(unmarked))
    sys.stdout.write(f"{len(unmarked)} of {len(truth)} states with wrong attributes and no mark\n")
    # To wait for quiet after each event would give 85: these lack what Home Assistant published late, or never.
    assert len(unmarked) <= 83, unmarked
    assert wire.join.orphans <= 63


def _recorded() -> tuple[dict[tuple[str, str | None, str | None, str | None], int], list[tuple[float, str, bytes]]]:
    """Return the checksum of the attributes of each state that came by WebSocket, and the messages by MQTT."""
    truth: dict[tuple[str, str | None, str | None, str | None], int] = {}
    messages: list[tuple[float, str, bytes]] = []
    with gzip.open(RECORDED) as lines:
        for line in lines:
            item = json.loads(line)
            if isinstance(item, dict):
                entity_id, state, updated, changed, attributes = item["websocket"]
                truth[entity_id, state, updated, changed] = attributes
            else:
                at_s, topic, text, *binary = item
                raw = base64.b64decode(binary[0]) if binary else text.encode("utf-8", "surrogatepass")
                messages.append((at_s, topic, raw))
    return truth, messages


def _played(messages: list[tuple[float, str, bytes]]) -> Wire:
    wire = Wire()
    for at_s, topic, payload in messages:
        wire.wait(at_s + 100 - wire.now_s)
        wire.say(topic, payload)
    wire.wait(1000)
    return wire


def _checksum(attributes: Any) -> int:
    """Return what the recording keeps of attributes; by WebSocket a NaN is null."""
    return zlib.crc32(json.dumps(_finite(attributes), sort_keys=True).encode())


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list) else value


@given(order=st.lists(st.integers(0, 4), min_size=1, max_size=60), data=st.data())
def test_whatever_the_mixture_each_state_gets_its_own_time(order: list[int], data: st.DataObject) -> None:
    wire = Wire()
    steps = [("state", "{n}"), ("last_updated", "T{n}"), ("last_changed", "T{n}")]
    at: list[int] = []

    for choice in order:
        # Each event's n-th message comes before the n-th of the next event: what Home Assistant guarantees.
        movable = [n for n, step in enumerate(at) if step < 3 and (n == 0 or at[n - 1] > step)]
        if choice == 0 or not movable:
            wire.say("sensor/a/state", str(len(at)))
            at.append(1)
        else:
            n = movable[choice % len(movable)]
            leaf, text = steps[at[n]]
            wire.say(f"sensor/a/{leaf}", text.format(n=n))
            at[n] += 1
    wire.wait(10)

    assert all(one.get("last_updated", f"T{one['state']}") == f"T{one['state']}" for one in wire.payloads())
    assert sum(len(one.deliveries) for one in wire.joined) == wire.packet_id - wire.join.orphans


def test_open_events_are_bounded_by_bytes_and_the_oldest_are_closed_as_they_are() -> None:
    wire = Wire()
    large = b'"' + b"x" * 1_000_000 + b'"'

    for number in range(100):
        wire.say(f"sensor/s{number}/state", str(number))
        wire.say(f"sensor/s{number}/text", large)
        wire.wait(0.0001)

    assert wire.join.bytes <= statestream.MAX_OPEN_BYTES
    closed = [payload["state"] for payload in wire.payloads()]
    assert closed == [str(number) for number in range(len(closed))]
    assert len(closed) + len(wire.join) == 100
    assert all(len(one.deliveries) == 2 for one in wire.joined)
    wire.wait(1)
    assert (wire.join.bytes, len(wire.joined)) == (0, 100)
