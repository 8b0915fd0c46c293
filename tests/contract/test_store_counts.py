"""What a store counts for a report: which states have their context, and which were repaired; on every store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestor.events.event import Event, Place
from ingestor.settings import StorageSettings
from ingestor.storage.memory import MemoryStore
from ingestor.storage.open import open_store
from ingestor.storage.port import ContextCount, Store
from ingestor.storage.schema import PointBuilder, point_time_ns
from tests.servers_stores import InfluxDB, configured_influxdb

T0_US = 1_795_229_244_000_000
SPAN = (T0_US * 1000, (T0_US + 1_000_000) * 1000)
KITCHEN = Place("sensor.a", "sensor", area="Küche", device="Plug")
NOWHERE = Place("sensor.b", "sensor", area="-", device="-")


CONFIGURED = configured_influxdb()
#: One of its own: a server that is configured may know others.
HOME = f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture(params=["memory", "embedded", "influxdb1", *(["configured"] if CONFIGURED else [])])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    found: Store = MemoryStore()
    if request.param != "memory":
        url, token = "sqlite://", ""
        if request.param == "configured" and CONFIGURED:
            url, token = CONFIGURED
        if request.param == "influxdb1":
            server: InfluxDB = request.getfixturevalue("influxdb")
            url = f"influxdb1://127.0.0.1:{server.port}/counts_{uuid.uuid4().hex[:8]}"
        found = open_store(StorageSettings.model_validate({"url": url, "token": token or None}), tmp_path)
    yield found
    found.close()


def write(
    store: Store, at_us: int, place: Place, *, home: str = "", context: str | None = None, rules: str = ""
) -> None:
    event = Event(0, "state", "state_changed", place.series, place.series, T0_US + at_us, 0, "websocket", 1, state="21")
    event.context_id = context
    event.extras = {"repaired_by": rules} if rules else None
    builder = PointBuilder(StorageSettings())
    store.write(builder.points(event, place, home or f"{HOME}-{id(store)}", point_time_ns(event)))


def test_states_are_counted_by_domain_with_what_they_say_of_place_and_context(store: Store) -> None:
    write(store, 0, KITCHEN, context="01A")
    write(store, 1, KITCHEN)
    write(store, 2, KITCHEN)
    write(store, 3, NOWHERE, context="01B")
    write(store, 4, Place("light.a", "light", area="-", device="Lamp"), context="01C")
    write(store, 5, KITCHEN, home="cabin", context="01B")
    write(store, 2_000_000, KITCHEN, context="01B")

    assert store.context_counts(f"{HOME}-{id(store)}", *SPAN) == [
        ContextCount("light", states=1, placed=1, tied=1, both=1),
        ContextCount("sensor", states=4, placed=3, tied=2, both=1),
    ]
    assert store.context_counts("nobody", *SPAN) == []


def test_repaired_states_are_counted_by_the_rules_that_did_it(store: Store) -> None:
    for at_us, rules in enumerate(["decimal_comma", "decimal_comma", "unit_in_state,decimal_comma", "it's"]):
        write(store, at_us, KITCHEN, rules=rules)
    write(store, 10, KITCHEN)
    write(store, 2_000_000, KITCHEN, rules="decimal_comma")

    assert store.repair_counts(f"{HOME}-{id(store)}", *SPAN) == {
        "decimal_comma": 2,
        "it's": 1,
        "unit_in_state,decimal_comma": 1,
    }
    assert store.repair_counts("nobody", *SPAN) == {}
