"""Which worker nodes answer, and how many processes each has: asked through Celery's remote control."""

from __future__ import annotations

from typing import Any

from ingestor.queue.app import make_app
from ingestor.queue.pools import pool_of


def answering_nodes(broker_url: str, timeout_s: float = 1.0) -> dict[str, dict[str, Any]]:
    """Return each node's type, processes and tasks done. Takes the whole time-out; raises what the transport raises."""
    app = make_app(broker_url)
    options = {**app.conf.broker_transport_options, "socket_connect_timeout": timeout_s}
    app.conf.update(broker_connection_max_retries=1, broker_transport_options=options)
    try:
        answers: dict[str, Any] = app.control.inspect(timeout=timeout_s).stats() or {}
    finally:
        app.close()
    return {name: _node(name, stats) for name, stats in answers.items()}


def _node(name: str, stats: dict[str, Any]) -> dict[str, Any]:
    pool = stats.get("pool") or {}
    return {
        "type": pool_of(name),
        "processes": len(pool.get("processes") or ()) or pool.get("max-concurrency") or 1,
        "tasks": sum((stats.get("total") or {}).values()),
    }
