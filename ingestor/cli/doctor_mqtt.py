"""What `doctor` tries of an MQTT broker: reach it, sign in, and see what it promises to keep (rule 8)."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ingestor.cli.finding import Finding
from ingestor.settings import HomeSettings, MqttSettings

_CONNECT_WITHIN_S: Final = 10.0
#: Retained statestream topics come at once; 2 s is ample also on a slow line.
_LISTEN_S: Final = 2.0
#: Mosquitto keeps 1,000 by default for a client that is away; a broker set for us keeps all.
_PROBE_MESSAGES: Final = 1_200
_AWAY_S: Final = 60
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
_REFUSED: Final = frozenset({"Bad user name or password", "Not authorized", "Bad authentication method", "Banned"})
_KEEPS_ALL: Final = (
    "in mosquitto.conf set max_queued_messages 0, max_inflight_messages 0, persistence true, autosave_interval 1 "
    "and autosave_on_changes true (see docs/how-to/use-mqtt.md)"
)
_Message = tuple[str, bool]


def examine_mqtt(home: HomeSettings) -> Iterator[Finding]:
    """Yield what is found of a home's MQTT broker."""
    subject = f"{home.name}: MQTT"
    probe = Probe(home.mqtt)
    try:
        answer = probe.connect()
    except (OSError, ValueError) as error:
        advice = "check HA_INGESTOR_MQTT__URL, that the broker runs, and that its port can be reached from here"
        yield Finding("failed", subject, f"{probe.where} cannot be reached: {error}", advice)
        return
    try:
        yield from _signed_in(subject, home, probe, answer)
    finally:
        probe.close()


def _signed_in(subject: str, home: HomeSettings, probe: Probe, answer: str) -> Iterator[Finding]:
    if answer in _REFUSED:
        advice = "correct HA_INGESTOR_MQTT__USERNAME and HA_INGESTOR_MQTT__PASSWORD, or the broker's list of users"
        yield Finding("failed", subject, f"{probe.where} refuses: {answer}", advice)
        return
    if answer != "Success":
        yield Finding("failed", subject, f"{probe.where} answers: {answer}", "see the broker's log")
        return
    yield Finding("ok", subject, f"{probe.where} accepts us")
    if home.mqtt.statestream_base:
        yield _statestream(home, probe)
    yield from _keeping(home, probe)


def _statestream(home: HomeSettings, probe: Probe) -> Finding:
    subject = f"{home.name}: statestream"
    base = home.mqtt.statestream_base
    topics = [topic for topic, _ in probe.listen([f"{base}/+/+/state", f"{base}/+/+/last_updated"], _LISTEN_S)]
    states = sum(topic.endswith("/state") for topic in topics)
    if not states:
        return Finding("unknown", subject, f"nothing was published under {base}/ within {_LISTEN_S:g} s")
    if states == len(topics):
        says = "it publishes no times: an event cannot be matched with its twin from the WebSocket"
        advice = "set publish_timestamps: true (and publish_attributes: true) under mqtt_statestream in Home Assistant"
        return Finding("warning", subject, f"{says}, so it is stored only while the WebSocket is down", advice)
    return Finding("ok", subject, f"{states} states, with their times")


def _keeping(home: HomeSettings, probe: Probe) -> Iterator[Finding]:
    subject = f"{home.name}: MQTT keeping"
    if (promised := probe.session_expiry_s()) is not None and promised < home.mqtt.session_expiry_s:
        says = f"the broker keeps our session for {promised} s, not {home.mqtt.session_expiry_s} s"
        yield Finding("warning", subject, says, "raise the broker's limit (Mosquitto: persistent_client_expiration)")
    kept = probe.count_kept(_PROBE_MESSAGES)
    if kept is None:
        says = "we may not publish to a probe topic, so what the broker keeps for us was not tried"
        yield Finding("unknown", subject, says, _KEEPS_ALL)
    elif kept < _PROBE_MESSAGES:
        says = f"of {_PROBE_MESSAGES} messages sent while a client was away, the broker kept {kept}"
        yield Finding("failed", subject, says, _KEEPS_ALL)
    else:
        yield Finding("ok", subject, f"all {kept} messages sent while a client was away were kept")
    says = "whether the broker keeps messages over its own restart cannot be tried from here"
    yield Finding("unknown", f"{home.name}: MQTT persistence", says, _KEEPS_ALL)


