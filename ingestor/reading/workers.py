"""The pools of workers, their nodes and their queues, as processes tell of themselves; changes none of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ingestor.queue.names import TaskType
from ingestor.queue.pauses import Pause
from ingestor.queue.pools import POOLS, pool_of, queues_of

Board = Mapping[str, Mapping[str, Any]]


def read_nodes(board: Board) -> list[dict[str, Any]]:
    """Return each worker node: what it told, its type, and its state in a word."""
    return [{"name": name, **entry, "type": pool_of(name), "state": _state(entry)} for name, entry in _of(board)]


def _state(entry: Mapping[str, Any]) -> str:
    """Return `away` (its broker does not hear it), `working`, `paused` (in all its queues), or `idle`."""
    if not entry.get("ready", True):
        return "away"
    if entry.get("holds"):
        return "working"
    paused, queues = entry.get("paused") or (), entry.get("queues") or ()
    return "paused" if queues and len(paused) == len(queues) else "idle"


def read_pools(board: Board) -> list[dict[str, Any]]:
    """Return what is known of each pool on each host."""
    return list(_pools(board))


def _of(board: Board, kind: str = "worker") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, entry in board.items():
        if key.startswith(f"{kind}:"):
            yield key.partition(":")[2], entry


def _pools(board: Board) -> Iterator[dict[str, Any]]:
    nodes: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for name, entry in _of(board):
        nodes.setdefault((pool_of(name), str(entry.get("host", ""))), []).append(entry)
    told = {
        (pool, host): of_pool
        for host, entry in _of(board, "pools")
        for pool, of_pool in (entry.get("pools") or {}).items()
    }
    order = {pool: number for number, pool in enumerate(POOLS)}
    for pool, host in sorted({*nodes, *told}, key=lambda key: (order.get(key[0], len(order)), key)):
        yield _sum(pool, host, nodes.get((pool, host), []), told.get((pool, host)))


def _sum(pool: str, host: str, nodes: Sequence[Mapping[str, Any]], told: Mapping[str, Any] | None) -> dict[str, Any]:
    processes = sum(int(node.get("processes", 1)) for node in nodes)
    busy = sum(float(node.get("busy", 0)) * int(node.get("processes", 1)) for node in nodes)
    asked = told or {}
    return {
        "type": pool,
        "host": host,
        "nodes": len(nodes),
        "wanted": asked.get("wanted"),
        "least": asked.get("least"),
        "most": asked.get("most"),
        "processes": processes,
        "busy": round(busy / processes, 2) if processes else 0.0,
        "tasks": sum(int(node.get("tasks", 0)) for node in nodes),
        "holds": sum(int(node.get("holds", 0)) for node in nodes),
        "oldest_held_s": max((float(node.get("oldest_s", 0)) for node in nodes), default=0.0),
        "waiting": asked.get("waiting"),
        "oldest_waiting_s": asked.get("oldest_s"),
    }


def read_queues(
    board: Board,
    depths: Mapping[str, int] | None,
    oldest_s: Mapping[str, float] | None,
    pauses: Mapping[TaskType, Pause] | None,
) -> list[dict[str, Any]]:
    """Return each queue; None where nobody could tell."""
    rates = _rates(board)
    nodes = list(_of(board))
    return [
        {
            "name": kind.value,
            "depth": None if depths is None else depths.get(kind.value, 0),
            "oldest_s": None if oldest_s is None else oldest_s.get(kind.value),
            **rates.get(kind.value, {"come_per_s": None, "taken_per_s": None}),
            "nodes": sum(1 for _, entry in nodes if kind.value in (entry.get("queues") or ())),
            "paused": None if pauses is None else kind in pauses,
            "paused_by": pauses[kind].by if pauses and kind in pauses else None,
            "paused_since_us": pauses[kind].since_us if pauses and kind in pauses else None,
        }
        for kind in TaskType
    ]


def _rates(board: Board) -> dict[str, dict[str, Any]]:
    """Return the rates of queues that have a pool of their own; every supervisor sees the same queue."""
    return {
        pool: {"come_per_s": told.get("come_per_s"), "taken_per_s": told.get("taken_per_s")}
        for _, entry in _of(board, "pools")
        for pool, told in (entry.get("pools") or {}).items()
        if pool in POOLS and len(queues_of(pool)) == 1
    }
