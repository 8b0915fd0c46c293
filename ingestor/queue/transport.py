"""kombu's Redis transport, that keeps its client and passes over what is no message of kombu's; decodes no task.

redis-py 8 copies some 170 reply parsers into each client that it makes, and kombu makes one for each command: 0.1 ms,
and a task takes four of them on its way (profiled). The connections come from the channel's pool as before; a pool that
was given up takes its client along.

Whoever can write to Redis can put any bytes into a queue. kombu lets what it cannot read end its worker.
"""

from __future__ import annotations

from json import JSONDecodeError
from queue import Empty
from typing import Any, Final

import structlog
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis

_log: Final = structlog.get_logger(__name__)


class Channel(kombu_redis.Channel):
    """A channel with one client for its commands. The client of the event loop stays kombu's own affair."""

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # kombu has no types
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()  # type: ignore[misc]  # as above
        return self._kept

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # as above
        except (JSONDecodeError, UnicodeDecodeError) as error:
            _log.error("no_message", error=str(error))
            raise Empty from error


class Transport(kombu_redis.Transport):
    """What `redis://` means to Celery here."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str | None) -> None:
        if _is_message(message):
            super()._deliver(message, queue)
        else:
            _log.error("no_message", queue=queue)


def _is_message(message: Any) -> bool:
    """Tell whether this has what kombu reads from a message without asking."""
    if not isinstance(message, dict) or not isinstance(message.get("headers"), dict):
        return False
    properties = message.get("properties")
    return (
        isinstance(message.get("body"), str)
        and isinstance(properties, dict)
        and isinstance(properties.get("delivery_tag"), str)
        and isinstance(properties.get("delivery_info"), dict)
    )


def register() -> None:
    """Let broker URLs of Redis use this transport."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = "ingestor.queue.transport:Transport"
