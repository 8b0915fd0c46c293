"""The message format: what goes in comes out, and nothing else gets in."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor import errors
from ingestor.events.event import Event, EventBatch, Place, Settled
from ingestor.events.frame import Frame, RawBatch, new_batch_id
from ingestor.queue import message

RECORDED = Path(__file__).parents[1] / "recordings" / "messages"


def raw_batch(payload: bytes = b"{}") -> RawBatch:
    frame = Frame("statestream", 5, payload, "a/b", True, ((1, 2), (3, 4)), True)
    return RawBatch(new_batch_id(), "home", "mqtt", "home-mqtt", 4, [frame])


def event_batch() -> EventBatch:
    event = Event(0, "state", "state_changed", "light.x", "light.x", 1, 2, "websocket", 3, state="on", notes=["n"])
    return EventBatch(
        "B", "home", "websocket", "j", 4, 2, [event], [Settled("rejected", [1])], [Place("light.x", "light")]
    )


@given(st.binary())
def test_a_raw_batch_survives_the_wire(payload: bytes) -> None:
    batch = raw_batch(payload)

    assert message.decode_raw(message.encode_raw(batch)) == batch


def test_events_survive_the_wire() -> None:
    batch = event_batch()

    assert message.decode_events(message.encode_events(batch)) == batch


def test_a_raw_message_is_not_taken_for_events() -> None:
    with pytest.raises(errors.UnreadableMessage) as refused:
        message.decode_events(message.encode_raw(raw_batch()))

    assert refused.value.reason == "unknown_message"


@pytest.mark.parametrize(("version", "reason"), [(99, message.NEWER_VERSION), (0, "unknown_version")])
def test_another_version_is_refused_by_name_and_a_newer_one_by_a_name_of_its_own(version: int, reason: str) -> None:
    body = bytearray(message.encode_raw(raw_batch()))
    body[4] = version

    with pytest.raises(errors.UnreadableMessage, match=f"version {version};") as refused:
        message.decode_raw(bytes(body))

    assert refused.value.reason == reason


def test_every_version_since_the_first_is_recorded_and_read() -> None:
    assert frozenset(range(1, message.VERSION + 1)) == message.READABLE

    read = [
        (
            message.decode_raw((RECORDED / f"v{version}-raw.message").read_bytes()),
            message.decode_events((RECORDED / f"v{version}-events.message").read_bytes()),
        )
        for version in sorted(message.READABLE)
    ]

    raw, events = read[-1]
    assert all(found == (raw, events) for found in read)
    assert [frame.kind for frame in raw.frames] == ["websocket", "statestream"]
    assert raw.frames[1].deliveries == ((1, 2), (65535, 4294967295))
    (event,) = events.events
    assert event.attributes == {"brightness": 255, "effects": ["a", None, 1.5]}
    assert events.places[event.place].labels == ("a", "ü")
    assert [settled.outcome for settled in events.settled] == ["rejected", "filtered"]


def test_what_is_sent_today_is_of_the_newest_version() -> None:
    assert message.encode_raw(raw_batch())[4] == message.encode_events(event_batch())[4] == message.VERSION


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_unreadable(body: bytes) -> None:
    for damaged in (body, *(head + bytes((version,)) + body for head in (b"HAIr", b"HAIe") for version in range(4))):
        for decode in (message.decode_raw, message.decode_events):
            with pytest.raises(errors.UnreadableMessage):
                decode(damaged)


@given(st.data())
def test_a_flipped_byte_is_found_out(data: st.DataObject) -> None:
    body = bytearray(message.encode_events(event_batch()))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))

    with pytest.raises(errors.UnreadableMessage):
        message.decode_events(bytes(body))


def test_a_pickle_is_not_read() -> None:
    with pytest.raises(errors.UnreadableMessage):
        message.decode_raw(pickle.dumps({"a": 1}))


def test_a_message_that_claims_to_be_huge_is_refused_before_it_takes_memory() -> None:
    # A zstd frame head that promises 2^62 bytes.
    head = b"\x28\xb5\x2f\xfd\xc0\x00" + (2**62).to_bytes(8, "little")

    with pytest.raises(errors.UnreadableMessage):
        message.decode_raw(b"HAIr\x01" + head)


def test_batch_ids_sort_by_the_time_they_were_made() -> None:
    assert new_batch_id(1) < new_batch_id(2) < new_batch_id(1_795_229_244_000)
    assert len({new_batch_id(1) for _ in range(100)}) == 100
