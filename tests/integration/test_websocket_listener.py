"""The listener on a real socket: what the network and Home Assistant may do to it, and what it makes of that."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from ingestor import errors
from ingestor.events.frame import Frame
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.homeassistant.connection import Connection
from ingestor.intake.websocket import Gap, WebSocketListener
from ingestor.settings import HomeAssistantSettings, HomeSettings
from tests.integration.websocket_listener_home import ScriptedHome


class Kept:
    """A sink that can be waited on."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.gaps: list[Gap] = []
        self.ups: list[bool] = []
        self.hold = threading.Event()
        self.hold.set()

    def add(self, frame: Frame, on_journaled: Callable[[], None] | None = None) -> None:
        self.hold.wait()
        self.frames.append(frame)
        if on_journaled is not None:
            on_journaled()

    def over(self) -> list[Gap]:
        return [gap for gap in list(self.gaps) if gap.end_us]

    def messages(self) -> list[Any]:
        decoded = [orjson.loads(frame.payload) for frame in list(self.frames)]
        return [message for item in decoded for message in (item if isinstance(item, list) else [item])]


def until(holds: Callable[[], object], within_s: float = 10) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.005)  # a condition of another thread, without a way to wait on it


def settings(home: ScriptedHome, **changes: Any) -> HomeAssistantSettings:
    given = {"url": home.url, "token": "t0ken", "event_types": ["state_changed"], "reconnect_max_s": 1, **changes}
    return HomeAssistantSettings.model_validate(given)


@contextmanager
def listening(home: ScriptedHome, **changes: Any) -> Iterator[tuple[WebSocketListener, Kept]]:
    kept, stop = Kept(), threading.Event()
    listener = WebSocketListener(
        HomeSettings(homeassistant=settings(home, **changes)), sink=kept, on_gap=kept.gaps.append, on_up=kept.ups.append
    )
    thread = threading.Thread(target=listener.run, args=(stop,))
    thread.start()
    try:
        yield listener, kept
    finally:
        stop.set()
        kept.hold.set()
        thread.join(10)
        assert not thread.is_alive()


def event(number: int, size: int = 0) -> dict[str, Any]:
    data = {"entity_id": f"sensor.s{number}", "new_state": {"state": str(number), "attributes": {"x": "y" * size}}}
    fired = datetime.now(UTC).isoformat()
    return {"type": "event", "event": {"event_type": "state_changed", "data": data, "time_fired": fired}, "id": 2}


def test_single_and_coalesced_events_arrive_in_order() -> None:
    with ScriptedHome() as home, listening(home) as (listener, kept):
        line = home.line(0)

        line.send(event(0))
        line.send([event(number) for number in range(1, 400)])
        line.send(event(400))

        until(lambda: len(kept.messages()) == 401)
        assert [message["event"]["data"]["entity_id"] for message in kept.messages()] == [
            f"sensor.s{number}" for number in range(401)
        ]
        assert listener.status()["up"]
        assert listener.status()["coalesced"]
    assert kept.ups == [True, False]
    assert line.ended.wait(5)


def test_a_refused_token_is_tried_once() -> None:
    with ScriptedHome(refuse_token=True) as home:
        listener = WebSocketListener(HomeSettings(homeassistant=settings(home)), sink=Kept())

        with pytest.raises(errors.AuthenticationRefused, match="long-lived access token"):
            listener.run(threading.Event())

        assert len(home.lines) == 1


def test_after_a_cut_in_mid_frame_it_returns_subscribes_again_and_names_the_gap() -> None:
    with ScriptedHome() as home, listening(home) as (_, kept):
        line = home.line(0)
        first, second = event(1), event(2)
        line.send(first)
        until(lambda: kept.frames)

        line.send_raw(b"\x81\x7e\x04\x00{half")
        line.cut()
        home.line(1).send(second)

        until(lambda: len(kept.frames) == 2 and kept.over())
        (gap,) = kept.over()
        times = [datetime.fromisoformat(sent["event"]["time_fired"]) for sent in (first, second)]
        start_us, end_us = (int(time.timestamp()) * 1_000_000 + time.microsecond for time in times)
        assert gap == Gap("cut", start_us, end_us)
        assert [message["event"]["data"]["entity_id"] for message in kept.messages()] == ["sensor.s1", "sensor.s2"]
    assert kept.ups == [True, False, True, False]


def test_a_close_with_code_1000_is_how_a_slow_client_is_dropped_and_is_a_gap() -> None:
    types = ["homeassistant_stop", "state_changed"]
    with ScriptedHome() as home, listening(home, event_types=types) as (_, kept):
        line = home.line(0)
        line.send(event(1))
        until(lambda: kept.frames)

        line.goodbye(1000)

        home.line(1)
        until(lambda: kept.gaps)
        assert kept.gaps[0].reason == "overload"


def test_a_peer_that_answers_no_ping_is_left_for_a_new_connection() -> None:
    with ScriptedHome(deaf_lines=1) as home, listening(home, ping_every_s=0.3, dead_after_s=0.3) as (_, kept):
        home.line(0).send(event(1))
        until(lambda: kept.frames)

        home.line(1).send(event(2))

        until(lambda: len(kept.frames) == 2 and kept.gaps)
        assert kept.gaps[0].reason == "silent"


