"""Which processes `ha-ingestor up` runs, as data; starts none."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ingestor.queue.pools import ALL, POOLS, most_nodes, node_command
from ingestor.settings import HomeSettings, Settings
from ingestor.settings_demo import DEMO_TOKEN
from workers import broker
from workers.child import Spec

#: What is only looked at takes a third of an event's share where processors are short. Rare tasks do not stand back: an
#: entity that the map does not know yet waits for a sync, and for no longer than some seconds.
_STANDS_BACK: Final = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """The broker (started first, stopped last), all else, and what every process finds in its environment."""

    broker: Spec | None
    others: list[Spec]
    env: dict[str, str] = field(default_factory=dict)
    demo: bool = False


def make(settings: Settings, nodes: Mapping[str, int]) -> Plan:
    """Decide what to run for these settings, with so many worker nodes of each pool."""
    demo = wants_demo(settings)
    env: dict[str, str] = {"HA_INGESTOR_DATA_DIR": str(settings.data_dir.absolute())}
    others: list[Spec] = []
    if demo:
        port = settings.demo.port or _free_port()
        env["HA_INGESTOR_HOMEASSISTANT__URL"] = f"http://127.0.0.1:{port}"
        env["HA_INGESTOR_HOMEASSISTANT__TOKEN"] = DEMO_TOKEN
        others.append(_own("demo", "demo", "--port", str(port), "--token", DEMO_TOKEN, stop_order=1))
    if settings.workers.together:
        words = node_command(settings, ALL, settings.workers.together)
        others.append(Spec("worker-all", [sys.executable, *words], stop_order=2))  # beat is in it
    else:
        others += [worker(settings, pool, one) for pool in POOLS for one in range(1, nodes[pool] + 1)]
        others.append(_own("beat", "beat", stop_order=1))
    others.append(_own("api", "api", stop_order=1))
    if settings.flower.enabled:
        others.append(replace(_own("flower", "flower", stop_order=1), niceness=_STANDS_BACK))
    others += _listeners(settings, demo=demo)
    embedded = (
        Spec("broker", broker.command(settings), env=broker.ENVIRONMENT, stop_order=9)
        if settings.broker.url == "embedded"
        else None
    )
    return Plan(embedded, others, env, demo)


def wants_demo(settings: Settings) -> bool:
    """Tell whether the demo home runs: as set, else when no home is configured."""
    if settings.demo.enabled is not None:
        return settings.demo.enabled
    return not any(home.homeassistant.url or home.mqtt.url for home in settings.all_homes())


def worker(settings: Settings, pool: str, number: int) -> Spec:
    """Return the worker node of a pool with that number."""
    # One process writes SQLite best: four of them double the waiting time (rule 24).
    processes = 1 if pool == "write" and most_nodes(settings, pool) == 1 else settings.workers.processes_of(pool)
    name = f"worker-{pool}" if number == 1 else f"worker-{pool}-{number}"
    # Not by way of `ha-ingestor worker`: its command line takes as long to load as all that a node needs.
    return Spec(name, [sys.executable, *node_command(settings, pool, processes, number)], stop_order=2)


def _listeners(settings: Settings, *, demo: bool) -> list[Spec]:
    found = []
    for number, home in enumerate(settings.all_homes()):
        simulated = demo and number == 0
        if home.homeassistant.url or simulated:
            found.append(_listener(home, "websocket"))
        if home.mqtt.url:
            found.append(_listener(home, "mqtt"))
    return found


def _listener(home: HomeSettings, kind: str) -> Spec:
    spec = _own(f"listen-{kind}-{home.name}", "listen", kind, "--home", home.name, stop_order=0)
    # One memory arena for all threads: with glibc's eight a listener keeps 5 MB more and comes near its 80 MB.
    return replace(spec, env={"MALLOC_ARENA_MAX": "1"})


def _own(name: str, *words: str, stop_order: int) -> Spec:
    return Spec(name, [sys.executable, "-m", "ingestor", *words], stop_order=stop_order)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
