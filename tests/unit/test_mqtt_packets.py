"""PUBLISH packets taken apart, held against paho's own way of doing it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingestor.intake.mqtt.connection import Message, ReadAhead, parse_publish


def packet(topic: bytes, packet_id: int | None, properties: bytes, payload: bytes) -> bytes:
    number = b"" if packet_id is None else packet_id.to_bytes(2, "big")
    return len(topic).to_bytes(2, "big") + topic + number + properties + payload


@given(
    topic=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300),
    payload=st.binary(max_size=300),
    packet_id=st.integers(1, 65535),
    marks=st.tuples(st.booleans(), st.booleans()),
    note=st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)),
)
def test_a_packet_gives_what_was_put_into_it(
    topic: str, payload: bytes, packet_id: int, marks: tuple[bool, bool], note: str | None
) -> None:
    dup, retain = marks
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # it has no types
    if note is not None:
        properties.UserProperty = [("note", note)] * 3
    packed = properties.pack()  # type: ignore[no-untyped-call]  # it has no types
    flags = 0x32 | (8 if dup else 0) | (1 if retain else 0)

    five = parse_publish(flags, packet(topic.encode(), packet_id, packed, payload), has_properties=True)
    older = parse_publish(flags, packet(topic.encode(), packet_id, b"", payload), has_properties=False)

    assert five == older == Message(topic, payload, packet_id, 1, dup, retain)


def test_a_packet_without_acknowledgement_has_no_id() -> None:
    assert parse_publish(0x30, packet(b"a", None, b"", b"x"), has_properties=False) == Message("a", b"x")


@pytest.mark.parametrize("has_properties", [True, False])
@given(body=st.binary(max_size=40), flags=st.integers(0x30, 0x3F))
def test_rubbish_is_none_or_a_message_never_a_crash(has_properties: bool, body: bytes, flags: int) -> None:
    found = parse_publish(flags, body, has_properties=has_properties)

    assert found is None or len(found.payload) <= len(body)


def test_a_topic_that_is_no_utf8_is_readable_all_the_same() -> None:
    found = parse_publish(0x30, packet(b"a/\xff", None, b"", b""), has_properties=False)

    assert found is not None
    assert found.topic == "a/\ufffd"


class Pieces:
    """A socket that gives what it is told to, piece by piece."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    def recv(self, size: int) -> bytes:
        if not self.pieces:
            raise BlockingIOError
        piece = self.pieces.pop(0)
        assert len(piece) <= size
        return piece


def test_reading_ahead_gives_the_same_bytes_and_says_when_more_are_there() -> None:
    sock = ReadAhead(Pieces(b"abcdef", b"gh"))

    first = sock.recv(1), sock.recv(2), sock.has_more(), sock.recv(10), sock.has_more()

    assert first == (b"a", b"bc", True, b"def", False)
    assert sock.recv(1) == b"g"
    assert sock.recv(1) == b"h"
    with pytest.raises(BlockingIOError):
        sock.recv(1)
