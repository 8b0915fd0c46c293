"""A consumer goes on taking messages when its line to Redis was opened anew behind kombu's back."""

from __future__ import annotations

import contextlib
from typing import Any

from kombu import Connection, Consumer, Exchange, Queue
from structlog.testing import capture_logs

from ingestor.queue import transport
from tests.conftest import StartServer
from tests.servers_brokers import RedisServer


def test_messages_are_taken_on_a_line_that_was_opened_anew(redis_server: RedisServer) -> None:
    transport.register()
    got: list[Any] = []

    def take(body: Any, message: Any) -> None:
        got.append(body)
        message.ack()

    with Connection(redis_server.url) as connection, Connection(redis_server.url) as other:
        consumer: Any = Consumer(connection, [Queue("broker-line", routing_key="broker-line")], callbacks=[take])
        with consumer, other.SimpleQueue("broker-line") as sender:
            sender.put("first")
            connection.drain_events(timeout=10)
            line = consumer.channel.client.connection
            line.disconnect()
            line.connect()

            sender.put("second")
            with capture_logs() as said:
                connection.drain_events(timeout=10)

    assert got == ["first", "second"]
    assert "broker_line_changed" in {entry["event"] for entry in said}


def take_all(connection: Connection) -> None:
    with contextlib.suppress(TimeoutError):
        while True:
            connection.drain_events(timeout=0.2)


def test_who_holds_messages_of_a_broker_that_is_gone_can_close_its_line_as_a_worker_does(
    start_server: StartServer,
) -> None:
    transport.register()
    server = start_server(RedisServer)
    held: list[Any] = []
    connection = Connection(server.url)
    consumer: Any = Consumer(connection, [Queue("held", routing_key="held")], callbacks=[lambda *_: held.append(1)])
    with Connection(server.url) as other, other.SimpleQueue("held") as sender:
        sender.put("in hand")
    told = Queue("told", Exchange("told", type="fanout"), auto_delete=True)
    control: Any = Consumer(connection.channel(), [told])  # as remote control has one
    control.consume()
    consumer.consume()
    while not held:
        connection.drain_events(timeout=10)
    take_all(connection)  # now it waits for another one
    assert consumer.channel._in_poll

    server.kill()
    connection.collect()  # Celery does both; where one of them raises what it does not know, the worker ends
    connection.close()

    assert held == [1]
