"""Makes the paho client of a listener: session, TLS, last will, a socket that reads ahead; drives no loop."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingestor import errors
from ingestor.settings import HomeSettings, MqttSettings
from ingestor.settings_mqtt_out import MqttOutSettings

PORTS: Final = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
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


class Message(NamedTuple):
    """A PUBLISH packet. `dup`: it was sent before; `retain`: it was there before we subscribed."""

    topic: str
    payload: bytes
    packet_id: int = 0
    qos: int = 0
    dup: bool = False
    retain: bool = False


class Client(mqtt.Client):
    """paho's client with a shorter way for what comes ten thousand times a second.

    It reads ahead (three system calls fewer for each message), and takes a PUBLISH apart itself: paho builds the
    27 tables of an MQTT 5 property set for each (30 microseconds), of which we need none.
    """

    on_publish_packet: Callable[[Message], None]

    def excuse_silence(self) -> None:
        """Let the missing answer to a ping pass: while we do not read, it is we who do not hear it."""
        self._ping_t = 0.0

    def _create_socket(self) -> Any:
        return ReadAhead(super()._create_socket())

    def _handle_publish(self) -> MQTTErrorCode:
        flags = self._in_packet["command"]
        message = parse_publish(flags, bytes(self._in_packet["packet"]), has_properties=self._protocol == mqtt.MQTTv5)
        if message is None:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self.on_publish_packet(message)
        return MQTTErrorCode.MQTT_ERR_SUCCESS


def parse_publish(flags: int, body: bytes, *, has_properties: bool) -> Message | None:
    """Return the message of a PUBLISH packet (first byte, and what follows its length); None for rubbish.

    Properties (MQTT 5) are passed over: none of them changes what a payload means here. A topic that is no UTF-8
    gets replacement characters.
    """
    qos = flags >> 1 & 3
    at = 2 + (body[0] << 8 | body[1]) if len(body) > 1 else 0
    topic = body[2:at].decode("utf-8", "replace")
    packet_id = 0
    if qos:
        packet_id = int.from_bytes(body[at : at + 2])
        at += 2
    if has_properties:
        at = _behind_properties(body, at)
    if qos > 1 or not 1 < at <= len(body) or (qos and not packet_id):
        return None
    return Message(topic, body[at:], packet_id, qos, bool(flags & 8), bool(flags & 1))


def _behind_properties(body: bytes, at: int) -> int:
    """Return where the properties end: their length comes first, seven bits a byte."""
    length, shift = 0, 0
    while at < len(body):
        digit = body[at]
        at += 1
        length |= (digit & 127) << shift
        shift += 7
        if digit < 128:  # noqa: PLR2004 - the eighth bit says that more follow
            return at + length
    return len(body) + 1


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
    set_user(client, settings)
    if parts.scheme in ("ws", "wss"):
        client.ws_set_options(path=parts.path or "/mqtt")
    if parts.scheme in ("mqtts", "wss"):
        set_tls(client, settings)
    return client


def open_connection(client: Client, settings: MqttSettings) -> None:
    """Connect and send the first packet; the answer comes with the loop. Raises OSError."""
    parts = urlsplit(settings.url or "")
    more: dict[str, Any] = {}
    if settings.protocol == "5":
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # it has no types
        properties.SessionExpiryInterval = settings.session_expiry_s
        more = {"clean_start": False, "properties": properties}
    port = parts.port or PORTS.get(parts.scheme, 1883)
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
    port = parts.port or PORTS.get(parts.scheme, 1883)
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


def set_user(client: mqtt.Client, settings: MqttSettings | MqttOutSettings) -> None:
    """Give the user and the password that are set."""
    parts = urlsplit(settings.url or "")
    user = settings.username or (unquote(parts.username) if parts.username else None)
    password = settings.password.get_secret_value() if settings.password else None
    if user is not None:
        client.username_pw_set(user, password or (unquote(parts.password) if parts.password else None))


def set_tls(client: mqtt.Client, settings: MqttSettings | MqttOutSettings) -> None:
    """Give the certificates that are set. Raises InvalidSettings where they cannot be read."""
    ca_file, cert_file, key_file = (
        None if path is None else str(path) for path in (settings.ca_file, settings.cert_file, settings.key_file)
    )
    try:
        client.tls_set(ca_file, cert_file, key_file, ssl.CERT_REQUIRED if settings.verify_tls else ssl.CERT_NONE)
    except (OSError, ValueError) as error:
        raise errors.InvalidSettings(f"mqtt: the certificates cannot be used: {error}") from error
    client.tls_insecure_set(not settings.verify_tls)
