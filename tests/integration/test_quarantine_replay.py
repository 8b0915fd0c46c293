"""Quarantine and back on the real road: the cause is cured, replay stores each once, over kills of either side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from ingestor import bootstrap
from ingestor.events.event import Event
from ingestor.events.frame import Frame, RawBatch, new_batch_id
from ingestor.queue.message import encode_raw
from ingestor.storage.quarantine import Quarantined
from tests.integration.real_workers import HOME, ROOT, Road
from tests.servers import wait_until
from tests.servers_brokers import RedisServer


@pytest.fixture
def road(tmp_path: Path, start_server: Callable[..., RedisServer]) -> Iterator[Road]:
    broker = start_server(RedisServer)
    with ExitStack() as stack:
        yield Road(stack, tmp_path / "data", broker.url, broker.url)


def refused_event(number: int) -> Quarantined:
    """What `write` puts aside when the store refuses an event whose cause is cured meanwhile."""
    now_ns = time.time_ns()
    event = Event(7, "state", "state_changed", "sensor.x", "sensor.x", now_ns // 1000, now_ns, "websocket", number)
    event.state = f"state-{number}"
    raw = json.dumps({name: getattr(event, name) for name in event.__struct_fields__}).encode()
    return Quarantined(new_batch_id(), 7, HOME, "websocket", "type", "", raw, now_ns, "websocket", form="event")


def bad_frame() -> Quarantined:
    now_ns = time.time_ns()
    return Quarantined(new_batch_id(), 0, HOME, "mqtt", "invalid_json", "cut", b'{"cut', now_ns, "topic", "a/b")


def good_frame() -> Quarantined:
    now_ns = time.time_ns()
    raw = b'{"entity_id": "sensor.y", "raw": "from-frame"}'
    return Quarantined(new_batch_id(), 0, HOME, "mqtt", "decoder_failed", "bug", raw, now_ns, "topic", "a/c")


def queue_message(raw: bytes) -> Quarantined:
    """A whole message of a queue, which nobody could read when it was put aside."""
    now_ns = time.time_ns()
    return Quarantined(
        new_batch_id(), -1, "-", "queue", "damaged", "", raw, now_ns, "tasks.validate.validate_batch", form="message"
    )


def raw_batch(*states: str) -> bytes:
    now_ns = time.time_ns()
    frames = [
        Frame("topic", now_ns + at, json.dumps({"entity_id": "sensor.z", "raw": state}).encode(), "a/d")
        for at, state in enumerate(states)
    ]
    return encode_raw(RawBatch(new_batch_id(), HOME, "mqtt", "home-mqtt", now_ns, frames))


def replay(road: Road) -> subprocess.Popen[bytes]:
    return quarantine_command(road, "replay", "--all", "--json")


def quarantine_command(road: Road, *words: str) -> subprocess.Popen[bytes]:
    settings = road.settings
    return subprocess.Popen(
        [sys.executable, "-m", "ingestor", "quarantine", *words],
        cwd=ROOT,
        env={
            **os.environ,
            "HA_INGESTOR_DATA_DIR": str(settings.data_dir),
            "HA_INGESTOR_BROKER__URL": settings.broker.url,
            "HA_INGESTOR_STATE__URL": str(settings.state.url),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_what_is_cured_is_stored_once_and_leaves_though_replay_and_worker_are_killed(road: Road) -> None:
    quarantine = bootstrap.open_quarantine(road.settings)
    quarantine.put([*(refused_event(number) for number in range(150)), bad_frame(), good_frame()])
    first = replay(road)
    wait_until(lambda: len(claimed(road)) > 0, timeout_s=60, what="the replay is under way")
    first.kill()
    first.wait(30)
    worker = road.start_workers()
    second = replay(road)
    wait_until(lambda: quarantine.count() < 152, timeout_s=60, what="some are stored")
    road.end(worker)
    road.start_workers()

    printed, said = second.communicate(timeout=120)

    assert second.returncode == 0, said
    assert road.stored() == sorted([*(f"state-{number}" for number in range(150)), "from-frame"])
    (kept,) = quarantine.list()
    assert (kept.reason, kept.attempts) == ("invalid_json", 1)
    told = json.loads(printed)
    assert (told["chosen"], told["left"], told["failed"], told["waiting"]) == (152, 151, 1, 0)
    (row,) = bootstrap.open_ledger(road.settings).rows()
    assert (row.source, row.counts.received, row.counts.written, row.counts.rejected) == ("replay", 152, 151, 1)


def test_messages_poison_and_dropped_pieces_end_as_they_should_while_events_flow(road: Road) -> None:
    quarantine = bootstrap.open_quarantine(road.settings)
    poison = replace(good_frame(), reason="harms_its_worker", raw=b'{"entity_id": "sensor.y", "raw": "poison"}')
    quarantine.put([queue_message(raw_batch("one", "two")), queue_message(b"no message"), poison])
    quarantine.put([replace(bad_frame(), raw=b"{%d" % number, topic="drop/me") for number in range(50)])
    dropped = next(cause.cause for cause in quarantine.causes() if cause.pieces == 50)
    road.start_workers()
    stop = threading.Event()

    def flow() -> None:
        while not stop.wait(0.2):
            road.add(*(f"live {len(road.sent) + number}" for number in range(5)))

    with ThreadPoolExecutor(1) as pool:
        flowing = pool.submit(flow)
        assert quarantine_command(road, "drop", "--cause", dropped, "--yes").wait(60) == 0
        printed, said = replay(road).communicate(timeout=120)
        stop.set()
        flowing.result(60)
    road.settle(60)

    told = json.loads(printed)
    assert (told["left"], told["waiting"]) == (2, 0), said
    assert road.stored() == sorted([*road.sent, "one", "two", "poison"])
    assert len(road.sent) > 20
    assert [(piece.reason, piece.raw) for piece in quarantine.list()] == [("unknown_message", b"no message")]
    rows = {row.source: row.counts for row in bootstrap.open_ledger(road.settings).rows()}
    assert rows["replay"].written == 3


def claimed(road: Road) -> list[str]:
    return [piece.replay_id for piece in bootstrap.open_quarantine(road.settings).list(1000) if piece.replay_id]
