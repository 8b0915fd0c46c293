"""What each step of enrichment costs: CPU time of one process, over batches of the bench's load, with a real Redis.

The home is synced as the registry task does it: its entities have rooms, devices and integrations.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import redis
from pydantic import SecretStr

from ingestor import bootstrap
from ingestor.demo.home import DemoHome
from ingestor.demo.load import LoadSource
from ingestor.demo.running import running_demo
from ingestor.enrichment.opening import Means, enrichment_steps
from ingestor.enrichment.steps import Plan, Step
from ingestor.events.event import EventBatch
from ingestor.events.frame import Frame, RawBatch, new_batch_id
from ingestor.home.cache import RedisHomeMap
from ingestor.home.facts import HomeFacts
from ingestor.home.facts_redis import RedisFacts
from ingestor.home.port import HomeMap
from ingestor.home.sync import run_sync
from ingestor.pipeline.enrich import enrich
from ingestor.pipeline.validate import validate
from ingestor.queue import message
from ingestor.settings import HomeAssistantSettings, HomeSettings, RegistrySettings, Settings
from ingestor.storage.database import open_database
from tests.servers_brokers import RedisServer

_ENTITIES = 1000
_EVENTS = 500
_BATCHES = 40
_ROUNDS = 3


def measure_steps() -> dict[str, float]:
    """Return the CPU µs an event of each step, the least of three rounds; a step's cost is what it adds to `place`."""
    with tempfile.TemporaryDirectory(prefix="bench-steps-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            return _measure(Settings(data_dir=Path(folder), state={"url": server.url}))
        finally:
            server.stop()


def _measure(settings: Settings) -> dict[str, float]:
    home = DemoHome(1, _ENTITIES, sensors_only=True)
    source = LoadSource(home)
    state = bootstrap.open_state(settings)
    home_map, facts = _synced(home, state)
    batches = [message.encode_events(_batch(source)) for _ in range(_BATCHES)]
    # All that may stand on a point, so that no step is left out.
    everything = settings.model_copy(update={"storage": settings.storage.model_copy(update={"context_fields": ("*",)})})
    steps = enrichment_steps(settings.enrichment.steps, Means(everything, state))

    def cost(chosen: Sequence[Step]) -> float:
        return min(_cost(batches, home_map, facts, chosen) for _ in range(_ROUNDS))

    alone = cost(steps[:1])
    found = {steps[0].name: alone}
    found |= {step.name: max(0.0, cost((steps[0], step)) - alone) for step in steps[1:]}
    usual = enrichment_steps(settings.enrichment.steps, Means(settings, state))
    found["all that run by default"] = cost(usual)
    state.close()
    return {name: round(us, 1) for name, us in found.items()}


def _synced(home: DemoHome, state: redis.Redis[bytes]) -> tuple[HomeMap, HomeFacts]:
    """Sync the home as the registry task does; return its map and what is known of it: rooms, devices, integrations."""
    database = open_database("sqlite://")
    with running_demo(home) as demo:
        reached = HomeAssistantSettings(url=demo.url, token=SecretStr(demo.token))
        run_sync(HomeSettings(name="home", homeassistant=reached), RegistrySettings(), state, database)
    database.dispose()
    home_map, facts = RedisHomeMap(state), RedisFacts(state, ["home"])
    if not home_map.ready("home"):
        raise RuntimeError("the home was synced, but has no map")
    facts.refresh()
    return home_map, facts.facts("home")


def _batch(source: LoadSource) -> EventBatch:
    bodies = source.bodies(_EVENTS, time.time_ns() // 1000)
    payload = b"[" + b",".join(body + b',"id":3}' for body in bodies) + b"]"
    frame = Frame("websocket", time.time_ns(), payload)
    raw = RawBatch(new_batch_id(), "home", "websocket", "bench", time.time_ns(), [frame])
    return validate(raw, frozenset()).batch


def _cost(batches: Sequence[bytes], home_map: HomeMap, facts: HomeFacts, steps: Sequence[Step]) -> float:
    plan = Plan.of(steps)
    decoded = [message.decode_events(batch) for batch in batches]
    began = time.process_time()
    for batch in decoded:
        enrich(batch, home_map, now_ns=time.time_ns(), wait_s=5.0, steps=plan, facts=facts)
    return (time.process_time() - began) / (len(batches) * _EVENTS) * 1e6
