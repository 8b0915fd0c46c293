"""One connection to Home Assistant's WebSocket API: handshake, commands out, raw frames in; decodes no event."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

import orjson
import websocket

from ingestor import errors
from ingestor.homeassistant.address import websocket_url
from ingestor.settings import HomeAssistantSettings

_CLOSE: Final = 0x8
_REFUSED: Final = (
    "Home Assistant refused the access token. Create a long-lived access token in your Home Assistant profile "
    "(Security, at the bottom) and set it as HA_INGESTOR_HOMEASSISTANT__TOKEN. It is not tried again by itself: "
    "Home Assistant bans addresses that keep trying."
)
_ANSWERS: Final = {
    403: "it forbids this address: see ip_bans.yaml in Home Assistant's configuration folder, or the proxy before it",
    404: "there is no WebSocket API at this address; it may be starting, or the address is not Home Assistant's",
}


class Socket(Protocol):
    """What is used of `websocket.WebSocket`."""

    def send(self, payload: bytes) -> int:
        """Send one text frame."""
        ...

    def recv_data(self) -> tuple[int, bytes]:
        """Return the next frame's opcode and data; control frames but `close` are answered within."""
        ...

    def getheaders(self) -> Mapping[str, str] | None:
        """Return the headers of the answer that opened the WebSocket, names in small letters."""
        ...

    def settimeout(self, timeout: float | None) -> None:
        """Set how long `send` and `recv_data` may take, in seconds."""
        ...

    def close(self, *, timeout: float) -> None:
        """Say goodbye, waiting that long for the answer."""
        ...

    def shutdown(self) -> None:
        """Close the socket, goodbye said or not."""
        ...


OpenSocket = Callable[[str, HomeAssistantSettings], Socket]


class Connection:
    """An authenticated connection. Belongs to one thread.

    `clock_ahead_us` is how far Home Assistant's clock was ahead of ours at most when we connected, None if it is not
    known: the greeting says its time in seconds (`Date`).
    """

    def __init__(self, wire: Socket, ha_version: str) -> None:
        self.ha_version = ha_version
        self.clock_ahead_us: int | None = None
        self.coalesced = False
        self._wire = wire
        self._last_id = 0

    @classmethod
    def open(cls, settings: HomeAssistantSettings, *, open_socket: OpenSocket | None = None) -> Connection:
        """Connect, authenticate and agree on coalesced frames.

        Raises AuthenticationRefused (never try the same token again), HomeAssistantUnavailable or InvalidSettings.
        """
        if not settings.url or settings.token is None:
            raise errors.InvalidSettings("homeassistant.url and homeassistant.token must both be set")
        begun_us = time.time_ns() // 1000
        wire = (open_socket or open_websocket)(websocket_url(settings.url), settings)
        try:
            connection = cls._greet(wire, settings.token.get_secret_value().strip(), settings.connect_timeout_s)
            connection.clock_ahead_us = _ahead_us(wire.getheaders() or {}, begun_us)
        except BaseException:
            _drop(wire)
            raise
        return connection

    @classmethod
    def _greet(cls, wire: Socket, token: str, timeout_s: float) -> Connection:
        connection = cls(wire, "")
        until = time.monotonic() + timeout_s
        connection.wait_at_most(timeout_s)
        if connection._message(until).get("type") != "auth_required":
            raise errors.HomeAssistantUnavailable("what answers does not speak as Home Assistant does")
        connection._send({"type": "auth", "access_token": token})
        answer = connection._message(until)
        if answer.get("type") == "auth_invalid":
            raise errors.AuthenticationRefused(f"{_REFUSED} It said: {answer.get('message', '')}")
        if answer.get("type") != "auth_ok":
            raise errors.HomeAssistantUnavailable("the handshake ended without an answer to the token")
        connection.ha_version = str(answer.get("ha_version", ""))
        connection._ask_for_coalesced_frames(until)
        return connection

    def _ask_for_coalesced_frames(self, until: float) -> None:
        number = self.send_command("supported_features", features={"coalesce_messages": 1})
        answer = self._message(until)
        while answer.get("id") != number:
            answer = self._message(until)
        self.coalesced = bool(answer.get("success"))

    def _message(self, until: float) -> dict[str, Any]:
        """Return the next message of the handshake, when each frame is one object."""
        try:
            message = orjson.loads(self._recv_before(until))
        except ValueError as error:
            raise errors.HomeAssistantUnavailable("what answers does not speak JSON") from error
        return message if isinstance(message, dict) else {}

    def _recv_before(self, until: float) -> bytes:
        try:
            while time.monotonic() < until:
                return self.recv()
        except TimeoutError:
            pass
        raise errors.HomeAssistantUnavailable("no answer within the time of homeassistant.connect_timeout_s")

    def wait_at_most(self, seconds: float) -> None:
        """Set how long `recv` and `send_command` may take."""
        self._wire.settimeout(seconds)

    def recv(self) -> bytes:
        """Return the next frame as it came. Raise TimeoutError if none did, ConnectionLost if none will."""
        try:
            opcode, data = self._wire.recv_data()
        except websocket.WebSocketTimeoutException as error:
            raise TimeoutError from error
        except (websocket.WebSocketException, OSError) as error:
            raise _lost(error) from error
        if opcode == _CLOSE:
            code = int.from_bytes(data[:2], "big") if data else 1005
            raise errors.ConnectionLost("closed", f"Home Assistant closed the connection (code {code})", code=code)
        return data

    def send_command(self, command: str, **fields: Any) -> int:
        """Send a command and return its id; ids only grow, as Home Assistant demands."""
        self._last_id += 1
        self._send({"id": self._last_id, "type": command, **fields})
        return self._last_id

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._wire.send(orjson.dumps(message))
        except (websocket.WebSocketException, OSError) as error:
            raise _lost(error) from error

    def close(self) -> None:
        """Close the connection; never raises."""
        _drop(self._wire)


