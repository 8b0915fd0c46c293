"""The test's own way to talk to Home Assistant: a few calls over HTTP and WebSocket, none of the product's code."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections import deque
from typing import TYPE_CHECKING, Any, Self

import websocket

if TYPE_CHECKING:
    from collections.abc import Iterator


class RefusedError(Exception):
    """Home Assistant refused a command; carries its error."""


def request(
    url: str,
    *,
    token: str | None = None,
    body: object = None,
    form: dict[str, str] | None = None,
    method: str | None = None,
) -> Any:
    """Return the JSON answer to a GET, or to a POST when there is a body (JSON) or a form, or to another method."""
    data = urllib.parse.urlencode(form).encode() if form else None if body is None else json.dumps(body).encode()
    headers = {} if form or body is None else {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as response:
        return json.loads(response.read())


class Conversation:
    """An authenticated WebSocket connection: commands, and the events that come in between."""

    def __init__(self, url: str, token: str) -> None:
        self._socket = websocket.create_connection(f"ws{url.removeprefix('http')}/api/websocket", timeout=30)
        self._last_id = 0
        self._events: deque[dict[str, Any]] = deque()
        self._receive()
        self._socket.send(json.dumps({"type": "auth", "access_token": token}))
        if (answer := self._receive())["type"] != "auth_ok":
            raise RefusedError(answer)

    def command(self, kind: str, **fields: object) -> Any:
        """Send a command and return its result."""
        self._last_id += 1
        self._socket.send(json.dumps({"id": self._last_id, "type": kind, **fields}))
        while (answer := self._receive())["type"] != "result" or answer["id"] != self._last_id:
            self._note(answer)
        if not answer["success"]:
            raise RefusedError(answer["error"])
        return answer["result"]

    def next_event(self, event_type: str, *, timeout_s: float = 15.0) -> dict[str, Any]:
        """Return the next event of a type, from those that were subscribed to; the ones before it are passed over."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not self._events:
                self._note(self._receive())
            elif (event := self._events.popleft())["event_type"] == event_type:
                return event
        raise TimeoutError(f"no event {event_type} within {timeout_s:g} s")

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the events that were subscribed to as they come, until the connection ends or is cut by `cut`."""
        while True:
            while self._events:
                yield self._events.popleft()
            try:
                self._note(self._receive())
            except websocket.WebSocketTimeoutException:
                continue  # it was quiet
            except (websocket.WebSocketException, OSError, json.JSONDecodeError):
                return  # a close frame reads as an empty text

    def cut(self) -> None:
        """End the connection from another thread."""
        self._socket.abort()

    def _receive(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._socket.recv())
        return answer

    def _note(self, message: dict[str, Any]) -> None:
        if message["type"] == "event":
            self._events.append(message["event"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
