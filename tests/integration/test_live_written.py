"""What the task `write` tells on the live channel, with real servers; and that nothing waits for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingestor import bootstrap
from ingestor.events.event import Event, EventBatch, Place
from ingestor.live.channel import LiveChannel
from ingestor.live.entry import decode_entry
from ingestor.queue import message
from ingestor.queue.app import make_app
from ingestor.settings import Settings
from ingestor.storage.port import EventQuery
from tasks import resources as resources_module
from tasks.resources import Resources, resources
from tasks.write import write_batch
from tests.servers_brokers import ValkeyServer

T0_US = 1_795_229_244_000_000
Hold = Callable[..., Resources]


@pytest.fixture
def hold(tmp_path: Path, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hold]:
    """Give the resources of a worker process with these settings of the live channel."""

    def made(**live: object) -> Resources:
        url = {"url": valkey_server.url}
        home = f"live-{uuid.uuid4().hex[:8]}"
        settings = Settings.model_validate(
            {"data_dir": tmp_path, "home": home, "broker": url, "state": url, "live": live}
        )
        monkeypatch.setattr(bootstrap, "settings", lambda: settings)
        monkeypatch.setattr(resources_module, "current_app", make_app(f"memory://{uuid.uuid4().hex}"))
        resources_module.forget()
        return resources()

    yield made
    resources_module.forget()


def body(held: Resources, batch_id: str, source: str, *times_us: int) -> bytes:
    events = [
        Event(
            slot,
            "state",
            "state_changed",
            "sensor.kitchen",
            "sensor.kitchen",
            time_us,
            time_us * 1000,
            source,
            7,
            state="21.5",
            place=0,
        )
        for slot, time_us in enumerate(times_us)
    ]
    home, places = held.settings.home, [Place("sensor.kitchen", "sensor", "Kitchen")]
    batch = EventBatch(batch_id * 26, home, source, f"{home}-{source}", 1, len(events), events, [], places)
    return message.encode_events(batch)


def channel_of(held: Resources) -> LiveChannel:
    return bootstrap.open_live_channel(held.settings, held.state)


def stored(held: Resources) -> int:
    return len(list(held.store.read(EventQuery(home=held.settings.home))))


def marks(held: Resources, source: str) -> list[str]:
    return [mark.batch_id[0] for mark in held.done.take(f"{held.settings.home}-{source}", 100)]


def test_an_event_that_comes_by_two_roads_is_told_once(hold: Hold) -> None:
    held = hold()
    channel = channel_of(held)
    start = channel.kept(held.settings.home).last

    write_batch(body(held, "A", "websocket", T0_US, T0_US + 1))
    write_batch(body(held, "B", "statestream", T0_US, T0_US + 1, T0_US + 2))

    entries = channel.read({held.settings.home: start}, most=10, wait_s=0)
    told = [(event.source, event.time_us) for entry in entries for event in decode_entry(entry.body).events]
    assert told == [("websocket", T0_US), ("websocket", T0_US + 1), ("statestream", T0_US + 2)]
    assert (stored(held), marks(held, "websocket"), marks(held, "statestream")) == (3, ["A"], ["B"])


def test_a_batch_that_comes_again_is_told_again_with_the_same_ids(hold: Hold) -> None:
    held = hold()
    channel = channel_of(held)
    start = channel.kept(held.settings.home).last

    for _ in range(2):
        write_batch(body(held, "A", "websocket", T0_US))

    first, again = [decode_entry(entry.body) for entry in channel.read({held.settings.home: start}, most=9, wait_s=0)]
    assert first.times_ns == again.times_ns
    assert stored(held) == 1


def test_a_channel_that_takes_nothing_costs_no_event_and_no_mark(hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    held = hold()
    dead = held.settings.model_copy(
        update={"state": held.settings.state.model_copy(update={"url": "redis://127.0.0.1:1"})}
    )
    feed = bootstrap.open_live_feed(dead)
    monkeypatch.setitem(held.__dict__, "live_feed", feed)

    for number, batch_id in enumerate("ABC"):
        write_batch(body(held, batch_id, "websocket", T0_US + number))

    assert (stored(held), marks(held, "websocket")) == (3, ["A", "B", "C"])


def test_a_live_channel_that_is_switched_off_is_told_nothing(hold: Hold) -> None:
    held = hold(enabled=False)
    channel = channel_of(held)
    start = channel.kept(held.settings.home).last

    write_batch(body(held, "A", "websocket", T0_US))

    assert channel.read({held.settings.home: start}, most=10, wait_s=0) == []
    assert (stored(held), marks(held, "websocket")) == (1, ["A"])
