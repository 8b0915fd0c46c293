"""kombu's Redis transport, that keeps its client: kombu makes one for each command, at more than the command's cost.

redis-py 8 copies some 170 reply parsers into each client that it makes: 0.1 ms, and a task takes four of them on its
way (profiled). The connections come from the channel's pool as before; a pool that was given up takes its client along.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis


class Channel(kombu_redis.Channel):
    """A channel with one client for its commands. The client of the event loop stays kombu's own affair."""

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # kombu has no types
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()  # type: ignore[misc]  # as above
        return self._kept


class Transport(kombu_redis.Transport):
    """What `redis://` means to Celery here."""

    Channel = Channel


def register() -> None:
    """Let broker URLs of Redis use this transport."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = "ingestor.queue.transport:Transport"
