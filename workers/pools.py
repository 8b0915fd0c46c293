"""How many worker nodes this host should run, of each pool: what was asked for, and what its queues need.

Looks and decides, in a thread of its own; the supervisor starts and stops. While the state server is away, all stays
as it is.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import redis
import structlog

from ingestor import bootstrap, errors
from ingestor.queue.app import make_app
from ingestor.queue.gauge import BrokerGauge, Gauge
from ingestor.queue.names import TaskType
from ingestor.queue.pools import POOLS, WantedNodes, host_of, most_nodes, queues_of
from ingestor.queue.status_board import StatusBoard
from ingestor.settings import Settings
from ingestor.settings_following import follower
from workers.autoscale import Autoscaler, Seen
from workers.flow import Flow, Taken

_log: Final = structlog.get_logger("workers")
_LOOK_EVERY_S: Final = 0.5
_AWAY_S: Final = 2.0
#: What its entries are called on the status board.
KIND: Final = "pools"


class Pools:
    """The pools of one host. `step` belongs to one thread; `running` is set by the supervisor."""

    def __init__(
        self,
        settings: Settings,
        state: redis.Redis[bytes],
        gauge: Gauge,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self.host = host_of(settings)
        self._gauge = gauge
        self._clock = clock
        self._board = StatusBoard(state)
        self._asked = WantedNodes(state, settings.data_dir / "pools.json")
        self._flows = {pool: Flow() for pool in POOLS}
        self._taken = Taken()
        self._scalers = {pool: Autoscaler(settings.workers.pools.named(pool).grow_at_s) for pool in POOLS}
        self._least = self._first_numbers()
        self.wanted: Mapping[str, int] = dict(self._least)
        self.running: Mapping[str, int] = {}

    def _first_numbers(self) -> dict[str, int]:
        return self._numbers(self._asked.last_known(self.host))

    def _numbers(self, asked: Mapping[str, int]) -> dict[str, int]:
        """Return how many nodes each pool has at the least: as asked for, else as set by now."""
        self._settings = follower().apply(self._settings)
        pools = self._settings.workers.pools
        return {pool: min(asked.get(pool, pools.named(pool).nodes), most_nodes(self._settings, pool)) for pool in POOLS}

    def step(self) -> float:
        """Look, decide, and tell; return the seconds until the next look."""
        try:
            self._least = self._numbers(self._asked.read(self.host))
            board = self._board.read()
            load = self._gauge.read()
        except (errors.Transient, errors.AuthenticationRefused) as error:
            _log.debug("pools_wait", error=str(error))
            return _AWAY_S
        self._measure(board, load.depths)
        self.wanted = {pool: self._decide(pool, board) for pool in POOLS}
        self._board.put(KIND, self.host, self._entry())
        return _LOOK_EVERY_S

    def stop(self) -> None:
        """Say no more; give connections back."""
        self._board.forget(KIND, self.host)
        with contextlib.suppress(Exception):
            self._gauge.close()

    def _measure(self, board: Mapping[str, Mapping[str, Any]], depths: Mapping[str, int]) -> None:
        now_s = self._clock()
        self._taken.note({key: entry for key, entry in board.items() if key.startswith("worker:")})
        for pool, flow in self._flows.items():
            waiting = sum(depths.get(queue, 0) for queue in queues_of(pool))
            flow.note(now_s, waiting, self._taken.of(pool))

    def _decide(self, pool: str, board: Mapping[str, Mapping[str, Any]]) -> int:
        least = self._least[pool]
        most = self._most(pool)
        flow = self._flows[pool]
        nodes = sum(1 for key, entry in board.items() if key.startswith("worker:") and entry.get("type") == pool)
        hosts = sum(1 for key in board if key.startswith(f"{KIND}:") and key != f"{KIND}:{self.host}") + 1
        seen = Seen(flow.age_s, flow.waiting, flow.come_per_s, flow.taken_per_s, nodes, hosts, flow.still_s)
        before, now = self.wanted.get(pool, least), self._scalers[pool].step(self._clock(), seen, least, most)
        if before != now:
            _log.info("pool_scaled", pool=pool, nodes=now, before=before, age_s=round(seen.age_s, 1))
        return now

    def _most(self, pool: str) -> int:
        """Return up to how many nodes the pool grows by itself."""
        asked = self._settings.workers.pools.named(pool).nodes_max or 0
        return min(max(asked, self._least[pool]), most_nodes(self._settings, pool))

    def _entry(self) -> dict[str, Any]:
        return {"host": self.host, "pid": os.getpid(), "pools": {pool: self._pool_entry(pool) for pool in POOLS}}

    def _pool_entry(self, pool: str) -> dict[str, Any]:
        flow = self._flows[pool]
        return {
            "wanted": self.wanted[pool],
            "running": self.running.get(pool, 0),
            "least": self._least[pool],
            "most": self._most(pool),
            "waiting": flow.waiting,
            "oldest_s": round(flow.age_s, 1),
            "come_per_s": round(flow.come_per_s, 1),
            "taken_per_s": round(flow.taken_per_s, 1),
        }


def open_pools(settings: Settings) -> Pools:
    """Open the pools on the configured servers; connects at the first step."""
    gauge = BrokerGauge(make_app(settings.broker_url), [kind.value for kind in TaskType])
    return Pools(settings, bootstrap.open_state(settings), gauge)
