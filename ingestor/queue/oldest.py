"""For how long the oldest message of each queue has waited, as the header tells that senders put on; takes none out.

Redis shows the end of a list. AMQP shows a message only to who takes it, and a quorum queue counts that as a delivery:
so there it is not asked, and workers tell how long what they took had waited (`ingestor_queue_wait_seconds`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from celery import Celery

from ingestor.events.decoding import UNREADABLE
from ingestor.queue.producer import broker_errors, connect, drop

#: The header: Unix seconds when a message may be taken, by its sender's clock.
SENT_S: Final = "sent_s"


class _Headers(msgspec.Struct):
    sent_s: float = 0.0


class _Message(msgspec.Struct):
    """What is read of kombu's envelope: its body is passed over."""

    headers: _Headers


_decoder: Final = msgspec.json.Decoder(_Message)


def waited_s(message: bytes, now_s: float) -> float | None:
    """Return for how long a message as it lies in Redis has waited; None where it does not tell."""
    try:
        sent_s = _decoder.decode(message).headers.sent_s
    except UNREADABLE:
        return None
    return max(0.0, now_s - sent_s) if sent_s else None


class OldestWaiting:
    """Looks at the queues on a connection of its own, made at the first reading."""

    def __init__(self, app: Celery, queues: Sequence[str], clock: Callable[[], float] = time.time) -> None:
        self._app = app
        self._queues = tuple(queues)
        self._clock = clock
        self._connection: Any = None

    def read(self) -> dict[str, float]:
        """Return seconds by queue; none for an empty one, none at all on AMQP. Raises BrokerUnavailable."""
        try:
            with broker_errors():
                self._connection = self._connection or connect(self._app)
                client = getattr(self._connection.default_channel, "client", None)
                return {} if client is None else self._of_redis(client)
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection back."""
        drop(self._connection)
        self._connection = None

    def _of_redis(self, client: Any) -> dict[str, float]:
        with client.pipeline(transaction=False) as pipe:
            for queue in self._queues:
                pipe.lindex(queue, -1)  # Celery pushes on the left and takes from the right
            last = pipe.execute()
        now_s = self._clock()
        ages = {
            queue: waited_s(message, now_s)
            for queue, message in zip(self._queues, last, strict=True)
            if message is not None
        }
        return {queue: age for queue, age in ages.items() if age is not None}