class Probe:
    """A client of its own, with a client id of its own: it disturbs no listener's session."""

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._parts = urlsplit(settings.url or "")
        self._name = f"ha-ingestor-doctor-{secrets.token_hex(4)}"
        self._client: mqtt.Client | None = None
        self._connack: Properties | None = None
        self.where = f"{self._parts.hostname}:{self._port}"

    @property
    def _port(self) -> int:
        return self._parts.port or _PORTS.get(self._parts.scheme, 1883)

    def connect(self) -> str:
        """Connect once; return the broker's answer in words ("Success"). Raises OSError."""
        self._client, answer, self._connack = self._open(self._name, expiry_s=self._settings.session_expiry_s)
        return answer

    def session_expiry_s(self) -> int | None:
        """Return for how long the broker says that it keeps a session; None where it agrees to what was asked."""
        found = getattr(self._connack, "SessionExpiryInterval", None)
        return None if found is None else int(found)

    def listen(self, topics: list[str], seconds: float) -> list[_Message]:
        """Return (topic, retained) of what arrives within some seconds."""
        found: list[_Message] = []
        if self._client is None:
            return found
        self._client.on_message = lambda _client, _data, message: found.append((message.topic, message.retain))
        self._client.subscribe([(topic, 0) for topic in topics])
        _wait(lambda: False, seconds)
        self._client.unsubscribe(topics)
        return found

    def count_kept(self, number: int) -> int | None:
        """Return how many of some messages the broker keeps for a client that is away; None if we may not publish."""
        topic = f"ha-ingestor/doctor/{self._name}"
        away = f"{self._name}-away"
        client, answer, _ = self._open(away, expiry_s=_AWAY_S)
        granted: list[Any] = []
        client.on_subscribe = lambda _client, _data, _mid, codes, _properties: granted.extend(codes)
        client.subscribe(topic, qos=1)
        _wait(lambda: bool(granted), _LISTEN_S)
        _close(client)
        if answer != "Success" or not granted or granted[0].is_failure or not self._publish(topic, number):
            return None
        return self._collect(away, topic, number)

    def _publish(self, topic: str, number: int) -> bool:
        if self._client is None:
            return False
        refused: list[ReasonCode] = []
        self._client.on_publish = lambda _client, _data, _mid, code, _properties: (
            refused.append(code) if code.is_failure else None
        )
        sent = [self._client.publish(topic, b"probe", qos=1) for _ in range(number)]
        _wait(sent[-1].is_published, _CONNECT_WITHIN_S)
        return sent[-1].is_published() and not refused

    def _collect(self, name: str, topic: str, number: int) -> int:
        """Come back as the client that was away, count, and end its session."""
        found: list[str] = []
        client = self._make(name, keep=True)
        client.on_message = lambda _client, _data, message: found.append(message.topic)
        self._join(client, expiry_s=_AWAY_S)
        last = -1
        while len(found) < number and len(found) != last:
            last = len(found)
            _wait(lambda: len(found) >= number, _LISTEN_S)
        client.unsubscribe(topic)
        self._end(client, name)
        return len(found)

    def close(self) -> None:
        """End the connection and its session."""
        if self._client is not None:
            self._end(self._client, self._name)

    def _end(self, client: mqtt.Client, name: str) -> None:
        """Leave nothing behind: a clean start ends the session that the broker keeps."""
        _close(client)
        with contextlib.suppress(OSError):
            again = self._make(name, keep=False)
            self._join(again, expiry_s=0)
            _close(again)

    def _open(self, name: str, *, expiry_s: int) -> tuple[mqtt.Client, str, Properties | None]:
        client = self._make(name, keep=expiry_s > 0)
        answer, properties = self._join(client, expiry_s=expiry_s)
        return client, answer, properties

    def _make(self, name: str, *, keep: bool) -> mqtt.Client:
        settings, parts = self._settings, self._parts
        is_5 = settings.protocol == "5"
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=mqtt.MQTTv5 if is_5 else mqtt.MQTTv311,
            transport="websockets" if parts.scheme in ("ws", "wss") else "tcp",
            reconnect_on_failure=False,
            **({} if is_5 else {"clean_session": not keep}),
        )
        user = settings.username or (unquote(parts.username) if parts.username else None)
        password = settings.password.get_secret_value() if settings.password else None
        if user:
            client.username_pw_set(user, password or (unquote(parts.password) if parts.password else None))
        if parts.scheme in ("mqtts", "wss"):
            ca_file, cert_file, key_file = (
                _path(path) for path in (settings.ca_file, settings.cert_file, settings.key_file)
            )
            client.tls_set(ca_file, cert_file, key_file)
            client.tls_insecure_set(not settings.verify_tls)
        if parts.scheme in ("ws", "wss"):
            client.ws_set_options(path=parts.path or "/mqtt")
        client.connect_timeout = _CONNECT_WITHIN_S
        client.max_inflight_messages_set(_PROBE_MESSAGES)
        return client

    def _join(self, client: mqtt.Client, *, expiry_s: int) -> tuple[str, Properties | None]:
        answers: list[tuple[str, Properties | None]] = []
        client.on_connect = lambda _client, _data, _flags, code, properties: answers.append((str(code), properties))
        more: dict[str, Any] = {}
        if self._settings.protocol == "5":
            more = {"clean_start": expiry_s == 0, "properties": _properties(expiry_s)}
        client.connect(self._parts.hostname or "", self._port, keepalive=30, **more)
        client.loop_start()
        _wait(lambda: bool(answers), _CONNECT_WITHIN_S)
        if not answers:
            _close(client)
            raise TimeoutError(f"no answer within {_CONNECT_WITHIN_S:g} s; is it an MQTT broker (and TLS as set)?")
        return answers[0]


def _properties(expiry_s: int) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # it has no types
    properties.SessionExpiryInterval = expiry_s
    return properties


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _close(client: mqtt.Client) -> None:
    client.disconnect()
    client.loop_stop()


def _wait(done: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    pause = threading.Event()
    while not done() and time.monotonic() < until:
        pause.wait(0.02)
