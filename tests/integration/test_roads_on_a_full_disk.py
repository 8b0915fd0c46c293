"""Both roads while the journal's disk is full: MQTT stops acknowledging, WebSocket counts and tells a gap."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from ingestor.events.frame import Frame
from ingestor.intake.batcher import Batcher
from ingestor.intake.journal.journal import Journal
from ingestor.intake.journal.segment import Disk
from ingestor.intake.websocket import Gap, WebSocketListener
from ingestor.queue import message
from ingestor.settings import BatchSettings, HomeSettings, JournalSettings
from tests.conftest import StartServer
from tests.integration.test_mqtt_listener import SHIPPED_LINES, home, listening, publish, until
from tests.integration.test_websocket_listener import event, settings
from tests.integration.websocket_listener_home import Line, ScriptedHome
from tests.servers_brokers import Mosquitto

#: 24 MB together: more than the 16 MB of frames that wait in memory while the disk takes nothing.
COUNT, SIZE = 80, 300_000


class SmallDisk(Disk):
    """A disk that is full, or is not, as the test says."""

    def __init__(self, *, full: bool) -> None:
        self.full = full

    def write(self, fd: int, data: memoryview) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, data)


class Intake:
    """A journal on such a disk, and what fills it."""

    def __init__(self, folder: Path, source: str, *, full: bool) -> None:
        self.disk = SmallDisk(full=full)
        self.journal = Journal(folder, JournalSettings(), disk=self.disk)
        self.batcher = Batcher("home", source, self.journal, BatchSettings(max_bytes=1_000_000))
        self.batcher.start()

    def frames(self) -> list[Frame]:
        """Return what is in the journal, as far as it was not asked for yet."""
        found: list[Frame] = []
        while (given := self.journal.next_unsent()) is not None:
            found += message.decode_raw(given[1]).frames
        return found


@contextmanager
def intake(folder: Path, source: str, *, full: bool) -> Iterator[Intake]:
    made = Intake(folder, source, full=full)
    try:
        yield made
    finally:
        made.batcher.close()
        made.journal.close()


def numbers(frames: list[Frame]) -> list[int]:
    return [orjson.loads(frame.payload)["n"] for frame in frames]


def test_mqtt_messages_stay_with_their_broker_while_the_disk_is_full_also_over_a_restart(
    start_server: StartServer, tmp_path: Path
) -> None:
    broker = start_server(Mosquitto, base=SHIPPED_LINES)
    with intake(tmp_path / "j", "mqtt", full=True) as first:
        with listening(home(broker), first.batcher) as listener:
            publish(broker, *[("zigbee2mqtt/kitchen", {"n": n, "pad": "x" * SIZE}) for n in range(COUNT)])
            until(lambda: listener.status()["holding"], "it holds", timeout_s=60)
        assert first.frames() == []

    with intake(tmp_path / "j", "mqtt", full=True) as second:
        with listening(home(broker), second.batcher) as listener:
            until(lambda: listener.status()["holding"], "it holds again", timeout_s=60)
            assert second.batcher.status().journaled == 0
            second.disk.full = False
            until(lambda: second.batcher.status().journaled >= COUNT, "all are journaled", timeout_s=60)
            assert not listener.status()["last_error"]
        assert numbers(second.frames()) == list(range(COUNT))


def test_what_a_full_disk_makes_the_websocket_drop_is_counted_and_a_gap_and_the_line_holds(tmp_path: Path) -> None:
    gaps: list[Gap] = []
    stop = threading.Event()
    with ScriptedHome() as peer, intake(tmp_path / "j", "websocket", full=True) as kept:
        listener = WebSocketListener(
            HomeSettings(homeassistant=settings(peer)), sink=kept.batcher, on_gap=gaps.append, on_up=lambda _up: None
        )
        thread = threading.Thread(target=listener.run, args=(stop,))
        thread.start()
        try:
            line = peer.line(0, 60)
            _send(line, range(COUNT))
            until(lambda: listener.status()["frames"] == COUNT, "all were read", timeout_s=60)
            dropped = listener.status()["dropped_frames"]
            kept.disk.full = False
            until(lambda: kept.batcher.status().journaled == COUNT - dropped, "the rest is journaled", timeout_s=60)
            _send(line, range(COUNT, COUNT + 1))
            until(lambda: gaps and gaps[-1].end_us, "the gap is over", timeout_s=60)
        finally:
            stop.set()
            thread.join(30)
        assert len(peer.lines) == 1, "the same line all the while"

        names = [orjson.loads(frame.payload)["event"]["data"]["entity_id"] for frame in kept.frames()]
        assert 0 < dropped < COUNT
        assert names == [f"sensor.s{n}" for n in (*range(COUNT - dropped), COUNT)]
        assert (gaps[-1].reason, gaps[-1].frames, gaps[-1].events) == ("journal_full", dropped, dropped)


def _send(line: Line, which: range) -> None:
    for number in which:
        line.send(event(number, SIZE))
