"""Keeps a home's MQTT session up: one thread reads, hands on and acknowledges; waits for no broker and no database."""

from __future__ import annotations

import random
import select
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import structlog
from paho.mqtt.client import MQTT_ERR_SUCCESS

from ingestor import errors, metrics
from ingestor.homeassistant.backoff import longest_pause_s, pause_s
from ingestor.intake.mqtt.connection import (
    Message,
    ReadAhead,
    birth_topic_of,
    client_id_of,
    make_client,
    open_connection,
)
from ingestor.intake.mqtt.deliveries import Deliveries, Delivery
from ingestor.intake.mqtt.discovery import EntityOf
from ingestor.intake.mqtt.receiver import Receiver, Sink
from ingestor.intake.mqtt.wake import Wake
from ingestor.settings import HomeSettings

_log: Final = structlog.get_logger(__name__)
#: How often the loop looks at the clock and at `stop` when nothing comes.
_TICK_S: Final = 0.2
#: How often a full journal is asked again.
_RETRY_SINK_S: Final = 0.25
_ANSWER_WITHIN_S: Final = 10.0
_LONGEST_PAUSE_S: Final = 60.0
#: A connection that held this long is no failed attempt.
_HELD_S: Final = 10.0
#: Packets read before acknowledgements and clocks are looked at again.
_READ_AT_ONCE: Final = 200
#: At a stop, events that have begun may end within this time.
_REST_WITHIN_S: Final = 1.0
_SETTLE_S: Final = 1.0
#: Reason codes of MQTT 5 (paho names those of 3.1.1 the same): client id, user or password wrong, not authorized,
#: banned, authentication method.
_NOT_LET_IN: Final = frozenset({0x85, 0x86, 0x87, 0x8A, 0x8C})
_STOLEN: Final = 0x8E


