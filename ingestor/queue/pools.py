"""The pools of workers: their names, and how many nodes of each are wanted, for all hosts to see; starts none.

What `ha-ingestor scale` asks for is kept in the state server; each supervisor keeps a copy in its data folder and puts
it back where the state server has lost it.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import redis

from ingestor.queue.kept_hash import KeptHash
from ingestor.queue.names import RARE, TaskType
from ingestor.settings import Settings
from ingestor.settings_pools import MOST_NODES

#: What can be scaled: a step of the way, or the rare types, which share their nodes.
POOLS: Final = (TaskType.VALIDATE.value, TaskType.ENRICH.value, TaskType.WRITE.value, "rare")
#: The node of a small machine, that serves every queue; there is one, so it is not scaled.
ALL: Final = "all"
_KEY: Final = "ha_ingestor:pools"


def queues_of(pool: str) -> list[str]:
    """Return which queues a pool serves, or a node for all."""
    several = {"rare": RARE, ALL: tuple(TaskType)}
    return [kind.value for kind in several.get(pool) or (TaskType(pool),)]


def host_of(settings: Settings) -> str:
    """Return what this host is called."""
    return settings.workers.host or socket.gethostname()


def node_name(pool: str, number: int, host: str) -> str:
    """Return what Celery calls a node: the first is `enrich@host`, the second `enrich-2@host`."""
    return f"{pool}@{host}" if number == 1 else f"{pool}-{number}@{host}"


def pool_of(node: str) -> str:
    """Return the pool that a node is of, by its name."""
    kind, _, number = node.partition("@")[0].rpartition("-")
    return kind if kind and number.isdigit() else node.partition("@")[0]


def node_command(settings: Settings, pool: str, processes: int, number: int = 1) -> list[str]:
    """Return what Python is told to run a node: workers/worker.py, in the words of `celery worker`."""
    named = ("-Q", ",".join(queues_of(pool)), "-n", node_name(pool, number, host_of(settings)))
    return ["-m", "workers.worker", *named, "-c", str(processes)]


def most_nodes(settings: Settings, pool: str) -> int:
    """Return the limit of a pool: SQLite is written best by one process (rule 24)."""
    return 1 if pool == "write" and settings.storage.url.startswith("sqlite") else MOST_NODES


class WantedNodes:
    """How many nodes somebody asked for, by pool, for all hosts or for one."""

    def __init__(self, state: redis.Redis[bytes], copy: Path | None = None) -> None:
        self._kept = KeptHash(state, _KEY, copy)

    def set(self, numbers: Mapping[str, int | None], host: str | None = None) -> None:
        """Ask for so many nodes; None: as many as the settings say. Without a host, for all. Raises StateUnavailable.

        What was asked for of single hosts is over when it is asked of all.
        """
        held = self._kept.names() if host is None else []
        given: dict[str, str] = {}
        gone: list[str] = []
        for pool, number in numbers.items():
            gone += [name for name in held if name.startswith(f"{pool}@")]
            name = pool if host is None else f"{pool}@{host}"
            if number is None:
                gone.append(name)
            else:
                given[name] = str(number)
        self._kept.change(given, gone)

    def read(self, host: str) -> dict[str, int]:
        """Return what is asked for of a host, by pool. Raises StateUnavailable."""
        return _for_host(self._kept.read(), host)

    def last_known(self, host: str) -> dict[str, int]:
        """Return what was asked for of a host when the state server was last heard."""
        return _for_host(self._kept.last_known(), host)


def _for_host(wanted: Mapping[str, str], host: str) -> dict[str, int]:
    found = {}
    for pool in POOLS:
        number = wanted.get(f"{pool}@{host}", wanted.get(pool, ""))
        if number.isdecimal() and 1 <= int(number) <= MOST_NODES:
            found[pool] = int(number)
    return found
