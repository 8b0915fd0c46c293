"""Measures the sync of a large home: `python -m tests.bench.large_home [ENTITIES]`; needs a Redis on this machine.

Prints how long a first sync, a sync without a change, its comparisons, and a look-up of a place take, on a demo home
with so many entities, with SQLite and a Redis of its own. The promise: a full sync under 10 s, the diff under 1 s, a
look-up under 1 µs. The demo home answers from this process: its share is in the figures of a sync.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import sqlalchemy as sa
from pydantic import SecretStr

from ingestor.demo.home import DemoHome
from ingestor.demo.running import RunningDemo, running_demo
from ingestor.home.cache import RedisHomeMap
from ingestor.home.derive import Current, Registries, derive
from ingestor.home.facts_derive import derive_facts
from ingestor.home.facts_redis import RedisFacts, pack_facts
from ingestor.home.history import MapHistory
from ingestor.home.merge import Merger
from ingestor.home.objects_derive import derive_objects
from ingestor.home.objects_store import RegistryObjects
from ingestor.home.reading import Reading, read_home
from ingestor.home.sync import no_search_for_rings, read_registries, run_sync
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.queue.state import connect_state
from ingestor.settings import HomeAssistantSettings, HomeSettings, RegistrySettings
from ingestor.storage.database import open_database
from tests.servers_brokers import RedisServer

ENTITIES = 20_000
LOOKUPS = 1_000_000


def timed(what: str, work: Callable[[], object]) -> float:
    """Do it and say how long it took: by the clock, and of processor time (the demo home's share is in it)."""
    began, used = time.perf_counter(), time.process_time()
    work()
    took_s, used_s = time.perf_counter() - began, time.process_time() - used
    sys.stdout.write(f"{what:<44} {took_s * 1000:10.1f} ms {used_s * 1000:10.1f} ms of processor\n")
    return took_s


def measure(demo: RunningDemo, redis_url: str, folder: Path) -> dict[str, float]:
    """Measure the syncs of a running home, and what they consist of. Seconds, and microseconds of a look-up."""
    database = open_database(f"sqlite:///{folder / 'metadata.sqlite'}")
    state = connect_state(redis_url)
    settings = HomeAssistantSettings(url=demo.url, token=SecretStr(demo.token))
    home = HomeSettings(name="large", homeassistant=settings)

    def sync() -> None:
        run_sync(home, RegistrySettings(), state, database)

    found = {
        "full_sync_s": timed("first sync, all of it", sync),
        "no_change_sync_s": timed("sync without a change, all of it", sync),
    }
    demo.control.move(next(iter(demo.home.registry.entities)), "kitchen")
    timed("sync with one change, all of it", sync)
    with HomeAssistantClient(settings) as client:
        timed("  of which: reading the registries", lambda: read_registries(client))
        registries = read_registries(client)
        timed("  of which: reading the rest", lambda: read_home(client, registries))
        reading = read_home(client, registries)
    with no_search_for_rings():  # as in a sync
        found["diff_s"] = measure_parts(database, registries, reading)
    found["look_up_us"] = look_up(state)
    source = RedisFacts(state, ["large"])
    timed("a worker reads new facts", source.refresh)
    database.dispose()
    return found


def measure_parts(database: sa.Engine, registries: Registries, reading: Reading) -> float:
    """Measure what a sync does with what it has read; return how long its two comparisons take (seconds)."""
    observed, facts = derive_objects(registries, reading), derive_facts("large", registries, {}, reading)
    timed("  of which: places", lambda: derive(registries))
    current = derive(registries)
    timed("  of which: facts", lambda: derive_facts("large", registries, current, reading))
    timed("  of which: packing facts", lambda: pack_facts(facts))
    timed("  of which: objects", lambda: derive_objects(registries, reading))
    diff_s = timed("  of which: comparing places with the history", lambda: compare_places(database, current))
    kept = RegistryObjects(database)
    return diff_s + timed("  of which: comparing objects with the store", lambda: kept.take("large", observed))


def compare_places(database: sa.Engine, current: Mapping[str, Current]) -> None:
    """Compare the places with their history as a sync does."""
    record = MapHistory(database).load("large")
    _, diff = Merger(record.entries, record.joined).merge(current, frozenset(), version=2**53, effective_us=2**60)
    if diff:
        raise RuntimeError(f"nothing has changed, but the diff says: {diff}")


def look_up(state: object) -> float:
    """Measure a worker's reading of a new map, and the look-up of a place in it; return the second in microseconds."""
    places = RedisHomeMap(state)  # type: ignore[arg-type]  # it is a Redis; its type has a parameter
    timed("a worker reads a new map", lambda: places.ready("large"))
    names = list(places._snapshots["large"].timelines)[:1000]
    now_us = time.time_ns() // 1000
    began = time.process_time()
    for _ in range(LOOKUPS // len(names)):
        for name in names:
            places.place_of("large", name, now_us)
    took_us = (time.process_time() - began) / LOOKUPS * 1e6
    sys.stdout.write(f"{'look-up of a place':<44} {took_us:10.3f} us of processor\n")
    return took_us


def measure_large_home(entities: int = ENTITIES) -> dict[str, float]:
    """Measure a home of so many entities."""
    large = DemoHome(1, entities)
    large.begin()
    with tempfile.TemporaryDirectory() as folder, RedisServer() as redis, running_demo(large) as demo:
        sys.stdout.write(f"{len(demo.home.registry.entities):,} entities\n")
        return measure(demo, redis.url, Path(folder))


def sentence(found: Mapping[str, float]) -> str:
    """Return the figures in one line."""
    return (
        f"a home of {ENTITIES:,} entities: full sync {found['full_sync_s']:.1f} s, without a change"
        f" {found['no_change_sync_s']:.1f} s, of which the diff {found['diff_s']:.2f} s;"
        f" look-up of a place {found['look_up_us']:.2f} us"
    )


def main() -> None:
    """Measure a home of so many entities."""
    measure_large_home(int(sys.argv[1]) if len(sys.argv) > 1 else ENTITIES)


if __name__ == "__main__":
    main()
