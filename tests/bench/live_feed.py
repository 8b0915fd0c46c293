"""Measures what the live channel costs the step `write`: `python -m tests.bench.live_feed`; needs a Redis here.

Prints the CPU time of this process an event, by the size of batches: of the whole step (message read, written to an
embedded store, recorded in Redis, marked as done), and of telling what was written; and how much longer a batch takes.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from ingestor import bootstrap
from ingestor.demo.home import DemoHome
from ingestor.demo.load import LoadSource
from ingestor.events.event import EventBatch, Place
from ingestor.events.frame import Frame, RawBatch, new_batch_id
from ingestor.pipeline.validate import validate
from ingestor.queue import message
from ingestor.settings import Settings
from tests.servers_brokers import RedisServer

_SIZES = (1, 10, 50, 500)
_EVENTS = 4_000
_ROUNDS = 3


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="bench-live-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            settings = Settings(data_dir=Path(folder), state={"url": server.url})
            print("events a batch | write µs/event | telling µs/event | ratio | telling ms/batch")
            for size in _SIZES:
                print(_line(settings, size))
        finally:
            server.stop()


def _line(settings: Settings, size: int) -> str:
    rounds = [_measure(settings, size) for _ in range(_ROUNDS)]
    write_us, tell_us = (min(one[part] for one in rounds) for part in (0, 1))
    took_ms = min(one[2] for one in rounds)
    return f"{size} | {write_us:.1f} | {tell_us:.2f} | {1 + tell_us / write_us:.2f} | {took_ms:.2f}"


def _measure(settings: Settings, size: int) -> tuple[float, float, float]:
    """Return CPU µs an event of writing and of telling, and how long telling of a batch takes (ms)."""
    state = bootstrap.open_state(settings)
    store = bootstrap.open_store(settings)
    writer = bootstrap.open_writer(settings, store, bootstrap.open_breaker(state), state)
    done, feed = bootstrap.open_done_marks(state), bootstrap.open_live_feed(settings)
    assert feed is not None
    source = LoadSource(DemoHome(1, 1000, sensors_only=True))
    bodies = [message.encode_events(_batch(source, size)) for _ in range(_EVENTS // size)]
    write_s = tell_s = took_s = 0.0
    for body in bodies:
        began = time.process_time()
        batch = message.decode_events(body)
        written = writer.write(batch)
        done.put(batch.journal, written.mark)
        write_s += time.process_time() - began
        began, at = time.process_time(), time.perf_counter()
        feed.tell(batch, written.told)
        tell_s, took_s = tell_s + time.process_time() - began, took_s + time.perf_counter() - at
    store.close()
    state.close()
    events = len(bodies) * size
    return write_s / events * 1e6, tell_s / events * 1e6, took_s / len(bodies) * 1e3


def _batch(source: LoadSource, size: int) -> EventBatch:
    payload = b"[" + b",".join(body + b',"id":3}' for body in source.bodies(size, time.time_ns() // 1000)) + b"]"
    raw = RawBatch(new_batch_id(), "home", "websocket", "bench", 1, [Frame("websocket", time.time_ns(), payload)])
    batch = validate(raw, frozenset()).batch
    batch.places = [Place(event.subject, "sensor", "Kitchen", "Ground", "Meter") for event in batch.events]
    for index, event in enumerate(batch.events):
        event.place = index
    return batch


if __name__ == "__main__":
    main()
