"""The noise report is the same on every store: what is measured, what is proposed, what the rules then leave out."""

from __future__ import annotations

import random
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestor.events.event import Event, Place
from ingestor.quality.noise import measure
from ingestor.quality.noise_config import settings_toml
from ingestor.quality.noise_proposals import candidates, saved, simulate
from ingestor.quality.rule import Limits
from ingestor.quality.tryout import try_rule
from ingestor.quality.user_rules import compiled
from ingestor.settings import StorageSettings
from ingestor.settings_quality import QualitySettings
from ingestor.storage.memory import MemoryStore
from ingestor.storage.open import open_store
from ingestor.storage.port import EventQuery, Store
from ingestor.storage.schema import PointBuilder, point_time_ns
from tests.servers_stores import InfluxDB

T0_US = 1_795_229_244_000_000
EVENTS = 150
QUERY = EventQuery(
    kind="state",
    home="home",
    since_ns=T0_US * 1000,
    until_ns=(T0_US + EVENTS * 1_000_000) * 1000,
    limit=1_000_000,
)
LIMITS = Limits(latest_us=2_000_000_000_000_000)


@pytest.fixture(params=["memory", "embedded", "influxdb1"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store in which a noisy meter and one that says nothing are, and what is of another home."""
    found: Store = MemoryStore()
    if request.param != "memory":
        url = "sqlite://"
        if request.param == "influxdb1":
            server: InfluxDB = request.getfixturevalue("influxdb")
            url = f"influxdb1://127.0.0.1:{server.port}/noise_{uuid.uuid4().hex[:8]}"
        found = open_store(StorageSettings.model_validate({"url": url}), tmp_path)
    fill(found)
    yield found
    found.close()


def fill(store: Store) -> None:
    builder, chance, points, before = PointBuilder(StorageSettings()), random.Random(1), [], dict[str, str]()
    for number in range(EVENTS):
        for entity_id, state, home in (
            ("sensor.volts", f"{230 + chance.gauss(0, 0.5):.1f}", "home"),
            ("sensor.same", "ok", "home"),
            ("sensor.other", "ok", "cabin"),
        ):
            at_us = T0_US + number * 1_000_000
            event = Event(0, "state", "state_changed", entity_id, entity_id, at_us, 0, "websocket", 1, state=state)
            event.previous_state, event.unit = before.get(entity_id), "V"
            before[entity_id] = state
            points += builder.points(event, Place(entity_id, "sensor"), home, point_time_ns(event))
    store.write(points)


def test_what_is_measured_and_saved_does_not_depend_on_the_store(store: Store) -> None:
    measured = measure(store, QUERY, {}, lambda _measured: None)
    proposed = simulate(
        candidates(measured, lambda _entity_id: []), store, QUERY, LIMITS, lambda _points, _time_ns: None
    )

    found = {one.entity_id: one for one in measured.entities}
    assert {name: one.points for name, one in found.items()} == {"sensor.volts": EVENTS, "sensor.same": EVENTS}
    assert found["sensor.same"].repeats == EVENTS - 1
    assert found["sensor.volts"].own_noise == pytest.approx(0.45359, abs=0.0001)
    assert 20_000 < measured.bytes < 100_000
    text = settings_toml(proposed, list(found))
    rules = QualitySettings.model_validate(tomllib.loads(text)["quality"]).rules
    hits = [try_rule(compiled(rule), store, QUERY, LIMITS, lambda _tried: None).hits for rule in rules]
    assert [rule.kind for rule in rules] == ["deny", "dead-band"]
    assert sum(hits) == saved(proposed.chosen, measured)["points"]
    assert hits[0] == EVENTS
    assert 0.2 * EVENTS < hits[1] < EVENTS
