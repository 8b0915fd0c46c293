"""The few MQTT 3.1.1 packets that a fast publisher needs, as bytes; opens no connection."""

from __future__ import annotations

from typing import Final

CONNACK: Final = 0x20
PUBACK: Final = 0x40
_CONNECT: Final = b"\x10"
_CLEAN: Final = 0x02
_USER: Final = 0x80
_PASSWORD: Final = 0x40
PINGREQ: Final = b"\xc0\x00"
DISCONNECT: Final = b"\xe0\x00"
#: Packet ids go from 1 to this one and round again.
MOST_IDS: Final = 65_535
_SEVEN_BITS: Final = 0x7F


def text(value: str) -> bytes:
    """Return a text with its length before it."""
    encoded = value.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def length(size: int) -> bytes:
    """Return a packet's remaining length: seven bits a byte."""
    found = bytearray()
    while True:
        size, low = divmod(size, _SEVEN_BITS + 1)
        found.append(low | (_SEVEN_BITS + 1 if size else 0))
        if not size:
            return bytes(found)


def connect(client_id: str, user: str | None = None, password: str | None = None, keep_alive_s: int = 60) -> bytes:
    """Return a CONNECT with a clean session."""
    flags = _CLEAN | (_USER if user else 0) | (_PASSWORD if password else 0)
    body = text("MQTT") + bytes((4, flags)) + keep_alive_s.to_bytes(2, "big") + text(client_id)
    body += text(user) if user else b""
    body += text(password) if password else b""
    return _CONNECT + length(len(body)) + body


class PublishEncoder:
    """Makes PUBLISH packets quickly: heads and packet ids are prepared; one for each QoS and retain."""

    def __init__(self, *, qos: int, retain: bool, longest: int = 16_384) -> None:
        head = bytes((0x30 | qos << 1 | int(retain),))
        self._qos = qos
        self._head = head
        self._heads = [head + length(size) for size in range(longest)]
        self._ids = [number.to_bytes(2, "big") for number in range(MOST_IDS + 1)]
        self._last_id = 0

    def encode(self, topic: bytes, payload: bytes) -> bytes:
        """Return a packet; the topic has its length before it (`text`)."""
        if not self._qos:
            return self._start(len(topic) + len(payload)) + topic + payload
        self._last_id = self._last_id % MOST_IDS + 1
        return b"".join((self._start(len(topic) + 2 + len(payload)), topic, self._ids[self._last_id], payload))

    def _start(self, size: int) -> bytes:
        return self._heads[size] if size < len(self._heads) else self._head + length(size)