class MqttListener:
    """Listens to one broker for one home.

    `known_deliveries` are (packet id, hash) of the messages that the journal holds; `websocket_up` tells whether the
    home is heard by WebSocket now; `entity_of(component, unique_id)` names Home Assistant's entity of a discovered one;
    `own_topics` are filters of what we publish ourselves.
    """

    def __init__(
        self,
        home: HomeSettings,
        *,
        sink: Sink,
        known_deliveries: set[Delivery],
        websocket_up: Callable[[], bool],
        entity_of: EntityOf | None = None,
        own_topics: Iterable[str] = (),
        listener_name: str = "mqtt",
        chance: random.Random | None = None,
    ) -> None:
        self._home = home
        self._name = listener_name
        self._chance = chance
        self._log = _log.bind(home=home.name, listener=listener_name)
        self._wake = Wake()
        self._deliveries = Deliveries(known_deliveries, self._wake.call)
        self._receiver = Receiver(home.mqtt, sink, self._deliveries, websocket_up, entity_of, own_topics=own_topics)
        self._client = make_client(home, listener_name)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish_packet = self._on_message
        self._client.on_subscribe = self._on_subscribe
        self._answer: Any = None
        self._lost: str | None = None
        self._fatal: errors.Fatal | None = None
        self._is_parted = False
        self._connected = False
        self._connected_at = 0.0
        self._lost_at: float | None = None
        self._subscribed: dict[str, int] = {}
        self._asked: dict[int, list[str]] = {}
        self._refused: dict[str, str] = {}
        self._last_error = ""
        self._connections = 0
        self._retry_at = 0.0
        self._rate = _Rate()
        of = {"home": home.name, "source": "mqtt"}
        self._frames_total = metrics.counter("ingestor_frames_total", **of)
        self._connects_total = metrics.counter("ingestor_connects_total", **of)
        self._disconnects_total = metrics.counter("ingestor_disconnects_total", **of)
        self._counted = 0

    # -- the life of the listener ------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Listen until `stop` is set, connecting again as often as needed.

        Raises AuthenticationRefused at once: somebody must change something first.
        """
        attempt = 0
        while not stop.is_set():
            try:
                self._listen_once(stop)
            except errors.Fatal as error:
                self._last_error = str(error)
                raise
            except (OSError, ValueError) as error:
                attempt = 1 if self._held_long() else attempt + 1
                self._last_error = str(error) or type(error).__name__
                lost_for_s = None if self._lost_at is None else time.monotonic() - self._lost_at
                pause = pause_s(attempt, longest_pause_s(lost_for_s, _LONGEST_PAUSE_S), chance=self._chance)
                self._log.warning("mqtt_lost", error=self._last_error, attempt=attempt, again_in_s=round(pause, 1))
                stop.wait(pause)
        if self._is_parted:
            return
        # No broker is there to keep what we hold.
        self._receiver.drain()
        self._receiver.flush()

    def _listen_once(self, stop: threading.Event) -> None:
        self._answer, self._lost = None, None
        try:
            open_connection(self._client, self._home.mqtt)
            self._serve(self._is_answered, stop, within_s=_ANSWER_WITHIN_S)
            if self._answer is None and not stop.is_set():
                raise TimeoutError(f"no answer within {_ANSWER_WITHIN_S:g} s; is it an MQTT broker (and TLS as set)?")
            self._serve(stop.is_set, stop)
            self._part()
        finally:
            self._close()

    def _is_answered(self) -> bool:
        return self._answer is not None

    def _held_long(self) -> bool:
        held = self._connected_at > 0 and time.monotonic() - self._connected_at >= _HELD_S
        if held:
            self._lost_at = time.monotonic()
        self._connected_at = 0.0
        return held

    def _part(self) -> None:
        """Let events that have begun end, acknowledge what is journaled meanwhile, say that we go.

        What has not ended then is left to the broker, which sends it again from its first message on.
        """
        self._serve(lambda: not self._receiver.join, None, within_s=_REST_WITHIN_S)
        if self._home.mqtt.protocol == "5" and self._home.mqtt.session_expiry_s == 0:
            self._receiver.flush()
        self._serve(lambda: not self._deliveries.is_waiting(), None, within_s=_SETTLE_S, holding=False)
        told = self._client.publish(birth_topic_of(self._home, self._name), "offline", qos=1, retain=True)
        self._serve(told.is_published, None, within_s=_SETTLE_S, holding=False)
        self._is_parted = True
        self._client.disconnect()
        self._client.loop_write()

    def _close(self) -> None:
        """End the connection; what was not acknowledged on it should come again on the next one."""
        was_up, self._connected = self._connected, False
        sock = self._client.socket()
        if sock is not None:
            self._client.disconnect()
            self._client.loop_write()
            self._client.loop_misc()
        if was_up:
            self._disconnects_total.inc()

    # -- the loop ----------------------------------------------------------------------------------------

    def _serve(
        self,
        done: Callable[[], bool],
        stop: threading.Event | None,
        *,
        within_s: float | None = None,
        holding: bool = True,
    ) -> None:
        """Drive the connection until `done`, `stop` or the time is over. Raises OSError when it is lost.

        With `holding`, nothing is read while the sink has no room.
        """
        until = None if within_s is None else time.monotonic() + within_s
        misc_at = 0.0
        while not done() and not (stop is not None and stop.is_set()):
            now = time.monotonic()
            if until is not None and now >= until:
                return
            if now >= misc_at:
                if self._receiver.held:
                    self._client.excuse_silence()
                self._client.loop_misc()
                self._tick(now)
                misc_at = now + _TICK_S
            self._turn(now, holding=holding)
            if self._fatal is not None:
                raise self._fatal
            if self._lost is not None:
                raise ConnectionError(self._lost)

    def _turn(self, now: float, *, holding: bool) -> None:
        """Wait for something to do, and do it."""
        receiver, sock = self._receiver, self._client.socket()
        if sock is None:
            self._lost = self._lost or "the connection was closed"
            return
        may_read = not (holding and receiver.held) or not self._connected
        wants: list[Any] = [sock, self._wake] if may_read else [self._wake]
        has_more = may_read and isinstance(sock, ReadAhead) and sock.has_more()
        timeout = 0.0 if has_more else self._pause_s(now)
        readable, _, _ = select.select(wants, [sock] if self._client.want_write() else [], [], timeout)
        if self._wake in readable:
            self._wake.clear()
        if has_more or sock in readable:
            self._read(sock)
        self._hand_on(time.monotonic())
        self._send_due()

    def _pause_s(self, now: float) -> float:
        deadline = self._receiver.join.next_deadline_s()
        return _TICK_S if deadline is None else min(_TICK_S, max(0.0, deadline - now))

    def _read(self, sock: Any) -> None:
        """Read what is there, within limits: acknowledgements must not wait for a flood to end."""
        for _ in range(_READ_AT_ONCE):
            try:
                answer = self._client.loop_read()
            except Exception as error:  # noqa: BLE001 - paho raises what it likes on bytes that are no MQTT
                self._lost = f"the broker sent rubbish: {type(error).__name__}: {error}"[:200]
                return
            if answer != MQTT_ERR_SUCCESS or self._lost is not None or self._receiver.held:
                return
            if not sock.has_more():
                return

    def _hand_on(self, now: float) -> None:
        receiver = self._receiver
        receiver.expire(now)
        if receiver.held and now >= self._retry_at:
            self._retry_at = now + _RETRY_SINK_S
            if receiver.drain():
                self._log.info("journal_has_room")
        if receiver.discovery_changed and self._connected:
            receiver.discovery_changed = False
            self._subscribe()

    def _send_due(self) -> None:
        """Acknowledge what the journal has, and what needs no keeping."""
        receiver, client = self._receiver, self._client
        for packet_id in self._deliveries.due():
            client.ack(packet_id, 1)
        if receiver.acknowledge:
            for packet_id in receiver.acknowledge:
                client.ack(packet_id, 1)
            receiver.acknowledge.clear()
        if client.want_write():
            client.loop_write()

    def _tick(self, now: float) -> None:
        counts = self._receiver.counts
        self._rate.note(counts.messages, now)
        self._frames_total.inc(counts.messages - self._counted)
        self._counted = counts.messages

    # -- paho calls these, from within the loop -----------------------------------------------------------

    def _on_connect(self, _client: Any, _data: Any, flags: Any, code: Any, _properties: Any) -> None:
        self._answer = code
        if code.is_failure:
            if code.value in _NOT_LET_IN:
                self._fatal = errors.AuthenticationRefused(
                    f"the MQTT broker refuses us: {code}; check user, password and client id"
                )
            self._lost = f"the broker refuses the connection: {code}"
            return
        resumed = bool(flags.session_present)
        self._deliveries.open_connection(resumed=resumed)
        self._receiver.change_connection(time.monotonic())
        self._forget_subscriptions(resumed=resumed)
        self._subscribe()
        self._client.publish(birth_topic_of(self._home, self._name), "online", qos=1, retain=True)
        self._connected, self._connected_at = True, time.monotonic()
        self._connections += 1
        self._connects_total.inc()
        self._log.info("mqtt_up", session_resumed=resumed, filters=len(self._subscribed))

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        hint = "; another client uses our client id" if code.value == _STOLEN else ""
        self._lost = f"{code}{hint}"

    def _on_message(self, message: Message) -> None:
        self._receiver.take(message, time.time_ns(), time.monotonic())

    def _forget_subscriptions(self, *, resumed: bool) -> None:
        """Forget what the broker does not know of: all in a new session, else what it never answered to."""
        unanswered = {one for asked in self._asked.values() for one in asked}
        kept = {one: qos for one, qos in self._subscribed.items() if one not in unanswered}
        self._subscribed = kept if resumed else {}
        self._asked.clear()

    def _subscribe(self) -> None:
        """Subscribe to what is missing."""
        discovery = self._receiver.discovery
        wanted = self._receiver.routes.filters(discovery.topics() if discovery is not None else ())
        missing = [(one, qos) for one, qos in wanted.items() if one not in self._subscribed]
        for start in range(0, len(missing), 100):
            some = missing[start : start + 100]
            _, packet_id = self._client.subscribe(some)
            if packet_id is not None:
                self._asked[packet_id] = [one for one, _ in some]
            self._subscribed.update(some)

    def _on_subscribe(self, _client: Any, _data: Any, packet_id: int, codes: list[Any], _properties: Any) -> None:
        for one, code in zip(self._asked.pop(packet_id, []), codes, strict=False):
            if code.is_failure:
                self._refused[one] = str(code)
                self._log.warning("subscription_refused", filter=one, reason=str(code))

    # -- how it does -------------------------------------------------------------------------------------

    def topics(self) -> dict[str, Any]:
        """Return which topics were seen; may be called from any thread."""
        return {"home": self._home.name, "listener": self._name, **self._receiver.seen.told()}

    def status(self) -> dict[str, Any]:
        """Return how the listener does; may be called from any thread."""
        receiver = self._receiver
        counts = receiver.counts
        return {
            "home": self._home.name,
            "listener": self._name,
            "client_id": client_id_of(self._home, self._name),
            "connected": self._connected,
            "connections": self._connections,
            "holding": bool(receiver.held),
            "messages": counts.messages,
            "messages_per_s": self._rate.per_s,
            "bytes": counts.bytes,
            "frames": counts.frames,
            "retained": counts.retained,
            "redelivered": counts.redelivered,
            "ignored": counts.ignored,
            "oversize": counts.oversize,
            "failed": counts.failed,
            "orphans": receiver.join.orphans,
            "open_joins": len(receiver.join),
            "discovered": 0 if receiver.discovery is None else len(receiver.discovery),
            "broker_dropped": counts.broker_dropped,
            "subscribed": list(self._subscribed),
            "refused": dict(self._refused),
            "last_error": self._last_error,
        }


class _Rate:
    """Messages a second over the last five seconds or so."""

    def __init__(self) -> None:
        self._since = (0, time.monotonic())
        self.per_s = 0.0

    def note(self, messages: int, now: float) -> None:
        """Note how many there have been."""
        before, at = self._since
        if now - at >= 1.0:
            self.per_s = round((messages - before) / (now - at), 1)
            self._since = (messages, now)
