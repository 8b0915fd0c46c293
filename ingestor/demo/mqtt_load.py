"""Publishes load to an MQTT broker as fast as it confirms, over a plain socket: paho costs 100 us a message."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from ingestor import errors
from ingestor.demo import mqtt_packets
from ingestor.demo.clock import SECOND_US
from ingestor.demo.home import DemoHome
from ingestor.demo.load import LoadSource, Pace
from ingestor.demo.mqtt_packets import PublishEncoder
from ingestor.demo.wire import iso

Form = Literal["statestream", "eventstream"]

_PORT: Final = 1883
_KEEP_ALIVE_S: Final = 60
_CONNECT_WITHIN_S: Final = 10.0
#: The broker is gone if it confirms nothing for so long.
_CONFIRM_WITHIN_S: Final = 30.0
_BATCH: Final = 200
#: Packets that are sent with one call.
_PART: Final = 500
_RECEIVE: Final = 65_536
_ACK_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What was published and confirmed. Messages are MQTT's; a statestream event is several."""

    sent: int
    messages: int
    seconds: float
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return the result for a line of JSON."""
        rate = round(self.sent / self.seconds) if self.seconds else 0
        shown = {"sent": self.sent, "types": {"state_changed": self.sent}, "messages": self.messages}
        return {**shown, "bytes": self.bytes, "seconds": round(self.seconds, 3), "rate": rate}


class Connection:
    """A publisher's connection: a window of messages in flight, counted down by the broker's PUBACKs."""

    def __init__(self, url: str, client_id: str, *, window: int) -> None:
        if not 0 < window < mqtt_packets.MOST_IDS:
            raise ValueError(f"the window must be 1 to {mqtt_packets.MOST_IDS - 1} messages, not {window}")
        self.window = window
        self._received = bytearray()
        self.in_flight = 0
        self.bytes = 0
        self._socket = self._open(url, client_id)

    def _open(self, url: str, client_id: str) -> socket.socket:
        parts = urlsplit(url)
        try:
            opened = socket.create_connection((parts.hostname or "", parts.port or _PORT), _CONNECT_WITHIN_S)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.sendall(mqtt_packets.connect(client_id, parts.username, parts.password, _KEEP_ALIVE_S))
            answer = opened.recv(4)
        except OSError as error:
            raise errors.BrokerUnavailable(f"cannot connect to {parts.hostname}:{parts.port or _PORT}") from error
        if len(answer) < _ACK_BYTES or answer[0] != mqtt_packets.CONNACK or answer[3]:
            raise errors.BrokerUnavailable(f"the MQTT broker refused the connection: {answer.hex(' ')}")
        opened.setblocking(False)
        return opened

    @property
    def room(self) -> int:
        """How many messages may be sent before the broker must confirm some."""
        return self.window - self.in_flight

    def send(self, packets: list[bytes], *, confirmed: bool) -> None:
        """Send packets, reading confirmations meanwhile: else both sides could wait for each other."""
        data = memoryview(b"".join(packets))
        self.bytes += len(data)
        self.in_flight += len(packets) if confirmed else 0
        while data:
            readable, writable, _ = select.select([self._socket], [self._socket], [], _CONFIRM_WITHIN_S)
            if not readable and not writable:
                raise errors.BrokerUnavailable(f"the MQTT broker took nothing for {_CONFIRM_WITHIN_S:g} s")
            if readable:
                self._read()
            if writable:
                data = data[self._socket.send(data) :]

    def wait(self, seconds: float) -> bool:
        """Read confirmations for at most so long; tell whether any came."""
        readable, _, _ = select.select([self._socket], [], [], max(0.0, seconds))
        if readable:
            self._read()
        return bool(readable)

    def wait_for_room(self, messages: int) -> None:
        """Return when so many more may be sent."""
        while self.room < messages:
            if not self.wait(_CONFIRM_WITHIN_S):
                raise errors.BrokerUnavailable(f"the MQTT broker confirmed nothing for {_CONFIRM_WITHIN_S:g} s")

    def _read(self) -> None:
        data = self._socket.recv(_RECEIVE)
        if not data:
            raise errors.BrokerUnavailable("the MQTT broker closed the connection")
        self._received += data
        self._count_confirmed()

    def _count_confirmed(self) -> None:
        """Take whole packets off the front. All that a broker sends to a publisher is two or four bytes long."""
        received, start = self._received, 0
        while start + 1 < len(received) and (size := received[start + 1] + 2) <= len(received) - start:
            if received[start] == mqtt_packets.PUBACK:
                self.in_flight -= 1
            start += size
        del received[:start]

    def close(self) -> None:
        """Wait for the last confirmations, then say goodbye."""
        self.wait_for_room(self.window)
        self._socket.setblocking(True)
        self._socket.sendall(mqtt_packets.DISCONNECT)
        self._socket.close()


class _Statestream:
    """Turns an event into Home Assistant's topics: state, last_updated, last_changed, then each attribute."""

    def __init__(self, home: DemoHome, source: LoadSource, base: str, *, qos: int, together: int) -> None:
        self._source = source
        self._encode = PublishEncoder(qos=qos, retain=True).encode
        self._together = min(together, len(source.entity_ids))
        self._topics = [_topics(base, entity_id) for entity_id in source.entity_ids]
        self._attributes = [_attributes(base, home, entity_id) for entity_id in source.entity_ids]

    def packets(self, count: int, now_us: int) -> list[bytes]:
        """Return the packets of so many events; those that happen together take turns, as Home Assistant's tasks do."""
        first, start_us = self._source.claim(count, now_us)
        second = iso(start_us - start_us % SECOND_US)[:19].encode() + b"."
        micros = start_us % SECOND_US - first
        found: list[bytes] = []
        for number in range(first, first + count, self._together):
            numbers = range(number, min(number + self._together, first + count))
            events = [self._messages(one, b"%b%06d+00:00" % (second, micros + one)) for one in numbers]
            turns = zip_longest(*events)
            found += [self._encode(*message) for turn in turns for message in turn if message is not None]
        return found

    def _messages(self, number: int, time: bytes) -> list[tuple[bytes, bytes]]:
        index = number % len(self._topics)
        state, updated, changed = self._topics[index]
        return [(state, b"%d" % number), (updated, time), (changed, time), *self._attributes[index]]


