"""Measures how soon subscribers hear what is written: `python -m tests.bench.live_subscribers [SUBSCRIBERS] [RATE]`.

Needs a Redis on this machine. An API and WebSocket clients (one in ten has a filter), each in a process of its own,
and a publisher that adds entries of 50 events as the step `write` does. Prints the time from an entry's being published
to a client's having its frame. What comes before (batch, journal, queues, store) is in `make bench` as lag.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from ingestor import bootstrap
from ingestor.api.app import create_app
from ingestor.api.health import HealthWatch
from ingestor.api.serving import ApiServer
from ingestor.events.event import Event, EventBatch, Place
from ingestor.live.feed import LiveFeed
from ingestor.settings import Settings
from tests.bench import measure
from tests.servers_brokers import RedisServer

_KEY = "the-key-of-the-bench"
_EVENTS = 50
_SECONDS = 15.0
_WARM_UP_S = 2.0


def main(subscribers: int = 100, rate: int = 2000) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="bench-live-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        listener = socket.create_server(("127.0.0.1", 0))
        given = {"data_dir": folder, "broker": {"url": server.url}, "api": {"key": _KEY}}
        serving = multiprocessing.get_context("fork").Process(target=_serve, args=(given, listener), daemon=True)
        serving.start()
        try:
            told, cpu_s = _measure(
                Settings.model_validate(given), listener.getsockname()[1], subscribers, rate, serving
            )
        finally:
            serving.terminate()
            serving.join()
            server.stop()
    shown = ", ".join(
        f"p{share * 100:g} {measure.quantile(told['pairs'], share):.1f} ms" for share in (0.5, 0.95, 0.99)
    )
    events = int(_SECONDS * rate)
    print(f"{subscribers} subscribers, {rate} events/s: {shown}; {told['frames']} frames, {told['missed']} missed")
    print(f"CPU us an event: API {cpu_s[0] / events * 1e6:.0f}, subscribers {cpu_s[1] / events * 1e6:.0f}")


def _serve(given: dict[str, Any], listener: socket.socket) -> None:
    app = create_app(Settings.model_validate(given), watch=HealthWatch({"fine": lambda: "fine"}))
    ApiServer(app).run(sockets=[listener])


def _measure(
    settings: Settings, port: int, subscribers: int, rate: int, serving: Any
) -> tuple[dict[str, Any], list[float]]:
    words = ["--subscribers", str(subscribers), "--entity", "sensor.meter_0", "--dead", "0", "--key", _KEY, str(port)]
    command = [sys.executable, "-m", "tests.bench.subscribers", *words, "--warm-up-s", str(_WARM_UP_S)]
    feed = bootstrap.open_live_feed(settings)
    assert feed is not None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listening:
        assert listening.stdout is not None
        listening.stdout.readline()
        parts = [psutil.Process(serving.pid), psutil.Process(listening.pid)]
        before = [_cpu_s(part) for part in parts]
        _publish(feed, rate)
        time.sleep(0.5)
        used = [_cpu_s(part) - begun for part, begun in zip(parts, before, strict=True)]
        listening.send_signal(signal.SIGTERM)
        told: dict[str, Any] = json.loads(listening.stdout.readline())
    return told, used


def _cpu_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _publish(feed: LiveFeed, rate: int) -> None:
    """Publish at that rate; each event's time is when it was published."""
    places = [Place(f"sensor.meter_{number}", "sensor", "Kitchen", device="Meter") for number in range(_EVENTS)]
    began = time.monotonic()
    for turn in range(int(_SECONDS * rate / _EVENTS)):
        time.sleep(max(0.0, began + turn * _EVENTS / rate - time.monotonic()))
        now_s = time.time()
        events = [_event(slot, place, now_s) for slot, place in enumerate(places)]
        batch = EventBatch("B", "home", "websocket", "bench", 0, _EVENTS, events, places=places)
        feed.tell(batch, [(event, event.time_us * 1000, False) for event in events])


def _event(slot: int, place: Place, now_s: float) -> Event:
    name, now_us = place.series, int(now_s * 1e6) + slot
    return Event(
        slot,
        "state",
        "state_changed",
        name,
        name,
        now_us,
        now_us * 1000,
        "websocket",
        7,
        state=f"{now_s}",
        place=slot,
        context_id="01J",
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
