"""An API that is served with a live channel behind it, for tests of those who listen."""

from __future__ import annotations

import socket
import struct
import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ingestor import bootstrap
from ingestor.events.event import Event, EventBatch, Place
from ingestor.live.cursor import Position, parse_cursor
from ingestor.live.entry import encode_entry, entry_of
from ingestor.live.hub import LiveHub
from ingestor.settings import Settings
from tests.integration.api_bench import api_app
from tests.servers import wait_until


def batch_of(home: str, entities: Sequence[str], **changes: Any) -> EventBatch:
    """Return a batch of a change of each entity."""
    places = [Place(name, name.partition(".")[0], "Küche", device="Lamp") for name in entities]
    events = [
        Event(slot, "state", "state_changed", name, name, slot + 1, 1, "websocket", 7, state="on", place=slot)
        for slot, name in enumerate(entities)
    ]
    for event in events:
        for name, value in changes.items():
            setattr(event, name, value)
    return EventBatch("B", home, "websocket", "j", 0, len(events), events, places=places)


class LiveHome:
    """An API that is served, and the channel behind it."""

    def __init__(
        self, folder: Path, url: str, *, home: str | None = None, more: Mapping[str, Any] | None = None, **live: Any
    ) -> None:
        self.home = home or f"sse-{uuid.uuid4().hex[:8]}"
        self.app = api_app(folder, {"state": {"url": url}, "home": self.home, "live": live, **(more or {})})
        self.settings: Settings = self.app.state.means.settings
        self.hub: LiveHub = self.app.state.live
        self.channel = bootstrap.open_live_channel(self.settings, bootstrap.open_state(self.settings))
        self.address = ""

    def publish(self, *entities: str, **changes: Any) -> None:
        batch = batch_of(self.home, entities, **changes)
        entry = entry_of(batch, [(event, event.time_us * 1000, False) for event in batch.events])
        assert entry is not None
        self.channel.publish(self.home, encode_entry(entry))

    def publish_at_once(self, entries: int, messages: int) -> None:
        """Publish entries while the hub stands still: it finds more of them together than a listener may wait for."""
        done = threading.Event()

        def publish() -> None:
            for entry in range(entries):
                self.publish(*[f"light.n{entry}_{number}" for number in range(messages)])
            done.set()

        assert self.hub._reader is not None
        self.hub._reader.get_loop().call_soon_threadsafe(publish)
        assert done.wait(120)

    def die(self, client: socket.socket, after_bytes: int) -> None:
        """Publish more than is told at once; have a client take so much of it, and vanish as killed ones do."""
        publishing = threading.Thread(target=self.publish_at_once, args=(400, 1))
        publishing.start()
        taken = 0
        while taken < after_bytes:
            came = client.recv(1000)
            assert came
            taken += len(came)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        publishing.join()
        wait_until(self.nobody_listens, timeout_s=60, what="nobody listens")

    def newest(self) -> Position:
        """Return the place of what was published last."""
        return Position(self.channel.kept(self.home).last)

    def is_behind(self, cursor: str, place: Position) -> bool:
        """Tell whether a cursor has not come so far yet."""
        return not cursor or parse_cursor(cursor)[self.home] < place

    def nobody_listens(self) -> bool:
        return self.hub.listeners == 0 and self.hub._reader is None