class _Eventstream:
    """Turns an event into one message, as mqtt_eventstream does."""

    def __init__(self, source: LoadSource, topic: str, qos: int) -> None:
        self._source = source
        self._encoder = PublishEncoder(qos=qos, retain=False)
        self._topic = mqtt_packets.text(topic)

    def packets(self, count: int, now_us: int) -> list[bytes]:
        """Return the packets of so many events."""
        encode, topic = self._encoder.encode, self._topic
        return [encode(topic, body) for body in self._source.bodies(count, now_us)]


def _topics(base: str, entity_id: str) -> tuple[bytes, bytes, bytes]:
    start = f"{base}/{entity_id.replace('.', '/')}"
    state, updated, changed = (
        mqtt_packets.text(f"{start}/{name}") for name in ("state", "last_updated", "last_changed")
    )
    return state, updated, changed


def _attributes(base: str, home: DemoHome, entity_id: str) -> list[tuple[bytes, bytes]]:
    start = f"{base}/{entity_id.replace('.', '/')}"
    attributes = home.bus.states[entity_id].attributes
    return [(mqtt_packets.text(f"{start}/{name}"), json.dumps(value).encode()) for name, value in attributes.items()]


def publish(
    url: str,
    home: DemoHome,
    *,
    form: Form = "eventstream",
    rate: float = 1000.0,
    count: int = 0,
    seconds: float = 0.0,
    qos: int = 1,
    window: int = 4000,
    together: int = 4,
    base_topic: str = "homeassistant",
    event_topic: str = "events",
    client_id: str = "ha-ingestor-demo-load",
    stopped: Callable[[], bool] = lambda: False,
) -> LoadResult:
    """Publish until so many events were sent or so many seconds have passed, and all is confirmed.

    Of statestream so many events as `together` says happen at once: their messages mix, never those of one entity.
    `rate` is in events a second; 0 is as fast as the broker takes them. Raises BrokerUnavailable.
    """
    pace = Pace(rate, count, seconds)
    source = LoadSource(home, compact=False)
    maker: _Statestream | _Eventstream = _Eventstream(source, event_topic, qos)
    if form == "statestream":
        maker = _Statestream(home, source, base_topic, qos=qos, together=together)
    connection = Connection(url, client_id, window=window)
    begun = time.monotonic()
    messages = 0
    while not stopped():
        due = pace.due(source.total, time.monotonic() - begun, _BATCH)
        if due is None:
            break
        if not due:
            connection.wait(0.001)
            continue
        packets = maker.packets(due, time.time_ns() // 1000)
        messages += len(packets)
        _send(connection, packets, confirmed=bool(qos))
    connection.close()
    return LoadResult(source.total, messages, time.monotonic() - begun, connection.bytes)


def _send(connection: Connection, packets: list[bytes], *, confirmed: bool) -> None:
    """Send packets a part at a time, so that never more than the window are in flight."""
    part = min(_PART, connection.window)
    for start in range(0, len(packets), part):
        some = packets[start : start + part]
        if confirmed:
            connection.wait_for_room(len(some))
        connection.send(some, confirmed=confirmed)
