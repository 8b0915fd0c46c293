"""Makes the paho client of a listener: session, TLS, last will, a socket that reads ahead; drives no loop."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingestor import errors
from ingestor.settings import HomeSettings, MqttSettings

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
_READ_BYTES: Final = 65536
_CONNECT_WITHIN_S: Final = 5.0


class ReadAhead:
    """A non-blocking socket that takes what is there at once: paho asks for a byte or two at a time."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._buffer = b""
        self._at = 0

    def recv(self, size: int) -> bytes:
        """Return up to so many bytes; raises BlockingIOError where there are none yet."""
        at = self._at
        if at >= len(self._buffer):
            if size >= _READ_BYTES:
                return bytes(self._sock.recv(size))
            self._buffer, self._at, at = self._sock.recv(_READ_BYTES), 0, 0
        self._at = at + size
        return self._buffer[at : at + size]

    def has_more(self) -> bool:
        """Tell whether something can be read that no `select` would report."""
        return self._at < len(self._buffer) or bool(getattr(self._sock, "pending", lambda: 0)())

    def pending(self) -> int:
        """Return whether more can be read, as paho asks a TLS socket."""
        return int(self.has_more())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Client(mqtt.Client):
    """paho's client, reading ahead: three system calls fewer for each message."""

    def _create_socket(self) -> Any:
        return ReadAhead(super()._create_socket())


def make_client(home: HomeSettings, listener_name: str) -> Client:
    """Return a client that is not connected yet. Raises InvalidSettings for certificates that cannot be read."""
    settings = home.mqtt
    parts = urlsplit(settings.url or "")
    is_5 = settings.protocol == "5"
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id_of(home, listener_name),
        protocol=mqtt.MQTTv5 if is_5 else mqtt.MQTTv311,
        transport="websockets" if parts.scheme in ("ws", "wss") else "tcp",
        reconnect_on_failure=False,
        manual_ack=True,
        **({} if is_5 else {"clean_session": False}),
    )
    client.connect_timeout = _CONNECT_WITHIN_S
    client.on_socket_register_write = _written_by_the_loop
    client.will_set(birth_topic_of(home, listener_name), "offline", qos=1, retain=True)
    _set_user(client, settings)
    if parts.scheme in ("ws", "wss"):
        client.ws_set_options(path=parts.path or "/mqtt")
    if parts.scheme in ("mqtts", "wss"):
        _set_tls(client, settings)
    return client


def open_connection(client: Client, settings: MqttSettings) -> None:
    """Connect and send the first packet; the answer comes with the loop. Raises OSError."""
    parts = urlsplit(settings.url or "")
    more: dict[str, Any] = {}
    if settings.protocol == "5":
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # it has no types
        properties.SessionExpiryInterval = settings.session_expiry_s
        more = {"clean_start": False, "properties": properties}
    port = parts.port or _PORTS.get(parts.scheme, 1883)
    client.connect(parts.hostname or "", port, keepalive=settings.keepalive_s, **more)


def end_session(home: HomeSettings, listener_name: str) -> None:
    """Make the broker forget a listener that is removed for good: else it goes on keeping messages for it (rule 9)."""
    ending = home.model_copy(
        update={"mqtt": home.mqtt.model_copy(update={"client_id": client_id_of(home, listener_name)})}
    )
    client = make_client(ending, listener_name)
    client.on_socket_register_write = None
    client.will_clear()
    parts = urlsplit(home.mqtt.url or "")
    port = parts.port or _PORTS.get(parts.scheme, 1883)
    if home.mqtt.protocol == "5":
        client.connect(parts.hostname or "", port, clean_start=True)
    else:
        client._clean_session = True  # noqa: SLF001 - paho takes it only when a client is made
        client.connect(parts.hostname or "", port)
    client.loop(_CONNECT_WITHIN_S)
    client.disconnect()
    with contextlib.suppress(OSError, ValueError):
        client.loop(0.1)


def client_id_of(home: HomeSettings, listener_name: str) -> str:
    """Return the name of the session."""
    return home.mqtt.client_id or f"ha-ingestor-{home.name}-{listener_name}"


def birth_topic_of(home: HomeSettings, listener_name: str) -> str:
    """Return where the listener says that it is there."""
    return home.mqtt.birth_topic.replace("{home}", home.name).replace("{listener}", listener_name)


def _written_by_the_loop(_client: Any, _userdata: Any, _sock: Any) -> None:
    """Keep paho from sending each acknowledgement by a call of its own: the loop writes them together."""


def _set_user(client: Client, settings: MqttSettings) -> None:
    parts = urlsplit(settings.url or "")
    user = settings.username or (unquote(parts.username) if parts.username else None)
    password = settings.password.get_secret_value() if settings.password else None
    if user is not None:
        client.username_pw_set(user, password or (unquote(parts.password) if parts.password else None))


def _set_tls(client: Client, settings: MqttSettings) -> None:
    ca_file, cert_file, key_file = (
        None if path is None else str(path) for path in (settings.ca_file, settings.cert_file, settings.key_file)
    )
    try:
        client.tls_set(ca_file, cert_file, key_file, ssl.CERT_REQUIRED if settings.verify_tls else ssl.CERT_NONE)
    except (OSError, ValueError) as error:
        raise errors.InvalidSettings(f"mqtt: the certificates cannot be used: {error}") from error
    client.tls_insecure_set(not settings.verify_tls)
