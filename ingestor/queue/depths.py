"""How many batches wait in each queue, on any broker, for people and for metrics; changes nothing there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ingestor.queue.app import make_app
from ingestor.queue.gauge import BrokerGauge, Load
from ingestor.queue.names import TaskType

_ALL: Final = tuple(kind.value for kind in TaskType)


class Depths:
    """Reads the depths on one connection, made at the first reading."""

    def __init__(self, broker_url: str, queues: Iterable[str] = _ALL) -> None:
        self._gauge = BrokerGauge(make_app(broker_url), tuple(queues))

    def read(self) -> dict[str, int]:
        """Return messages by queue. Raises BrokerUnavailable."""
        return self._gauge.read().depths

    def load(self) -> Load:
        """Return the depths, and how full the broker is. Raises BrokerUnavailable."""
        return self._gauge.read()

    def close(self) -> None:
        """Give the connection back."""
        self._gauge.close()


def queue_depths(broker_url: str, queues: Iterable[str] = _ALL) -> dict[str, int]:
    """Return messages by queue, on a connection of its own. Raises BrokerUnavailable."""
    depths = Depths(broker_url, queues)
    try:
        return depths.read()
    finally:
        depths.close()


def redis_address(broker_url: str) -> str:
    """Return a Celery broker's URL as redis-py takes it: they write a Unix socket differently."""
    if not broker_url.startswith("redis+socket://"):
        return broker_url
    path, _, query = broker_url.removeprefix("redis+socket://").partition("?")
    return f"unix://{path}?db={query.removeprefix('virtual_host=') or '0'}"
