"""The demo home as a program: what it prints, how it ends, what it sends when load is asked for."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import websocket
from paho.mqtt import subscribe as once

from tests.servers import wait_until
from tests.servers_brokers import Mosquitto

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the program with options; it is ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(*options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ingestor.demo", *options]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


def subscribe(where: dict[str, Any]) -> websocket.WebSocket:
    socket = websocket.create_connection(f"ws{where['url'].removeprefix('http')}/api/websocket", timeout=60)
    socket.recv()
    for message in (
        {"type": "auth", "access_token": where["token"]},
        {"id": 1, "type": "supported_features", "features": {"coalesce_messages": 1}},
        {"id": 2, "type": "subscribe_events"},
    ):
        socket.send(json.dumps(message))
        socket.recv()
    return socket


def events(socket: websocket.WebSocket) -> Iterator[dict[str, Any]]:
    while True:
        frame = json.loads(socket.recv())
        yield from (one["event"] for one in (frame if isinstance(frame, list) else [frame]))


def test_it_says_where_it_is_lives_and_ends_when_it_is_told_to(start: Start) -> None:
    process = start("--entities", "80", "--rate", "30", "--token", "a token of my own")
    where = said(process)
    socket = subscribe(where)

    event = next(events(socket))
    process.send_signal(signal.SIGTERM)
    code = process.wait(60)

    assert where["token"] == "a token of my own"
    assert event["event_type"]
    assert code == 0


def test_load_begins_with_the_first_subscription_and_ends_with_what_was_sent(start: Start) -> None:
    process = start("--load", "--entities", "50", "--rate", "20000", "--count", "6000")
    stream = events(subscribe(said(process)))

    numbers = [int(next(stream)["data"]["new_state"]["state"]) for _ in range(6000)]
    report = said(process)

    assert numbers == list(range(6000))
    assert report.keys() >= {"sent", "types", "unheard", "entities", "seconds", "rate", "bytes_per_event"}
    assert (report["sent"], report["types"], report["unheard"]) == (6000, {"state_changed": 6000}, 0)


def test_a_rate_that_no_home_lives_at_is_load_by_itself(start: Start) -> None:
    process = start("--entities", "50", "--rate", "5000", "--seconds", "0.1")
    subscribe(said(process))

    assert said(process)["sent"] == 500


def test_load_that_is_stopped_says_what_was_sent_until_then(start: Start) -> None:
    process = start("--load", "--entities", "50", "--rate", "1000")
    stream = events(subscribe(said(process)))
    next(stream)

    process.send_signal(signal.SIGTERM)

    assert said(process)["sent"] > 0
    assert process.wait(60) == 0


def test_load_to_a_broker_ends_when_all_is_confirmed(start: Start, mosquitto: Mosquitto) -> None:
    process = start("--load", "--entities", "20", "--rate", "0", "--count", "100", "--mqtt-url", mosquitto.url)

    report = said(process)

    assert (report["sent"], report["messages"]) == (100, 800)
    assert process.wait(60) == 0


def test_a_living_home_publishes_its_states_to_a_broker_too(start: Start, mosquitto: Mosquitto) -> None:

    said(start("--entities", "30", "--mqtt-url", mosquitto.url))

    def published() -> bool:
        message = once.simple("homeassistant/zone/home/state", port=mosquitto.port, qos=1)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        return bool(message.payload == b"2" and message.retain)

    wait_until(published, timeout_s=60, what="the state of the zone")
