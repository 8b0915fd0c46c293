"""What an attribute is worth is learned by looking; what says nothing is left out only where that is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from ingestor.events.event import Event
from ingestor.quality import attributes
from ingestor.quality.attributes import ENOUGH_LOOKS, LOOKS_OF_A_WEEK, Learned, attributes_of, look_at, to_leave_out
from ingestor.quality.gate import Gate
from ingestor.settings_quality import QualitySettings


def home(number: int) -> list[dict[str, Any]]:
    lamp = {"friendly_name": "Lamp", "brightness": number % 3, "effect_list": ["x" * 300], "icon": "mdi:lamp"}
    sensor = {"unit_of_measurement": "°C", "last_seen": str(number)}
    return [
        {"entity_id": "light.lamp", "attributes": lamp},
        {"entity_id": "sensor.kitchen", "attributes": sensor},
        {"entity_id": "sensor.broken", "attributes": None},
    ]


def learned(looks: int) -> Learned:
    found = Learned()
    for number in range(looks):
        look_at(found, home(number))
    return found


def test_after_enough_looks_an_attribute_is_constant_long_or_lively() -> None:
    verdicts = {(one.domain, one.name): one.verdict for one in attributes_of(learned(LOOKS_OF_A_WEEK))}

    assert verdicts == {
        ("light", "friendly_name"): "constant",
        ("light", "brightness"): "lively",
        ("light", "effect_list"): "long",
        ("light", "icon"): "constant",
        ("sensor", "unit_of_measurement"): "constant",
        ("sensor", "last_seen"): "lively",
    }


def test_before_enough_looks_nothing_is_said_and_what_is_needed_is_never_left_out() -> None:
    early, late = attributes_of(learned(ENOUGH_LOOKS - 1)), attributes_of(learned(LOOKS_OF_A_WEEK))

    assert {one.verdict for one in early} == {"not known yet"}
    assert to_leave_out(early) == {}
    assert to_leave_out(attributes_of(learned(ENOUGH_LOOKS))) == {"light": {"effect_list"}}
    assert to_leave_out(late) == {"light": {"effect_list", "icon"}}


def test_an_attribute_that_begins_to_change_is_kept_again() -> None:
    found = learned(LOOKS_OF_A_WEEK)
    changed = home(0)
    changed[0]["attributes"]["icon"] = "mdi:other"

    look_at(found, changed)

    assert "icon" not in to_leave_out(attributes_of(found))["light"]


def test_no_more_is_followed_than_fits_and_what_is_gone_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "MAX_FOLLOWED", 3)
    found = learned(2)

    assert sum(len(of_entity) for of_entity in found.entities.values()) == 3
    assert found.left_out == 3
    look_at(found, [])
    assert found.entities == {}


def event(entity_id: str) -> Event:
    given = {"brightness": 3, "icon": "mdi:lamp", "latitude": 1.0}
    more: dict[str, Any] = {"state": "on", "value": 1.0, "attributes": dict(given)}
    return Event(0, "state", "state_changed", entity_id, entity_id, 1_795_229_244_000_000, 0, "websocket", 1, **more)


def test_the_gate_leaves_out_what_was_learned_but_not_what_enrichment_reads() -> None:
    gate = Gate(QualitySettings())
    phone = {"entity_id": "device_tracker.phone", "attributes": {"latitude": 1.0}}
    found = Learned()
    for _ in range(LOOKS_OF_A_WEEK):
        look_at(found, [*home(0), phone])
    gate.learn(to_leave_out(attributes_of(found)))

    lamp, tracker = gate.look([event("light.lamp"), event("device_tracker.phone")], 1_795_229_245_000_000_000).staying

    assert lamp.attributes == {"latitude": 1.0}
    assert tracker.attributes == {"brightness": 3, "icon": "mdi:lamp", "latitude": 1.0}
