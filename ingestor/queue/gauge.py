"""How full the queues and the broker are: one measurement, over a connection of its own; decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from celery import Celery
from kombu.exceptions import ChannelError

from ingestor import errors
from ingestor.queue.producer import broker_errors, connect, drop


@dataclass(frozen=True, slots=True)
class Load:
    """Messages waiting in each queue; used share of the broker's memory ceiling, None where it has none to tell."""

    depths: dict[str, int] = field(default_factory=dict)
    memory_share: float | None = None


class Gauge(Protocol):
    """Something that knows how full the queues are."""

    def read(self) -> Load:
        """Measure. Raises BrokerUnavailable."""
        ...

    def close(self) -> None:
        """Give back the connection."""
        ...


class MemoryGauge:
    """A gauge that is set by hand, for tests and for trying things out."""

    def __init__(self) -> None:
        self.load = Load()
        self.away = False

    def read(self) -> Load:
        """Return what was set."""
        if self.away:
            raise errors.BrokerUnavailable
        return self.load

    def close(self) -> None:
        """Do nothing."""


class BrokerGauge:
    """Measures the queues of a real broker: Redis by LLEN and INFO, others by a passive declaration."""

    def __init__(self, app: Celery, queues: Sequence[str]) -> None:
        self._app = app
        self._queues = tuple(queues)
        self._connection: Any = None

    def read(self) -> Load:
        """Measure, connecting where there is no connection. Raises BrokerUnavailable."""
        try:
            with broker_errors():
                if self._connection is None:
                    self._connection = connect(self._app)
                client = getattr(self._connection.default_channel, "client", None)
                return self._amqp() if client is None else self._redis(client)
        except errors.BrokerUnavailable:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection."""
        drop(self._connection)
        self._connection = None

    def _redis(self, client: Any) -> Load:
        with client.pipeline(transaction=False) as pipe:
            for queue in self._queues:
                pipe.llen(queue)
            pipe.info("memory")
            *depths, memory = pipe.execute()
        ceiling = memory.get("maxmemory", 0)
        share = memory["used_memory"] / ceiling if ceiling else None
        return Load(dict(zip(self._queues, depths, strict=True)), share)

    def _amqp(self) -> Load:
        return Load({queue: self._waiting(queue) for queue in self._queues})

    def _waiting(self, queue: str) -> int:
        try:
            return int(self._connection.default_channel.queue_declare(queue, passive=True).message_count)
        except ChannelError:
            # No such queue yet. The broker closes the channel with that answer.
            self._connection._default_channel = None  # noqa: SLF001 -- kombu offers no other way to a fresh one
            return 0
