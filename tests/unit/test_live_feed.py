"""The live channel is fed by the way, and no batch waits or fails for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ingestor import errors
from ingestor.events.event import Event, EventBatch, Place
from ingestor.live.channel import Entry, EntryId, Kept
from ingestor.live.channel_memory import MemoryChannel
from ingestor.live.entry import Told, decode_entry
from ingestor.live.feed import LiveFeed

BATCH = EventBatch("B", "villa", "websocket", "j", 0, 1, [], places=[Place("sensor.kitchen", "sensor")])


def told(**changes: Any) -> list[Told]:
    event = Event(0, "state", "state_changed", "sensor.kitchen", "sensor.kitchen", 1, 1, "websocket", 7, place=0)
    for name, value in changes.items():
        setattr(event, name, value)
    return [(event, 1000, False)]


class Failing:
    """A channel whose server does something wrong each time."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error
        self.calls = 0

    def publish(self, home: str, body: bytes) -> EntryId:
        self.calls += 1
        if self.error:
            raise self.error
        return EntryId(1, 0)

    def read(self, after: Mapping[str, EntryId], *, most: int, wait_s: float) -> list[Entry]:
        raise NotImplementedError

    def kept(self, home: str) -> Kept:
        raise NotImplementedError


def test_what_was_written_of_a_batch_is_one_entry() -> None:
    channel = MemoryChannel(max_entries=10, max_bytes=10_000)
    start = channel.kept("villa").last

    assert LiveFeed(channel).tell(BATCH, told() + told())
    assert not LiveFeed(channel).tell(BATCH, [])

    (entry,) = channel.read({"villa": start}, most=10, wait_s=0)
    assert len(decode_entry(entry.body).events) == 2


@pytest.mark.parametrize("error", [errors.StateUnavailable(), errors.AuthenticationRefused()])
def test_a_channel_that_refuses_is_left_alone_for_a_while_and_then_tried_again(error: Exception) -> None:
    now_s = [100.0]
    channel = Failing(error)
    feed = LiveFeed(channel, clock=lambda: now_s[0])

    refused = [feed.tell(BATCH, told()) for _ in range(5)]
    channel.error = None
    now_s[0] += 2.0

    assert refused == [False] * 5
    assert channel.calls == 1
    assert feed.tell(BATCH, told())


def test_an_event_that_cannot_be_packed_fails_nothing() -> None:
    channel = MemoryChannel(max_entries=10, max_bytes=10_000)

    feed = LiveFeed(channel)

    assert not feed.tell(BATCH, told(attributes={"huge": 2**70}))
    assert not feed.tell(BATCH, told(attributes={"strange": object()}))
    assert feed.tell(BATCH, told())
