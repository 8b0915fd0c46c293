"""A stand-in for the socket below a connection to Home Assistant: plays a script, keeps what was sent."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import orjson
import websocket

from ingestor import errors
from ingestor.events.frame import Frame
from ingestor.settings import HomeAssistantSettings

TEXT, CLOSE = 1, 8
HANDSHAKE = (
    b'{"type":"auth_required","ha_version":"2024.3.3"}',
    b'{"type":"auth_ok","ha_version":"2024.3.3"}',
    b'{"id":1,"type":"result","success":true,"result":null}',
)

Step = bytes | Exception | tuple[int, bytes] | Callable[[], None]


def settings(**changes: Any) -> HomeAssistantSettings:
    return HomeAssistantSettings.model_validate({"url": "http://home:8123", "token": "t0ken", **changes})


def accepted(number: int) -> bytes:
    return orjson.dumps({"id": number, "type": "result", "success": True, "result": None})


def refused(number: int, code: str = "unauthorized") -> bytes:
    error = {"code": code, "message": "Unauthorized"}
    return orjson.dumps({"id": number, "type": "result", "success": False, "error": error})


def event(state: str, event_type: str = "state_changed", fired: str = "now") -> dict[str, Any]:
    data = {"entity_id": "sensor.a", "new_state": {"state": state}}
    return {"type": "event", "event": {"event_type": event_type, "data": data, "time_fired": fired}, "id": 2}


class ScriptedSocket:
    """Plays its script: a frame, an error to raise, or something to do; after it, `idle` runs and nothing comes."""

    def __init__(self, *script: Step, idle: Callable[[], None] = lambda: None, date: str = "") -> None:
        self.headers = {"date": date} if date else {}
        self.script: deque[Step] = deque(script)
        self.idle = idle
        self.sent: list[dict[str, Any]] = []
        self.gone = threading.Event()

    @property
    def closed(self) -> bool:
        return self.gone.is_set()

    def getheaders(self) -> dict[str, str]:
        return self.headers

    def send(self, payload: bytes) -> int:
        self.sent.append(orjson.loads(payload))
        return len(payload)

    def recv_data(self) -> tuple[int, bytes]:
        while self.script:
            step = self.script.popleft()
            if isinstance(step, Exception):
                raise step
            if isinstance(step, bytes):
                return TEXT, step
            if isinstance(step, tuple):
                return step
            step()
        self.idle()
        raise websocket.WebSocketTimeoutException("nothing came")

    def settimeout(self, timeout: float | None) -> None:
        self.timeout = timeout

    def close(self, *, timeout: float) -> None:
        self.gone.set()

    def shutdown(self) -> None:
        self.gone.set()


class ListSink:
    """Keeps frames in a list; as full as it is told to be. While it `stalls` nothing reaches the disk."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.full = False
        self.stalls = False

    def add(self, frame: Frame, on_journaled: Callable[[], None] | None = None) -> None:
        if self.full:
            raise errors.JournalFull
        self.frames.append(frame)
        if on_journaled is not None and not self.stalls:
            on_journaled()


class NoPause(random.Random):
    """Chance that always falls on the shortest pause."""

    def uniform(self, a: float, b: float) -> float:
        return a
