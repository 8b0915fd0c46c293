"""A crowd at the live channel, and the API a process of its own: who sleeps or dawdles costs it little memory."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
import websocket

from ingestor import bootstrap
from ingestor.api import asyncapi
from ingestor.live.entry import encode_entry, entry_of
from ingestor.settings import Settings
from tests.integration.api_bench import KEY
from tests.integration.live_home import batch_of
from tests.servers import free_port, wait_until
from tests.servers_brokers import ValkeyServer

_CROWD = 1000
#: What an idle connection may take, with its tasks and buffers, and what all that waits may: 1,000 messages of 20 kB,
#: as they came and as they are told (measured: 56 kB and 107 MB; without a limit 445 MB).
_IDLE_BYTES, _WAITING_BYTES = 100_000, 220_000_000
_HEADERS = {"X-API-Key": KEY}


class Served:
    """`ha-ingestor api` on a port, and the channel behind it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.home = f"crowd-{uuid.uuid4().hex[:8]}"
        self.port = free_port()
        given = {"data_dir": folder, "home": self.home, "broker": {"url": url}, "state": {"url": url}}
        self.settings = Settings.model_validate(given)
        self.channel = bootstrap.open_live_channel(self.settings, bootstrap.open_state(self.settings))
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HA_INGESTOR_")} | {
            "HA_INGESTOR_DATA_DIR": str(folder),
            "HA_INGESTOR_HOME": self.home,
            "HA_INGESTOR_BROKER__URL": url,
            "HA_INGESTOR_STATE__URL": url,
            "HA_INGESTOR_API__PORT": str(self.port),
            "HA_INGESTOR_API__KEY": KEY,
            "HA_INGESTOR_LIVE__MAX_LISTENERS": str(_CROWD + 100),
        }
        self.process = subprocess.Popen([sys.executable, "-m", "ingestor", "api"], env=environment)

    def answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"http://127.0.0.1:{self.port}/livez", timeout=60).ok
        return False

    def memory(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def publish(self, *entities: str, state: str = "on") -> None:
        batch = batch_of(self.home, entities, state=state)
        entry = entry_of(batch, [(event, event.time_us * 1000, False) for event in batch.events])
        assert entry is not None
        self.channel.publish(self.home, encode_entry(entry))

    def connect(self) -> websocket.WebSocket:
        address = f"ws://127.0.0.1:{self.port}{asyncapi.PATH}"
        return websocket.create_connection(address, header=_HEADERS, timeout=60)

    def subscribed(self, **wanted: list[str]) -> websocket.WebSocket:
        made = self.connect()
        made.send(json.dumps({"type": "subscribe", "id": "s", "filter": wanted}))
        assert json.loads(made.recv())["type"] == "subscribed"
        return made


@pytest.fixture
def api(tmp_path: Path, valkey_server: ValkeyServer) -> Iterator[Served]:
    made = Served(tmp_path, valkey_server.url)
    try:
        wait_until(made.answers, timeout_s=60, what="the API")
        yield made
    finally:
        made.process.terminate()
        made.process.wait(60)


def test_a_thousand_idle_sockets_cost_little_and_one_among_them_hears(api: Served) -> None:
    before = api.memory()
    idle = [api.subscribed(entity=["light.nobody_has"]) for _ in range(_CROWD)]
    one = api.subscribed()
    for number in range(50):
        api.publish(f"light.{number}")
    heard: list[str] = []
    while len(heard) < 50:
        heard += [event["subject"] for event in json.loads(one.recv())["events"]]

    grown = api.memory() - before
    for socket_ in idle:
        socket_.shutdown()
    again = api.subscribed()
    api.publish("light.after")

    assert heard == [f"light.{number}" for number in range(50)]
    assert grown < _CROWD * _IDLE_BYTES, f"{grown / 1e6:.0f} MB"
    assert json.loads(again.recv())["events"][0]["subject"] == "light.after"


def test_who_reads_a_byte_a_second_is_told_what_they_missed_and_costs_no_more_than_may_wait(api: Served) -> None:
    dawdling = [_streamed(api.port) for _ in range(5)]
    quick = api.subscribed()
    before = api.memory()
    stop = threading.Event()
    reading = [threading.Thread(target=_dawdle, args=(one, stop)) for one in dawdling]
    for thread in reading:
        thread.start()

    heard = 0
    for number in range(60):  # 120 MB
        api.publish(*(f"light.{number}_{of}" for of in range(100)), state="x" * 20_000)
        while heard < 100 * (number + 1):
            told = json.loads(quick.recv())
            assert told["type"] == "events", "the quick one misses nothing"
            heard += len(told["events"])
    grown = api.memory() - before
    stop.set()
    for thread in reading:
        thread.join()

    assert grown < _WAITING_BYTES, f"{grown / 1e6:.0f} MB"
    for one in dawdling:
        assert b"event: missed" in _until(one, b"event: missed")
        one.close()


def _streamed(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.connect(("127.0.0.1", port))
    made.settimeout(60)
    made.sendall(f"GET /api/v1/events/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {KEY}\r\n\r\n".encode())
    _until(made, b"event: ready")
    return made


def _dawdle(one: socket.socket, stop: threading.Event) -> None:
    while not stop.wait(1):
        one.recv(1)


def _until(one: socket.socket, wanted: bytes) -> bytes:
    found, until_s = b"", time.monotonic() + 60
    while wanted not in found and time.monotonic() < until_s:
        found = found[-len(wanted) :] + one.recv(1 << 20)
    return found
