"""Every server that the tests rely on starts, answers in its own protocol, keeps its data, and is gone afterwards."""

from __future__ import annotations

import os
import time
import urllib.parse
import urllib.request
import uuid
from typing import TYPE_CHECKING

import pytest
import redis
import sqlalchemy
from kombu import Connection
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.servers import ServerFailedError, accepts_connections, free_port, wait_until
from tests.servers_brokers import Mosquitto, RabbitMQ, RedisServer, ValkeyServer
from tests.servers_stores import InfluxDB, PostgreSQL, VictoriaMetrics, get

if TYPE_CHECKING:
    from tests.conftest import StartServer
    from tests.servers import Server

ALL = (Mosquitto, RedisServer, ValkeyServer, RabbitMQ, InfluxDB, VictoriaMetrics, PostgreSQL)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_a_server_that_is_stopped_leaves_no_process_no_port_and_no_folder(
    kind: type[Server], start_server: StartServer
) -> None:
    server = start_server(kind)
    pid, folder = server.pid, server.folder
    assert accepts_connections(server.port)

    server.close()

    assert not is_alive(pid)
    assert not accepts_connections(server.port)
    assert not folder.exists()


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_a_killed_server_comes_back_on_its_port(kind: type[Server], start_server: StartServer) -> None:
    server = start_server(kind)
    first = server.pid

    server.kill()
    assert not accepts_connections(server.port)
    server.start()

    assert server.pid != first
    assert accepts_connections(server.port)


def test_a_server_that_cannot_start_fails_with_its_log(start_server: StartServer) -> None:
    with pytest.raises(ServerFailedError, match="Unknown configuration variable"):
        start_server(Mosquitto, extra=["nonsense true"])


def test_free_ports_are_outside_the_range_of_outgoing_connections_and_given_once() -> None:
    ports = [free_port() for _ in range(200)]

    assert max(ports) < 32_768
    assert len(set(ports)) == len(ports)


def test_mosquitto_keeps_an_unacknowledged_message_over_a_kill(start_server: StartServer) -> None:
    broker = start_server(Mosquitto)
    received: list[bytes] = []

    def note(_client: Client, _data: object, message: MQTTMessage) -> None:
        received.append(bytes(message.payload))

    def session() -> Client:
        client = Client(CallbackAPIVersion.VERSION2, client_id="keeper", clean_session=False)
        client.on_message = note
        client.connect("127.0.0.1", broker.port)
        return client

    first = session()
    first.loop_start()
    first.subscribe("kept/#", qos=1)
    wait_until(lambda: b"keeper" in _database_of(broker), timeout_s=60, what="the session is saved")
    first.disconnect()
    first.loop_stop()
    sender = Client(CallbackAPIVersion.VERSION2)
    sender.connect("127.0.0.1", broker.port)
    sender.loop_start()
    sender.publish("kept/one", b"payload-to-keep", qos=1).wait_for_publish(10)
    wait_until(lambda: b"payload-to-keep" in _database_of(broker), timeout_s=60, what="the message is saved")
    broker.kill()
    sender.loop_stop()
    broker.start()

    second = session()
    second.loop_start()

    wait_until(lambda: received == [b"payload-to-keep"], timeout_s=60, what="the message comes after all")
    second.disconnect()
    second.loop_stop()


def _database_of(broker: Mosquitto) -> bytes:
    path = broker.folder / "mosquitto.db"
    return path.read_bytes() if path.exists() else b""


@pytest.mark.parametrize("kind", [RedisServer, ValkeyServer], ids=lambda kind: kind.name)
def test_redis_keeps_what_its_append_only_file_has(kind: type[RedisServer], start_server: StartServer) -> None:
    server = start_server(kind, extra=["--appendfsync", "always"])
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")

    server.kill()
    server.start()

    with redis.Redis.from_url(server.url) as client:
        assert client.get("kept") == b"yes"


def test_rabbitmq_takes_a_message_and_gives_it_back(rabbitmq: RabbitMQ) -> None:
    with Connection(rabbitmq.url) as connection, connection.SimpleQueue(f"test-{uuid.uuid4()}") as queue:
        queue.put({"answer": 42})

        message = queue.get(timeout=10)
        message.ack()

    assert message.payload == {"answer": 42}


def test_influxdb_stores_a_point_to_the_nanosecond(influxdb: InfluxDB) -> None:
    database = influxdb.create_database("servers")

    status = get(f"{influxdb.url}/write?db={database}", data=b"m,tag=a value=1.5 1700000000123456789")

    assert status == 204
    query = urllib.parse.urlencode({"db": database, "epoch": "ns", "q": "SELECT value FROM m"})
    with urllib.request.urlopen(f"{influxdb.url}/query?{query}", timeout=10) as response:
        assert "[1700000000123456789,1.5]" in response.read().decode()


def test_victoria_metrics_takes_the_request_of_influxdb_2(victoria_metrics: VictoriaMetrics) -> None:
    now_ns = time.time_ns()

    status = get(f"{victoria_metrics.url}/api/v2/write?bucket=b&org=o", data=f"m,tag=a value=1 {now_ns}".encode())

    assert status == 204
    wait_until(lambda: '"tag":"a"' in _exported(victoria_metrics), timeout_s=60, what="the point is visible")


def _exported(victoria_metrics: VictoriaMetrics) -> str:
    victoria_metrics.flush()
    with urllib.request.urlopen(f"{victoria_metrics.url}/api/v1/export?match[]=m_value", timeout=10) as response:
        return str(response.read().decode())


def test_postgresql_gives_a_database_to_each_who_asks(postgresql: PostgreSQL) -> None:
    url = postgresql.create_database("servers")

    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        name = connection.execute(sqlalchemy.text("SELECT current_database()")).scalar()

    engine.dispose()
    assert name == "servers"


def test_the_product_does_not_find_the_servers_of_the_machine(start_server: StartServer) -> None:
    one, two = start_server(RedisServer), start_server(RedisServer)

    assert one.port != two.port
    assert one.folder != two.folder
