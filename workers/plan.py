"""Which processes `ha-ingestor up` runs, as data; starts none."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass, field, replace
from typing import Final

from ingestor.settings import HomeSettings, Settings
from workers import broker
from workers.child import Spec

#: What speaks to the demo home; it listens on loopback only.
DEMO_TOKEN: Final = "demo-home-token"  # noqa: S105 -- opens a simulated home


@dataclass(frozen=True, slots=True)
class Plan:
    """The broker (started first, stopped last), all else, and what every process finds in its environment."""

    broker: Spec | None
    others: list[Spec]
    env: dict[str, str] = field(default_factory=dict)
    demo: bool = False


def make(settings: Settings) -> Plan:
    """Decide what to run for these settings."""
    demo = wants_demo(settings)
    env: dict[str, str] = {"HA_INGESTOR_DATA_DIR": str(settings.data_dir.absolute())}
    others: list[Spec] = []
    if demo:
        port = settings.demo.port or _free_port()
        env["HA_INGESTOR_HOMEASSISTANT__URL"] = f"http://127.0.0.1:{port}"
        env["HA_INGESTOR_HOMEASSISTANT__TOKEN"] = DEMO_TOKEN
        others.append(_own("demo", "demo", "--port", str(port), "--token", DEMO_TOKEN, stop_order=1))
    others += _workers(settings)
    others.append(_own("beat", "beat", stop_order=1))
    others.append(_own("api", "api", stop_order=1))
    if settings.flower.enabled:
        others.append(_own("flower", "flower", stop_order=1))
    others += _listeners(settings, demo=demo)
    embedded = Spec("broker", broker.command(settings), stop_order=9) if settings.broker.url == "embedded" else None
    return Plan(embedded, others, env, demo)


def wants_demo(settings: Settings) -> bool:
    """Tell whether the demo home runs: as set, else when no home is configured."""
    if settings.demo.enabled is not None:
        return settings.demo.enabled
    return not any(home.homeassistant.url or home.mqtt.url for home in settings.all_homes())


def _workers(settings: Settings) -> list[Spec]:
    counts = settings.workers
    # One process writes SQLite best: four of them double the waiting time (rule 24).
    writers = 1 if settings.storage.url.startswith("sqlite") else counts.write
    pools = {"validate": counts.validate_, "enrich": counts.enrich, "write": writers, "rare": counts.rare}
    return [
        _own(f"worker-{kind}", "worker", kind, "--concurrency", str(count), stop_order=2)
        for kind, count in pools.items()
    ]


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
