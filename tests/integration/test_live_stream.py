"""The stream of Server-Sent Events, over HTTP with a client that others wrote, from a real state server."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import sseclient

from ingestor.live.cursor import Position, cursor_text
from tests.integration.api_bench import KEY, api_app, served
from tests.integration.live_home import LiveHome
from tests.servers import wait_until
from tests.servers_brokers import ValkeyServer

PATH = "/api/v1/events/stream"
DARK = "light.hall"


class Live(LiveHome):
    """Such a home, and who asks for its stream."""

    def ask(self, headers: dict[str, str] | None = None, **params: Any) -> requests.Response:
        return requests.get(
            self.address + PATH, params, headers={"X-API-Key": KEY} | (headers or {}), stream=True, timeout=60
        )

    @contextlib.contextmanager
    def listening(self, headers: dict[str, str] | None = None, **params: Any) -> Iterator[Iterator[sseclient.Event]]:
        """Open a stream; it is there for what is published from now on."""
        with self.ask(headers, **params) as answer:
            assert answer.status_code == 200, answer.text
            events = sseclient.SSEClient(answer.iter_content(chunk_size=None)).events()
            yield events


@pytest.fixture
def live(tmp_path: Path, valkey_server: ValkeyServer) -> Iterator[Live]:
    made = Live(tmp_path, valkey_server.url, heartbeat_s=0.2)
    with served(made.app) as made.address:
        yield made


def entity_of(event: sseclient.Event) -> str:
    return str(json.loads(event.data)["subject"])


def test_what_is_published_comes_under_its_type_with_a_cursor_behind_it(live: Live) -> None:
    with live.listening() as events:
        ready = next(events)
        live.publish(DARK, "sensor.kitchen")
        found = [next(events) for _ in range(2)]

    assert (ready.event, ready.retry) == ("ready", "2000")
    assert json.loads(ready.data)["cursor"] == ready.id
    assert [event.event for event in found] == ["event.new"] * 2
    message = json.loads(found[0].data)
    assert message["id"] == f"{live.home}~{DARK}~1000"
    assert (message["data"]["area"], message["data"]["state"]) == ("Küche", "on")
    assert len({ready.id, *(event.id for event in found)}) == 3


@pytest.mark.parametrize("way", ["header", "parameter"])
def test_who_comes_back_goes_on_behind_the_last_message(live: Live, way: str) -> None:
    with live.listening() as events:
        next(events)
        live.publish("light.0", "light.1", "light.2")
        last = [next(events) for _ in range(2)][-1].id
    wait_until(live.nobody_listens, timeout_s=60, what="the stream has ended")
    live.publish("light.3")

    given: dict[str, Any] = {"headers": {"Last-Event-ID": last}} if way == "header" else {"last_event_id": last}
    with live.listening(**given) as events:
        assert next(events).event == "ready"
        live.publish("light.4")
        assert [entity_of(next(events)) for _ in range(3)] == ["light.2", "light.3", "light.4"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"entity": ["sensor.*"]}, ["sensor.kitchen"]),
        ({"domain": ["light"]}, [DARK, "Lamp"]),
        ({"area": ["küche"], "device": ["LAMP"], "type": ["event.*"]}, [DARK, "sensor.kitchen"]),
        ({"type": ["device.*"]}, ["Lamp"]),
        ({"type": ["state_changed"], "entity": ["light.?all", "none"]}, [DARK]),
    ],
)
def test_a_filter_leaves_out_all_else(live: Live, asked: dict[str, Any], expected: list[str]) -> None:
    with live.listening(home=live.home, **asked) as events:
        next(events)
        live.publish(DARK, "sensor.kitchen", state="unavailable", previous_state="on")

        assert [entity_of(next(events)) for _ in expected] == expected
        live.publish(DARK, "sensor.kitchen", state="unavailable", previous_state="on")
        assert entity_of(next(events)) == expected[0]


def test_a_quiet_stream_shows_that_it_lives_and_moves_its_cursor_on(live: Live) -> None:
    with live.ask(entity="light.*", end_after_s=60) as answer:
        lines = answer.iter_lines(decode_unicode=True)
        for line in lines:
            if line == ": quiet":
                break
        live.publish("sensor.kitchen")
        until = cursor_text({live.home: Position(live.channel.kept(live.home).last)})

        assert f"id: {until}" in lines


def test_a_cursor_that_fell_out_is_told_as_a_gap(tmp_path: Path, valkey_server: ValkeyServer) -> None:
    live = Live(tmp_path, valkey_server.url, max_entries=10)
    with served(live.app) as live.address:
        start = cursor_text({live.home: Position(live.channel.kept(live.home).last)})
        for number in range(13):
            live.publish(f"light.{number}")

        with live.listening(last_event_id=start) as events:
            ready, gap, first = (next(events) for _ in range(3))

    assert (ready.event, gap.event) == ("ready", "gap")
    assert json.loads(gap.data)["home"] == live.home
    assert entity_of(first) == "light.3"


def test_cloud_events_are_told_where_they_are_asked_for(live: Live) -> None:
    with live.listening(form="cloudevents") as events:
        next(events)
        live.publish(DARK)
        message = json.loads(next(events).data)

    assert (message["specversion"], message["type"], message["subject"]) == ("1.0", "ha_ingestor.event.new", DARK)


def test_who_goes_away_leaves_nothing_behind(live: Live) -> None:
    with live.listening() as one, live.listening() as other:
        next(one), next(other)
        assert live.hub.listeners == 2

    wait_until(live.nobody_listens, timeout_s=60, what="nobody listens")


def test_nothing_is_written_to_who_has_died(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    port = int(live.address.rpartition(":")[2])
    for after_bytes in (1, 4000, 8000):
        client = socket.create_connection(("127.0.0.1", port), timeout=60)
        client.sendall(f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {KEY}\r\n\r\n".encode())
        came = b""
        while b"event: ready" not in came:
            came += client.recv(65_536)
        live.die(client, after_bytes)

    assert "socket.send() raised" not in caplog.text


def test_one_who_reads_nothing_is_told_what_it_missed_and_keeps_nobody_waiting(
    tmp_path: Path, valkey_server: ValkeyServer
) -> None:
    live = Live(tmp_path, valkey_server.url, max_waiting=50)
    large = {"attributes": {"text": "x" * 20_000}}
    with served(live.app) as live.address, live.listening() as slow, live.listening() as quick:
        next(slow), next(quick)
        for number in range(600):
            live.publish(f"light.{number}", **large)
            assert entity_of(next(quick)) == f"light.{number}"

        heard = missed = 0
        while heard + missed < 600:
            event = next(slow)
            if event.event == "missed":
                missed += json.loads(event.data)["messages"]
            else:
                heard += 1
        assert missed > 0
        assert entity_of(event) == "light.599"


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"type": "event.newer"}, 422),
        ({"home": "nobody"}, 404),
        ({"last_event_id": "rubbish"}, 422),
        ({"last_event_id": "x" * 9000}, 422),
        ({"entity": ""}, 422),
        ({"form": "xml"}, 422),
        ({"unknown": "x"}, 422),
    ],
)
def test_what_nobody_can_be_told_of_is_a_problem(live: Live, asked: dict[str, Any], status: int) -> None:
    with live.ask(**asked) as answer:
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
    assert live.hub.listeners == 0


def test_without_a_key_nobody_listens(live: Live) -> None:
    assert requests.get(live.address + PATH, timeout=60).status_code == 401


def test_more_than_may_listen_are_asked_to_come_back(tmp_path: Path, valkey_server: ValkeyServer) -> None:
    live = Live(tmp_path, valkey_server.url, max_listeners=1)
    with served(live.app) as live.address, live.listening() as events:
        next(events)
        with live.ask() as refused:
            assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)


def test_without_a_state_server_or_a_channel_it_says_so(tmp_path: Path) -> None:
    for name, settings, status in (("away", {}, 503), ("off", {"live": {"enabled": False}}, 404)):
        with served(api_app(tmp_path / name, settings)) as address:
            answer = requests.get(address + PATH, headers={"X-API-Key": KEY}, timeout=60)
            assert answer.status_code == status, answer.text


def test_an_open_stream_does_not_keep_the_api_from_ending(tmp_path: Path, valkey_server: ValkeyServer) -> None:
    live = Live(tmp_path, valkey_server.url)
    with contextlib.ExitStack() as stack:
        with served(live.app) as live.address:
            next(stack.enter_context(live.listening()))

        with socket.socket() as refused:
            assert refused.connect_ex(("127.0.0.1", int(live.address.rpartition(":")[2]))) != 0
    assert live.hub.listeners == 0


def test_the_end_of_the_server_ends_a_stream_as_a_whole_answer(tmp_path: Path, valkey_server: ValkeyServer) -> None:
    live = Live(tmp_path, valkey_server.url)
    with contextlib.ExitStack() as stack:
        with served(live.app) as live.address:
            events = stack.enter_context(live.listening())
            next(events)

        # One that was broken off raises ChunkedEncodingError here.
        assert list(events) == []
