"""What Home Assistant answers, what devices announce, and what lies beside a journal: read, or passed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestor.events.mqtt_models import DiscoveredEntity
from ingestor.events.redact import redact
from ingestor.home.derive import Registries, derive
from ingestor.intake.gaps.gap import Gap
from ingestor.intake.gaps.memory import GapMemory
from ingestor.intake.mqtt.announced import MAX_AT_TOPIC, MAX_ENTITIES, MAX_TEXT, MAX_WIDE, Announced
from ingestor.intake.mqtt.discovery import Discovery
from tests.fuzz.road import corpus
from tests.fuzz.test_every_frame_ends import as_json, documents, replaced

TOPIC = "homeassistant/sensor/a/config"
SECRET = b"zq!zq"
REGISTRIES = ("entities", "devices", "areas", "floors", "labels", "states")


def learned(payload: bytes) -> Discovery:
    """Return a discovery that heard a config, after it was asked for all that it knows."""
    discovery = Discovery("homeassistant", lambda _component, _unique_id: "sensor.known")
    discovery.learn(TOPIC, payload)
    for topic in [*discovery.topics(), "a/b", TOPIC]:
        discovery.entities_at(topic)
    return discovery


@pytest.mark.parametrize("path", list(corpus("config")), ids=lambda one: one.stem)
def test_each_config_of_the_corpus_is_learned_or_refused(path: Path) -> None:
    discovery = learned(path.read_bytes())

    assert len(discovery) or discovery.refused or path.stem in {"template_too_long", "topic_is_object", "topic_is_all"}
    discovery.learn(TOPIC, b"")
    assert len(discovery) == 0
    assert discovery.topics() == []


@given(documents, st.sampled_from(sorted(corpus("config"))), st.integers(0, 30))
def test_any_config_is_learned_or_refused(value: Any, path: Path, place: int) -> None:
    learned(as_json(value))
    learned(as_json(replaced(json.loads(path.read_bytes()), value, place)))


def test_what_is_announced_stays_within_its_limits_and_is_given_back() -> None:
    def entity(number: int, text: str = "") -> DiscoveredEntity:
        return DiscoveredEntity(component="sensor", object_id=str(number), value_template=text or None)

    announced = Announced()
    announced.replace("flood", [("one/topic", entity(number)) for number in range(MAX_AT_TOPIC + 100)])
    announced.replace("wide", [(f"w{number}/#", entity(number)) for number in range(MAX_WIDE + 10)])
    thousand = [entity(number) for number in range(1000)]
    for number in range(60):
        announced.replace(f"many{number}", [(f"t/{number}/{one.object_id}", one) for one in thousand])

    assert announced.refused == 100 + 10 + (60_000 + MAX_AT_TOPIC + MAX_WIDE - MAX_ENTITIES)
    assert len(announced) == MAX_ENTITIES
    for config in ["flood", "wide", *(f"many{number}" for number in range(60))]:
        announced.replace(config, [])
    assert len(announced) == 0

    one = entity(1, "x" * 20_000)
    large = [(f"x/{number}", one) for number in range(MAX_TEXT // 20_000 + 100)]
    announced.replace("large", large)
    assert 0 < len(announced) < MAX_TEXT // 20_000
    announced.replace("large", [])
    announced.replace("small", [("s", entity(1))])
    assert announced.topics() == ["s"]


def home_of(document: Any) -> Registries:
    """Return registries as the client hands them on: each a list, whatever its items are."""
    found = document if isinstance(document, dict) else {}
    rows: dict[str, Any] = {name: found[name] for name in REGISTRIES if isinstance(found.get(name), list)}
    return Registries(**rows)


@pytest.mark.parametrize("path", list(corpus("registry")), ids=lambda one: one.stem)
def test_each_registry_of_the_corpus_gives_a_map(path: Path) -> None:
    found = derive(home_of(json.loads(path.read_bytes())))

    assert found or path.stem == "rows_are_no_objects"


@given(documents, st.sampled_from(sorted(corpus("registry"))), st.integers(0, 60))
def test_any_value_in_a_registry_gives_a_map(value: Any, path: Path, place: int) -> None:
    derive(home_of(replaced(json.loads(path.read_bytes()), value, place)))


@pytest.mark.parametrize("path", list(corpus("redact")), ids=lambda one: one.stem)
def test_no_secret_of_the_corpus_gets_through_and_what_is_left_is_json(path: Path) -> None:
    payload = path.read_bytes()

    clean = redact(payload)

    assert SECRET in payload
    assert SECRET not in clean
    json.loads(clean)


@given(documents)
def test_redacting_leaves_json_that_is_json(value: Any) -> None:
    json.loads(redact(as_json({"password": value, "access_token": "a", "x": [value, {"token": value}]})))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=100) | documents.map(as_json))
def test_whatever_lies_beside_a_journal_a_listener_starts(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("gaps")
    (folder / "heard.json").write_bytes(content)
    (folder / "gap-5.json").write_bytes(content)
    memory = GapMemory(folder)

    found = memory.before()
    kept = list(memory.kept())

    assert found is None or isinstance(found, Gap)
    assert all(isinstance(record, dict) for record in kept)
