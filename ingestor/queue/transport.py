"""kombu's Redis transport, that keeps its client and passes over what is no message of kombu's; decodes no task.

redis-py 8 copies some 170 reply parsers into each client that it makes, and kombu makes one for each command: 0.1 ms,
and a task takes four of them on its way (profiled). The connections come from the channel's pool as before; a pool that
was given up takes its client along.

Whoever can write to Redis can put any bytes into a queue. kombu lets what it cannot read end its worker.
"""

from __future__ import annotations

from contextlib import suppress
from json import JSONDecodeError
from queue import Empty
from typing import Any, Final

import structlog
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError as RedisConnectionError

_log: Final = structlog.get_logger(__name__)


class Channel(kombu_redis.Channel):
    """A channel with one client for its commands. The client of the event loop stays kombu's own affair."""

    #: kombu's, that it does not declare.
    _in_poll: Any
    connection_errors: tuple[type[Exception], ...]
    _kept: Any = None

    def close(self) -> None:
        """Close, with a broker that is gone, too. What is in hand then comes again."""
        if self._in_poll:
            # kombu gives up closing where this answer does not come, and its worker ends by what was left open.
            with suppress(Empty, *self.connection_errors):
                self._brpop_read()
        super().close()

    def _get_pool(self, asynchronous: bool = False) -> Any:
        """Make a pool, but none on a transport that is closed: kombu's worker ends by an AttributeError there."""
        if self.connection.client is None:
            raise RedisConnectionError("the connection to the broker is closed")
        return super()._get_pool(asynchronous)  # type: ignore[misc]  # kombu has no types

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # kombu has no types
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()  # type: ignore[misc]  # as above
        return self._kept

    def _brpop_start(self, timeout: float | None = None) -> None:
        super()._brpop_start(timeout)  # type: ignore[misc]  # as above
        self._stay_heard()

    def _stay_heard(self) -> None:
        """Have the loop listen to the line that was asked on.

        redis-py opens a broken line anew within the command that it sends; kombu goes on listening to the old one, and
        takes no message any more until the watchdog ends it.
        """
        cycle: Any = self.connection.cycle  # its stubs name another class
        asked = (self, self.client, "BRPOP")
        heard = cycle._chan_to_sock.get(asked)  # noqa: SLF001 -- kombu has no face for it
        if heard is not None and heard is not self.client.connection._sock:  # noqa: SLF001 -- as above
            _log.warning("broker_line_changed", queues=list(self.active_queues))
            cycle._register(*asked)  # noqa: SLF001 -- as above

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # as above
        except (JSONDecodeError, UnicodeDecodeError) as error:
            _log.error("no_message", error=str(error))
            raise Empty from error


class SentinelChannel(Channel, kombu_redis.SentinelChannel):
    """A channel of the Redis that sentinels name as the master."""


class Transport(kombu_redis.Transport):
    """What `redis://` means to Celery here."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str | None) -> None:
        if _is_message(message):
            super()._deliver(message, queue)
        else:
            _log.error("no_message", queue=queue)


class SentinelTransport(Transport):
    """What `sentinel://` means to Celery here."""

    default_port = 26379
    Channel = SentinelChannel


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
    TRANSPORT_ALIASES["sentinel"] = "ingestor.queue.transport:SentinelTransport"
