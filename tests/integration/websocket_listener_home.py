"""A small home on a real WebSocket that does as it is told: speaks, is silent, cuts the line, refuses."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import ssl
import struct
import threading
from types import TracebackType
from typing import Any, Self

import orjson

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_OPEN_TO_ALL = {"state_changed", "entity_registry_updated"}


class Line:
    """One accepted connection; sends as a server does (frames without a mask)."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.commands: list[dict[str, Any]] = []
        self.subscribed = threading.Event()
        self.ended = threading.Event()
        self._buffer = b""
        self._send_lock = threading.Lock()

    def shake_hands(self) -> None:
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        key = next(
            line.split(b": ", 1)[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
        )
        accept = base64.b64encode(hashlib.sha1(key + _MAGIC).digest())
        self.sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    def send(self, payload: bytes | dict[str, Any] | list[Any], opcode: int = 1) -> None:
        raw = payload if isinstance(payload, bytes) else orjson.dumps(payload)
        if len(raw) < 126:
            head = struct.pack("!BB", 0x80 | opcode, len(raw))
        elif len(raw) < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 126, len(raw))
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 127, len(raw))
        with self._send_lock:
            self.sock.sendall(head + raw)

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are: half a frame, or no frame at all."""
        self.sock.sendall(data)

    def goodbye(self, code: int = 1000) -> None:
        """Close as Home Assistant does when it stops, or when a client is too slow."""
        self.send(struct.pack("!H", code), opcode=8)

    def cut(self) -> None:
        """End the connection without a word."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def receive(self) -> dict[str, Any] | None:
        """Return the client's next message; None at the end."""
        first, second = self._take(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self._take(2))
        mask = self._take(4)
        data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self._take(length)))
        return None if first & 0x0F == 8 else orjson.loads(data)

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._buffer += self._more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _more(self) -> bytes:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError
        return data


class ScriptedHome:
    """Answers as Home Assistant does, on a free loopback port. `lines` are its connections, in order.

    The first `deaf_lines` of them answer no ping.
    """

    def __init__(
        self,
        *,
        refuse_token: bool = False,
        admin: bool = True,
        deaf_lines: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self.refuse_token = refuse_token
        self.admin = admin
        self.deaf_lines = deaf_lines
        self.answers: dict[str, Any] = {}
        self.lines: list[Line] = []
        self._more_lines = threading.Condition()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # else the waiting `accept` keeps the port open
        self._server.close()
        for line in self.lines:
            line.cut()

    def line(self, number: int, within_s: float = 60) -> Line:
        """Return connection `number` (from 0) once its subscriptions stand."""
        with self._more_lines:
            assert self._more_lines.wait_for(lambda: len(self.lines) > number, within_s), "nobody connected"
        line = self.lines[number]
        assert line.subscribed.wait(within_s), "nobody subscribed"
        return line

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._server.accept()
                line = Line(sock)
                with self._more_lines:
                    self.lines.append(line)
                    self._more_lines.notify_all()
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: Line) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            if self._tls:
                line.sock = self._tls.wrap_socket(line.sock, server_side=True)
            line.shake_hands()
            line.send({"type": "auth_required", "ha_version": "2026.2.3"})
            auth = line.receive()
            if self.refuse_token or auth is None:
                line.send({"type": "auth_invalid", "message": "Invalid access token or password"})
                line.goodbye()
                return
            line.send({"type": "auth_ok", "ha_version": "2026.2.3"})
            while (message := line.receive()) is not None:
                line.commands.append(message)
                self._answer(line, message)
        line.ended.set()
        line.cut()

    def _answer(self, line: Line, message: dict[str, Any]) -> None:
        kind, number = message["type"], message["id"]
        if kind == "ping":
            if line not in self.lines[: self.deaf_lines]:
                line.send({"id": number, "type": "pong"})
            return
        if kind == "subscribe_events" and not self.admin and message.get("event_type") not in _OPEN_TO_ALL:
            error = {"code": "unauthorized", "message": "Unauthorized"}
            line.send({"id": number, "type": "result", "success": False, "error": error})
            return
        line.send({"id": number, "type": "result", "success": True, "result": self.answers.get(kind)})
        if message.get("event_type") == "state_changed":
            line.subscribed.set()
