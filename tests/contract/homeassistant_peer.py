"""Peers of the contract with Home Assistant: real ones and the demo home, and a connection that shows every frame."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest
import websocket

from ingestor.demo.running import RunningDemo, running_demo

PROBE = "sensor.contract_probe"


class Line:
    """A WebSocket connection to a peer: frames as they come, messages one by one."""

    def __init__(self, url: str, token: str | None) -> None:
        self.socket = websocket.create_connection(f"ws{url.removeprefix('http')}/api/websocket", timeout=20)
        self.first = self.receive()
        self._last_id = 0
        if token is not None:
            self.send({"type": "auth", "access_token": token})
            assert self.receive()["type"] == "auth_ok"

    def send(self, message: Any) -> None:
        self.socket.send(json.dumps(message))

    def receive(self) -> Any:
        return json.loads(self.socket.recv())

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a command and return the whole answer; what comes before it is passed over."""
        number = self.next_id()
        self.send({"id": number, "type": kind, **fields})
        while True:
            frame = self.receive()
            for message in frame if isinstance(frame, list) else [frame]:
                if message.get("id") == number and message["type"] in {"result", "pong"}:
                    return dict(message)

    def result(self, kind: str, **fields: Any) -> Any:
        answer = self.ask(kind, **fields)
        assert answer["success"], answer
        return answer["result"]

    def code(self, kind: str, **fields: Any) -> str:
        answer = self.ask(kind, **fields)
        assert not answer["success"], answer
        return str(answer["error"]["code"])

    def event(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the next event message of which that is true."""
        while True:
            frame = self.receive()
            for message in frame if isinstance(frame, list) else [frame]:
                if message["type"] == "event" and wanted(message["event"]):
                    return dict(message)

    def close_code(self) -> int:
        """Return the code that the other side closes with."""
        opcode, data = self.socket.recv_data()
        while opcode != websocket.ABNF.OPCODE_CLOSE:
            opcode, data = self.socket.recv_data()
        return int.from_bytes(data[:2], "big")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


class Peer:
    """A Home Assistant, real or simulated, and the names of things in it."""

    def __init__(self, server: Any, version: str, *, switch: str, button: str, automation: str, service: str) -> None:
        self.url, self.token, self.user_token = server.url, server.token, server.user_token
        self.version = version
        self.modern = version >= "2024.5"
        self.switch, self.button, self.automation, self.service = switch, button, automation, service
        self._server = server

    def connect(self, token: str | None = None) -> Line:
        return Line(self.url, token or self.token)

    def set_state(self, entity_id: str, state: str, **attributes: Any) -> None:
        if isinstance(self._server, RunningDemo):
            self._server.control.set_state(entity_id, state, attributes)
        else:
            self._server.set_state(entity_id, state, **attributes)

    def remove(self, entity_id: str) -> None:
        if isinstance(self._server, RunningDemo):
            self._server.control.remove(entity_id)
        else:
            self.get(f"states/{entity_id}", method="DELETE")

    def get(self, path: str, token: str | None = None, method: str = "GET") -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token or self.token}"} if token != "" else {}
        try:
            request = urllib.request.Request(f"{self.url}/api/{path}", headers=headers, method=method)
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


DEMO = {
    "switch": "input_boolean.guest_mode",
    "button": "input_button.good_night",
    "automation": "automation.bedtime",
    "service": "script",
}
REAL = {
    "switch": "input_boolean.chain_one",
    "button": "input_button.press",
    "automation": "automation.chain_a",
    "service": "input_boolean",
}


PEERS = [
    pytest.param("demo 2024.3.3", id="demo-2024"),
    pytest.param("demo 2026.2.3", id="demo-2026"),
    pytest.param("homeassistant", id="real-2024", marks=pytest.mark.homeassistant),
    pytest.param("homeassistant_2026", id="real-2026", marks=pytest.mark.homeassistant),
]


def start_peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    """Yield the peer that a fixture with these parameters asks for."""
    kind, _, version = request.param.partition(" ")
    if kind == "demo":
        with running_demo(entities=200, ha_version=version) as demo:
            yield Peer(demo, version, **DEMO)
    else:
        server = request.getfixturevalue(kind)
        yield Peer(server, server.version, **REAL)


def about(entity_id: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["data"].get("entity_id") == entity_id
