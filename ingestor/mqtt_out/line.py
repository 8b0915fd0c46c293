"""The connection to the broker we publish to: kept up by paho in a thread of its own; what happens is told the loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from ingestor import errors
from ingestor.intake.mqtt.connection import PORTS, set_tls, set_user
from ingestor.mqtt_out.sensors import birth_topic, status_topic
from ingestor.settings_mqtt_out import MqttOutSettings

#: Messages that are given to paho and not confirmed yet; `mqtt_out.inflight` of them are at the broker.
MOST_UNDER_WAY: Final = 1000
_AGAIN_S: Final = (1, 60)
_PART_S: Final = 1.0
#: From how many bytes on the length of a packet takes one byte more.
_LONGER_FROM: Final = (128, 16_384, 2_097_152)
_log: Final = structlog.get_logger(__name__)


class _Client(mqtt.Client):
    """paho's client, which sends nothing of an ended connection again: what is to be, the publisher gives it anew."""

    def _messages_reconnect_reset_out(self) -> None:
        with self._out_message_mutex:
            self._out_messages.clear()
            self._inflight_messages = 0


class Line:
    """A connection. It is up when the broker has taken a first message, which says that we are there.

    `on_confirmed` hears of each message that the broker has, or why it has refused it; `on_birth` of Home
    Assistant's start.
    """

    def __init__(
        self, settings: MqttOutSettings, on_up: Callable[[bool], None], on_confirmed: Callable[[int, str], None]
    ) -> None:
        self._settings = settings
        self._on_up = on_up
        self._on_confirmed = on_confirmed
        self._greeting = 0
        #: Larger packets the broker does not take, as it says (MQTT 5); 0: it says nothing.
        self._most_bytes = 0
        #: Ids of what is not confirmed yet, or with QoS 0 not written yet, the oldest first.
        self._unconfirmed: dict[int, None] = {}
        self.on_birth: Callable[[], None] = lambda: None
        self.is_up = False
        self.last_error = ""
        self._loop = asyncio.get_running_loop()
        self._client = self._made()

    def start(self) -> None:
        """Begin to connect, and go on for as long as it takes."""
        parts = urlsplit(self._settings.url or "")
        port = parts.port or PORTS[parts.scheme]
        self._client.connect_async(parts.hostname or "", port, keepalive=self._settings.keepalive_s)
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> int:
        """Give a message to the broker; return its id.

        Raises NobodyListens where there is no connection, Rejected for what is larger than the broker takes.
        """
        if self._most_bytes and _packet_bytes(topic, payload, qos) > self._most_bytes:
            raise errors.Rejected("too_large", f"the broker takes packets of up to {self._most_bytes:,} bytes")
        sent = self._client.publish(topic, payload, qos=qos, retain=retain)
        if sent.rc != mqtt.MQTT_ERR_SUCCESS:
            raise errors.NobodyListens("the MQTT broker is away")
        self._unconfirmed[sent.mid] = None
        return sent.mid

    @property
    def oldest(self) -> int:
        """The id of what was given first of all that is not confirmed; 0 where there is nothing."""
        return next(iter(self._unconfirmed), 0)

    def end(self) -> None:
        """Say that we go, and go; blocks for a second at most."""
        with contextlib.suppress(ValueError, RuntimeError, OSError):
            if self.is_up:
                told = self._client.publish(status_topic(self._settings), "offline", qos=1, retain=True)
                told.wait_for_publish(_PART_S)
        self._client.disconnect()
        self._client.loop_stop()

    def _made(self) -> mqtt.Client:
        settings = self._settings
        parts = urlsplit(settings.url or "")
        over_web = parts.scheme in ("ws", "wss")
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            protocol=mqtt.MQTTv5 if settings.protocol == "5" else mqtt.MQTTv311,
            transport="websockets" if over_web else "tcp",
        )
        client.reconnect_delay_set(*_AGAIN_S)
        client.max_inflight_messages_set(settings.inflight)
        client.max_queued_messages_set(MOST_UNDER_WAY * 2)
        client.will_set(status_topic(settings), "offline", qos=1, retain=True)
        set_user(client, settings)
        if over_web:
            client.ws_set_options(path=parts.path or "/mqtt")
        if parts.scheme in ("mqtts", "wss"):
            set_tls(client, settings)
        client.on_connect = self._connected
        client.on_connect_fail = self._failed
        client.on_disconnect = self._disconnected
        client.on_publish = self._published
        client.on_message = self._heard
        return client

    # -- paho calls these in its own thread --------------------------------------------------------------

    def _connected(self, client: mqtt.Client, _data: Any, _flags: Any, code: Any, properties: Any) -> None:
        if code.is_failure:
            self._tell(self._down, f"the broker refuses the connection: {code}")
            return
        client.subscribe(birth_topic(self._settings), qos=0)
        self._most_bytes = int(getattr(properties, "MaximumPacketSize", 0))
        self._greeting = client.publish(status_topic(self._settings), "online", qos=1, retain=True).mid

    def _failed(self, _client: mqtt.Client, _data: Any) -> None:
        self._tell(self._down, "the broker cannot be reached")

    def _disconnected(self, _client: mqtt.Client, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        self._tell(self._down, f"the connection ended: {code}")

    def _published(self, _client: mqtt.Client, _data: Any, mid: int, code: Any, _properties: Any) -> None:
        if mid == self._greeting:
            self._greeting = 0
            self._tell(self._up)
        else:
            self._tell(self._confirmed, mid, f"the broker says: {code}" if code.is_failure else "")

    def _heard(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        # Retained: it started before we came, and we have announced ourselves at our start.
        if message.payload == b"online" and not message.retain:
            self._tell(self.on_birth)

    # -- and this is in the loop -------------------------------------------------------------------------

    def _tell(self, call: Callable[..., None], *words: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(call, *words)

    def _confirmed(self, mid: int, refused: str) -> None:
        self._unconfirmed.pop(mid, None)
        self._on_confirmed(mid, refused)

    def _up(self) -> None:
        _log.info("mqtt_out_up")
        self.is_up, self.last_error = True, ""
        self._on_up(True)

    def _down(self, why: str) -> None:
        if self.is_up or why != self.last_error:
            _log.warning("mqtt_out_down", why=why)
        self.is_up, self.last_error = False, why
        self._on_up(False)
        self._unconfirmed.clear()


def _packet_bytes(topic: str, payload: bytes, qos: int) -> int:
    """Return how large a PUBLISH of MQTT 5 is: type, length, topic with its length, id, no properties, payload."""
    rest = 2 + len(topic.encode()) + (2 if qos else 0) + 1 + len(payload)
    return 2 + sum(rest >= size for size in _LONGER_FROM) + rest
