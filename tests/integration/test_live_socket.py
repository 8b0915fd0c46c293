"""The WebSocket, with a client that others wrote, from a real state server; each frame is what the description says."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import requests
import websocket

from ingestor.api import asyncapi
from ingestor.api.serving import Sockets
from ingestor.api.v1.socket import MAX_COMMAND, MAX_COMMANDS_PER_S, MAX_SUBSCRIPTIONS
from ingestor.live.cursor import Position, cursor_text
from tests.integration.api_bench import KEY, api_app, served
from tests.integration.live_home import LiveHome
from tests.servers import wait_until
from tests.servers_brokers import ValkeyServer

DESCRIBED = asyncapi.description()


class Client:
    """A connection; every frame that comes is held against the description."""

    def __init__(self, address: str) -> None:
        self.socket = websocket.create_connection(
            address.replace("http", "ws") + asyncapi.PATH, header={"X-API-Key": KEY}, timeout=60
        )

    def say(self, **command: Any) -> None:
        self.socket.send(json.dumps(command))

    def hear(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.socket.recv())
        schema = DESCRIBED["components"]["messages"][told["type"]]["payload"]
        jsonschema_rs.validator_for({**schema, "components": DESCRIBED["components"]}).validate(told)
        return told

    def ask(self, **command: Any) -> dict[str, Any]:
        self.say(**command)
        return self.hear()

    def subscribe(self, name: str = "s", **how: Any) -> str:
        told = self.ask(type="subscribe", id=name, **how)
        assert told["type"] == "subscribed", told
        return str(told["cursor"])

    def subjects(self, count: int) -> list[str]:
        """Return what the next messages are about: so many of them."""
        found: list[str] = []
        while len(found) < count:
            told = self.hear()
            assert told["type"] == "events", told
            found += [event["subject"] for event in told["events"]]
        return found

    def closed(self) -> int:
        """Wait for the end; return its code."""
        while True:
            opcode, data = self.socket.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return int.from_bytes(data[:2], "big")


@pytest.fixture
def live(tmp_path: Path, valkey_server: ValkeyServer) -> Iterator[LiveHome]:
    made = LiveHome(tmp_path, valkey_server.url)
    with served(made.app) as made.address:
        yield made


@contextlib.contextmanager
def connected(live: LiveHome) -> Iterator[Client]:
    client = Client(live.address)
    try:
        yield client
    finally:
        client.socket.close()


@pytest.fixture
def client(live: LiveHome) -> Iterator[Client]:
    with connected(live) as made:
        yield made


def test_each_subscription_of_a_connection_hears_what_it_asked_for(live: LiveHome, client: Client) -> None:
    client.subscribe("lights", filter={"domain": ["light"]})
    client.subscribe("kitchen", filter={"entity": ["*.kitchen"]}, form="cloudevents")
    live.publish("light.hall", "light.kitchen", "sensor.kitchen")

    told = {frame["id"]: frame for frame in (client.hear(), client.hear())}

    assert [one["subject"] for one in told["lights"]["events"]] == ["light.hall", "light.kitchen"]
    assert [one["subject"] for one in told["kitchen"]["events"]] == ["light.kitchen", "sensor.kitchen"]
    assert [one["specversion"] for one in told["kitchen"]["events"]] == ["1.0", "1.0"]
    assert told["lights"]["seq"] == told["kitchen"]["seq"] == 1


def test_letters_of_all_kinds_arrive_as_they_were_sent(live: LiveHome, client: Client) -> None:
    client.subscribe()
    live.publish("light.hall", unit="°C", state='21,5 "µ" \\ 🌡\n')

    (told,) = client.hear()["events"]

    assert (told["data"]["area"], told["data"]["unit"]) == ("Küche", "°C")
    assert told["data"]["state"] == '21,5 "µ" \\ 🌡\n'


def test_who_comes_back_with_a_cursor_goes_on_behind_it(live: LiveHome) -> None:
    with connected(live) as client:
        client.subscribe()
        live.publish("light.0")
        cursor = client.hear()["cursor"]
    live.publish("light.1")

    with connected(live) as client:
        assert client.subscribe(cursor=cursor) == cursor
        live.publish("light.2")
        assert client.subjects(2) == ["light.1", "light.2"]


def test_a_cursor_that_fell_out_is_told_as_a_gap(tmp_path: Path, valkey_server: ValkeyServer) -> None:
    live = LiveHome(tmp_path, valkey_server.url, max_entries=10)
    with served(live.app) as live.address, connected(live) as client:
        start = cursor_text({live.home: Position(live.channel.kept(live.home).last)})
        for number in range(12):
            live.publish(f"light.{number}")

        client.subscribe(cursor=start)

        gap = client.hear()
        assert (gap["type"], gap["home"]) == ("gap", live.home)
        assert client.subjects(10)[0] == "light.2"


def test_an_ended_subscription_is_silent_and_the_others_go_on(live: LiveHome, client: Client) -> None:
    client.subscribe("one")
    client.subscribe("two")

    assert client.ask(type="unsubscribe", id="one") == {"type": "unsubscribed", "id": "one"}
    live.publish("light.0")
    live.publish("light.1")

    heard: list[tuple[str, str]] = []
    while len(heard) < 2:  # both may come in one frame
        frame = client.hear()
        heard += [(frame["id"], event["subject"]) for event in frame["events"]]
    assert heard == [("two", "light.0"), ("two", "light.1")]
    assert client.ask(type="ping", data="still here") == {"type": "pong", "data": "still here"}
    client.subscribe("one")


def test_within_a_window_no_more_is_sent_than_is_acknowledged(live: LiveHome, client: Client) -> None:
    client.subscribe(window=2)
    for number in range(5):
        live.publish(f"light.{number}")

    first = client.subjects(2)
    assert client.ask(type="ping", data="nothing came before this")["type"] == "pong"
    client.say(type="ack", id="s", seq=1)
    second = client.subjects(1)
    assert client.ask(type="ping")["type"] == "pong"
    client.say(type="ack", id="s", seq=3)

    assert first + second + client.subjects(2) == [f"light.{number}" for number in range(5)]


def test_a_rate_leaves_out_what_is_over_it_and_counts_that(live: LiveHome, client: Client) -> None:
    client.subscribe("few", max_per_s=0.001)
    client.subscribe("all")
    for number in range(5):
        live.publish(f"light.{number}")

    heard: dict[str, list[str]] = {"few": [], "all": []}
    while len(heard["all"]) < 5 or not heard["few"]:  # what waits already comes in one frame
        frame = client.hear()
        heard[frame["id"]] += [one["subject"] for one in frame["events"]]

    assert heard == {"few": ["light.0"], "all": [f"light.{number}" for number in range(5)]}


def test_no_frame_is_larger_than_clients_take(live: LiveHome, client: Client) -> None:
    client.subscribe()
    names = [f"light.{number}" for number in range(60)]
    live.publish(*names, attributes={"text": "x" * 40_000})

    heard: list[str] = []
    cursors: dict[str, int] = {}
    while len(heard) < len(names):
        _, data = client.socket.recv_data()
        assert len(data) < 512 * 1024
        told = json.loads(data)
        heard += [event["subject"] for event in told["events"]]
        cursors[told["cursor"]] = len(heard)
    assert heard == names
    assert len(cursors) > 8

    for cursor, taken in list(cursors.items())[:-1]:
        with connected(live) as again:
            again.subscribe(cursor=cursor)
            assert again.hear()["events"][0]["subject"] == names[taken]


def test_frames_of_every_length_arrive_whole_and_in_order_also_where_the_client_stops_reading(
    live: LiveHome, client: Client
) -> None:
    client.subscribe()
    sizes = [0, 100, 60_000, 65_000, 70_000, 0, 200_000]
    for number, size in enumerate(sizes):
        live.publish(f"light.first_{number}", attributes={"text": "x" * size})
        assert client.subjects(1) == [f"light.first_{number}"]
    # More than the sockets of both sides hold, and fewer messages than may wait.
    names = [f"light.n{number}" for number in range(150)]
    for name in names:
        live.publish(name, attributes={"text": "x" * 100_000})

    heard: list[str] = []
    seq = len(sizes)
    while len(heard) < len(names):
        told = client.hear()
        seq += 1
        assert told["seq"] == seq
        heard += [event["subject"] for event in told["events"]]
    assert heard == names


def test_a_sample_is_a_share_of_the_messages_and_the_same_for_all(live: LiveHome) -> None:
    with connected(live) as one, connected(live) as other:
        for client in (one, other):
            client.subscribe("some", sample=0.3)
            client.subscribe("end", filter={"entity": ["end.*"]})
        live.publish(*(f"light.{number}" for number in range(200)))
        live.publish("end.end")

        heard = []
        for client in (one, other):
            found: list[str] = []
            while (told := client.hear())["id"] != "end":
                found += [event["subject"] for event in told["events"]]
            heard.append([name for name in found if name.startswith("light.")])

    assert heard[0] == heard[1]
    assert 20 < len(heard[0]) < 110


def test_a_slow_client_is_told_what_it_missed_or_let_go_if_it_wants_that(
    tmp_path: Path, valkey_server: ValkeyServer
) -> None:
    live = LiveHome(tmp_path, valkey_server.url, max_waiting=5)
    with served(live.app) as live.address, connected(live) as slow, connected(live) as gone, connected(live) as quick:
        slow.subscribe(window=1)
        gone.subscribe(window=1, policy="disconnect")
        quick.subscribe()
        for number in range(30):
            live.publish(f"light.{number}")
            assert quick.subjects(1) == [f"light.{number}"]

        assert slow.subjects(1) == ["light.0"]
        slow.say(type="ack", id="s", seq=1)
        slow.subjects(1)
        slow.say(type="ack", id="s", seq=2)
        missed = slow.hear()
        assert (missed["type"], missed["messages"]) == ("missed", 23)
        assert slow.subjects(1) == ["light.25"]
        assert gone.subjects(1) == ["light.0"]
        gone.say(type="ack", id="s", seq=1)
        gone.subjects(1)
        gone.say(type="ack", id="s", seq=2)
        assert gone.hear()["type"] == "missed"
        assert gone.closed() == 1013


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        ("no json", "invalid", "Invalid JSON"),
        ("[]", "invalid", "object"),
        ('{"type":"shout"}', "invalid", "shout"),
        ('{"type":"subscribe"}', "invalid", "subscribe.id"),
        ('{"type":"subscribe","id":"s","filter":{"colour":["red"]}}', "invalid", "filter.colour"),
        ('{"type":"subscribe","id":"s","filter":{"type":["event.newer"]}}', "invalid", "event.newer"),
        ('{"type":"subscribe","id":"s","filter":{"home":["nobody"]}}', "invalid", "there is no home named 'nobody'"),
        ('{"type":"subscribe","id":"s","cursor":"rubbish"}', "invalid", "no cursor"),
        ('{"type":"subscribe","id":"s","sample":2}', "invalid", "sample"),
        ('{"type":"subscribe","id":"s","policy":"explode"}', "invalid", "policy"),
        ('{"type":"unsubscribe","id":"s"}', "unknown_subscription", "'s'"),
        ('{"type":"ack","id":"s","seq":1}', "unknown_subscription", "'s'"),
        ('{"type":"subscribe","id":"taken"}', "already_subscribed", "another name"),
    ],
)
def test_a_command_that_cannot_be_done_is_an_error_and_the_connection_goes_on(
    live: LiveHome, client: Client, command: str, code: str, told: str
) -> None:
    client.subscribe("taken")

    client.socket.send(command)
    failed = client.hear()

    assert (failed["type"], failed["code"]) == ("error", code)
    assert told in failed["detail"]
    live.publish("light.0")
    assert client.subjects(1) == ["light.0"]


def test_there_are_only_so_many_subscriptions(client: Client) -> None:
    for number in range(MAX_SUBSCRIPTIONS):
        client.subscribe(f"s{number}")

    assert client.ask(type="subscribe", id="more")["code"] == "overloaded"


def test_who_says_too_much_or_too_long_a_thing_is_sent_away(live: LiveHome) -> None:
    with connected(live) as loud:
        for _ in range(10 * MAX_COMMANDS_PER_S):
            loud.say(type="ping")
        assert loud.closed() == 1008
    with connected(live) as long:
        long.say(type="ping", data="x" * MAX_COMMAND)
        assert long.closed() == 1009
    with connected(live) as binary:
        binary.socket.send_binary(b"\x00")
        assert binary.closed() == 1003


def test_who_goes_leaves_nothing_behind(live: LiveHome) -> None:
    with connected(live) as client:
        client.subscribe("one")
        client.subscribe("two")
        assert live.hub.listeners == 2

    wait_until(live.nobody_listens, timeout_s=60, what="nobody listens")


def test_nothing_is_written_to_who_has_died_with_many_subscriptions(
    live: LiveHome, caplog: pytest.LogCaptureFixture
) -> None:
    for after_bytes in (1, 4000, 8000):
        client = Client(live.address)
        for number in range(MAX_SUBSCRIPTIONS):
            client.subscribe(f"s{number}")
        live.die(client.socket.sock, after_bytes)

    assert "socket.send() raised" not in caplog.text


def test_without_a_key_or_from_another_page_nobody_is_let_in(live: LiveHome, caplog: pytest.LogCaptureFixture) -> None:
    address = live.address.replace("http", "ws") + asyncapi.PATH

    elsewhere = {"X-API-Key": KEY, "Origin": "https://elsewhere.example"}
    refusals: list[tuple[dict[str, str], int]] = [({}, 401), ({"X-API-Key": "another"}, 401), (elsewhere, 403)]
    for header, status in refusals:
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            websocket.create_connection(address, header=header, timeout=60, suppress_origin="Origin" in header)
        told, headers = json.loads(refused.value.resp_body), refused.value.resp_headers
        assert (refused.value.status_code, told["status"]) == (status, status)
        assert headers["content-type"] == "application/problem+json"
        assert headers["x-request-id"] == told["request_id"] != ""
        assert ("www-authenticate" in headers) == (status == 401)
    assert [one.message for one in caplog.records if one.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/", "/api/v1/events"])
def test_where_there_is_no_websocket_that_is_a_problem_too(live: LiveHome, path: str) -> None:
    for header, status in (({"X-API-Key": KEY}, 404), ({"X-API-Key": "another"}, 401)):
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            websocket.create_connection(live.address.replace("http", "ws") + path, header=header, timeout=60)
        told, headers = json.loads(refused.value.resp_body), refused.value.resp_headers
        assert (refused.value.status_code, told["status"], told["instance"]) == (status, status, path)
        assert headers["content-type"] == "application/problem+json"


def test_what_cannot_be_heard_now_is_said(tmp_path: Path, valkey_server: ValkeyServer) -> None:
    for name, settings, found in (
        ("away", {}, "unavailable"),
        ("full", {"state": {"url": valkey_server.url}, "live": {"max_listeners": 1}}, "overloaded"),
    ):
        live = LiveHome.__new__(LiveHome)
        with served(api_app(tmp_path / name, settings)) as live.address, connected(live) as client:
            client.say(type="subscribe", id="one")
            if name == "full":
                assert client.hear()["type"] == "subscribed"
                client.say(type="subscribe", id="two")
            assert client.hear()["code"] == found


def test_the_description_is_served_and_hangs_together(live: LiveHome) -> None:
    served_one = requests.get(f"{live.address}/asyncapi.json", headers={"X-API-Key": KEY}, timeout=60).json()

    assert served_one == json.loads(json.dumps(DESCRIBED))
    assert (served_one["asyncapi"], served_one["channels"]["live"]["address"]) == ("3.0.0", asyncapi.PATH)
    for reference in references(served_one):
        found: Any = served_one
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert found


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for one in part.values():
            yield from references(one)
    elif isinstance(part, list):
        for one in part:
            yield from references(one)


def test_a_client_that_stops_reading_is_let_go_once_it_answers_no_ping(
    live: LiveHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Sockets.start_keepalive

    def soon(self: Sockets) -> None:
        self.ping_interval = self.ping_timeout = self.close_timeout = 0.3
        start(self)

    monkeypatch.setattr(Sockets, "start_keepalive", soon)
    with connected(live) as stuck:
        for number in range(5):
            stuck.subscribe(f"s{number}")
        for number in range(60):  # more than the sockets of both sides hold
            live.publish(f"light.n{number}", attributes={"text": "x" * 200_000})

        wait_until(lambda: live.app.state.live.listeners == 0, timeout_s=60, what="nobody listens")
