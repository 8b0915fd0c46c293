"""The pools of workers: their names, and how many nodes of each are wanted, for all hosts to see; starts none.

What `ha-ingestor scale` asks for is kept in the state server; each supervisor keeps a copy in its data folder and puts
it back where the state server has lost it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import redis

from ingestor.events.decoding import UNREADABLE
from ingestor.queue.names import RARE, TaskType
from ingestor.queue.state import state_errors
from ingestor.settings import Settings
from ingestor.settings_pools import MOST_NODES

#: What can be scaled: a step of the way, or the rare types, which share their nodes.
POOLS: Final = (TaskType.VALIDATE.value, TaskType.ENRICH.value, TaskType.WRITE.value, "rare")
#: The node of a small machine, that serves every queue; there is one, so it is not scaled.
ALL: Final = "all"
_KEY: Final = "ha_ingestor:pools"
#: Says that the entry is there, although nothing in particular is wanted.
_CHANGES: Final = "changes"


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
        self._state = state
        self._copy = copy

    def set(self, numbers: Mapping[str, int | None], host: str | None = None) -> None:
        """Ask for so many nodes; None: as many as the settings say. Without a host, for all. Raises StateUnavailable.

        What was asked for of single hosts is over when it is asked of all.
        """
        with state_errors():
            held = [key.decode("utf-8", "replace") for key in self._state.hkeys(_KEY)]
            pipe = self._state.pipeline()
            for pool, number in numbers.items():
                single = [key for key in held if key.startswith(f"{pool}@")] if host is None else []
                field = pool if host is None else f"{pool}@{host}"
                if gone := [*single, field] if number is None else single:
                    pipe.hdel(_KEY, *gone)
                if number is not None:
                    pipe.hset(_KEY, field, str(number))
            pipe.hincrby(_KEY, _CHANGES, 1)
            pipe.execute()

    def read(self, host: str) -> dict[str, int]:
        """Return what is asked for of a host, by pool. Raises StateUnavailable."""
        with state_errors():
            held = self._state.hgetall(_KEY)
        wanted = {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in held.items()}
        return _for_host(self._kept_in_step(wanted), host)

    def last_known(self, host: str) -> dict[str, int]:
        """Return what was asked for of a host when the state server was last heard."""
        return _for_host(self._read_copy(), host)

    def _kept_in_step(self, wanted: dict[str, str]) -> dict[str, str]:
        """Bring copy and state server in step: the state server is right, where it knows anything."""
        kept = self._read_copy()
        if not wanted and kept:
            with state_errors():
                for name, value in kept.items():
                    self._state.hsetnx(_KEY, name, value)
            return kept
        if wanted != kept and self._copy is not None:
            beside = self._copy.with_suffix(".new")
            with contextlib.suppress(OSError):  # a full disk: the state server has it
                beside.write_bytes(msgspec.json.encode(wanted))
                os.replace(beside, self._copy)  # noqa: PTH105 -- says what it does
        return wanted

    def _read_copy(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._copy.read_bytes(), type=dict[str, str]) if self._copy else {}
        except (OSError, *UNREADABLE):
            return {}


def _for_host(wanted: Mapping[str, str], host: str) -> dict[str, int]:
    found = {}
    for pool in POOLS:
        number = wanted.get(f"{pool}@{host}", wanted.get(pool, ""))
        if number.isdecimal() and 1 <= int(number) <= MOST_NODES:
            found[pool] = int(number)
    return found