def open_websocket(url: str, settings: HomeAssistantSettings) -> Socket:
    """Open the WebSocket itself: no size limit, no UTF-8 check in Python (125 us a frame), no redirects.

    A redirect would hand the token to another server.
    """
    try:
        return websocket.create_connection(  # type: ignore[no-any-return]  # the package has no types
            url,
            timeout=settings.connect_timeout_s,
            skip_utf8_validation=True,
            enable_multithread=True,
            redirect_limit=0,
            sslopt={} if settings.verify_tls else {"cert_reqs": ssl.CERT_NONE, "check_hostname": False},
            # No SO_RCVBUF: it ends the kernel's own growth of the buffer (37 MB against 12.5 MB when set to 4 MB),
            # and most systems cap what is asked for at 208 kB.
            sockopt=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
    except websocket.WebSocketBadStatusException as error:
        hint = _ANSWERS.get(error.status_code, "it may be starting")
        raise errors.HomeAssistantUnavailable(f"{url} answered with HTTP status {error.status_code}: {hint}") from error
    except (websocket.WebSocketException, OSError, ValueError) as error:
        # The package has no error of its own for a redirect.
        hint = " (it redirects: set the address that it points to)" if "Redirect" in str(error) else ""
        raise errors.HomeAssistantUnavailable(f"cannot connect to {url}: {error}{hint}") from error


def _ahead_us(headers: Mapping[str, str], begun_us: int) -> int | None:
    """Return how far the peer's clock is ahead at most: it said the time after we began, cut to a whole second."""
    try:
        told = parsedate_to_datetime(headers.get("date", ""))
        return (int(told.timestamp()) + 1) * 1_000_000 - begun_us
    except (ValueError, OverflowError, OSError):
        return None


def _lost(error: Exception) -> errors.ConnectionLost:
    if isinstance(error, websocket.WebSocketProtocolException | websocket.WebSocketPayloadException):
        return errors.ConnectionLost("rubbish", f"what came is no WebSocket frame: {error}")
    return errors.ConnectionLost("cut", f"the connection ended without a goodbye: {error}")


def _drop(wire: Socket) -> None:
    with contextlib.suppress(Exception):
        wire.close(timeout=1.0)
    with contextlib.suppress(Exception):
        wire.shutdown()  # `close` does nothing after the peer's own close