def test_bytes_that_are_no_websocket_frame_cost_the_connection_not_the_listener() -> None:
    with ScriptedHome() as home, listening(home) as (_, kept):
        home.line(0).send(event(1))
        until(lambda: kept.frames)

        home.line(0).send_raw(b"\x83\x07rubbish")
        home.line(1).send(event(2))

        until(lambda: len(kept.frames) == 2 and kept.gaps)
        assert kept.gaps[0].reason == "rubbish"


def test_a_token_without_admin_rights_still_hears_states() -> None:
    types = ["state_changed", "automation_triggered", "call_service", "entity_registry_updated"]
    with ScriptedHome(admin=False) as home, listening(home, event_types=types) as (listener, kept):
        line = home.line(0)
        until(lambda: listener.status()["up"])

        line.send(event(1))

        until(lambda: kept.frames)
        status = listener.status()
        assert status["subscribed"] == ["state_changed", "entity_registry_updated"]
        assert status["refused"] == {"automation_triggered": "unauthorized", "call_service": "unauthorized"}


def test_a_frame_of_eight_megabytes_passes() -> None:
    with ScriptedHome() as home, listening(home) as (_, kept):
        big = orjson.dumps([event(number, size=1600) for number in range(5000)])

        home.line(0).send(big)

        until(lambda: kept.frames)
        assert len(big) > 8_000_000
        assert kept.frames[0].payload == big


def test_the_registry_of_five_thousand_entities_is_read_in_one_answer() -> None:
    with ScriptedHome() as home:
        home.answers["config/entity_registry/list"] = [
            {"id": f"{number:032x}", "entity_id": f"sensor.s{number}", "options": {"x": "y" * 1600}}
            for number in range(5000)
        ]

        with HomeAssistantClient(settings(home)) as client:
            entities = client.entities()

        assert len(entities) == 5000
        assert entities[-1]["entity_id"] == "sensor.s4999"


def test_what_piles_up_while_the_sink_stalls_is_read_in_full_afterwards() -> None:
    with ScriptedHome() as home, listening(home) as (_, kept):
        line = home.line(0)
        kept.hold.clear()

        for number in range(1500):
            line.send(event(number, size=1000))
        kept.hold.set()

        until(lambda: len(kept.frames) == 1500)
        assert [message["event"]["data"]["new_state"]["state"] for message in kept.messages()] == [
            str(number) for number in range(1500)
        ]
        assert kept.gaps == []


def test_a_home_that_is_away_is_tried_until_it_is_there() -> None:
    with ScriptedHome() as absent:
        address = absent.url
    kept, stop = Kept(), threading.Event()
    chosen = HomeAssistantSettings.model_validate(
        {"url": address, "token": "t", "event_types": ["state_changed"], "reconnect_max_s": 1}
    )
    listener = WebSocketListener(HomeSettings(homeassistant=chosen), sink=kept)
    thread = threading.Thread(target=listener.run, args=(stop,))

    thread.start()
    until(lambda: "cannot connect" in listener.status()["last_error"])

    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    assert not listener.status()["up"]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("403 Forbidden", "ip_bans.yaml"),
        ("404 Not Found", "no WebSocket API at this address"),
        ("502 Bad Gateway", "status 502"),
        ("301 Moved\r\nLocation: https://elsewhere.example/", "it redirects"),
    ],
)
def test_an_answer_that_opens_no_websocket_says_what_to_look_at(status: str, says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            line, _ = server.accept()
            line.recv(65536)
            line.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
            line.close()

        threading.Thread(target=answer, daemon=True).start()
        chosen = HomeAssistantSettings(url=f"http://127.0.0.1:{server.getsockname()[1]}", token=SecretStr("t0ken"))

        with pytest.raises(errors.HomeAssistantUnavailable, match=says):
            Connection.open(chosen)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")
def test_a_certificate_of_ones_own_making_is_taken_only_if_the_setting_says_so(tmp_path: Path) -> None:
    paths = {"-keyout": tmp_path / "key.pem", "-out": tmp_path / "cert.pem"}
    options = [
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=home",
        *(str(part) for item in paths.items() for part in item),
    ]
    subprocess.run(["openssl", "req", "-x509", *options], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(paths["-out"], paths["-keyout"])

    with ScriptedHome(tls=tls) as home:
        with pytest.raises(errors.HomeAssistantUnavailable, match=r"(?i)certificate"):
            Connection.open(settings(home))
        with listening(home, verify_tls=False) as (_, kept):
            home.line(1).send(event(1))
            until(lambda: kept.frames)


def test_stopping_takes_less_than_a_second_or_two_also_on_a_quiet_home() -> None:
    with ScriptedHome() as home:
        with listening(home) as (listener, _):
            home.line(0)
            until(lambda: listener.status()["up"])
            began = time.monotonic()
        assert time.monotonic() - began < 3
        assert home.line(0).ended.wait(5)
