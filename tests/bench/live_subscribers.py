"""Measures how soon subscribers hear what is written: `python -m tests.bench.live_subscribers [SUBSCRIBERS] [RATE]`.

Needs a Redis on this machine. An API in a process of its own, WebSocket clients in this one (one in ten has a filter),
and a publisher that adds entries of 50 events as the step `write` does. Prints the time from an entry's being published
to a client's having its frame. What comes before (batch, journal, queues, store) is in `make bench` as lag.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvicorn
from websockets.asyncio.client import connect

from ingestor import bootstrap
from ingestor.api import asyncapi
from ingestor.api.app import create_app
from ingestor.api.health import HealthWatch
from ingestor.events.event import Event, EventBatch, Place
from ingestor.live.feed import LiveFeed
from ingestor.settings import Settings
from tests.servers_brokers import RedisServer

_KEY = "the key of the bench"
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
            settings = Settings.model_validate(given)
            port = listener.getsockname()[1]
            found = asyncio.run(_measure(settings, port, subscribers, rate))
        finally:
            serving.terminate()
            serving.join()
            server.stop()
    found.sort()
    expected = int(_SECONDS * rate / _EVENTS) * (subscribers - subscribers // 10)
    shown = ", ".join(f"p{share * 100:g} {found[int(len(found) * share)] * 1e3:.1f} ms" for share in (0.5, 0.95, 0.99))
    print(f"{subscribers} subscribers, {rate} events/s: {shown}; {len(found)} frames, at least {expected} expected")


def _serve(given: dict[str, Any], listener: socket.socket) -> None:
    app = create_app(Settings.model_validate(given), watch=HealthWatch({"fine": lambda: "fine"}))
    config = uvicorn.Config(app, log_config=None, access_log=False, ws_per_message_deflate=False)
    uvicorn.Server(config).run(sockets=[listener])


async def _measure(settings: Settings, port: int, subscribers: int, rate: int) -> list[float]:
    found: list[float] = []
    ready = [asyncio.Event() for _ in range(subscribers)]
    hearing = [asyncio.create_task(_hear(port, number, one, found)) for number, one in enumerate(ready)]
    await asyncio.gather(*(one.wait() for one in ready))
    feed = bootstrap.open_live_feed(settings)
    assert feed is not None
    await asyncio.to_thread(_publish, feed, rate, found)
    await asyncio.sleep(1)
    for task in hearing:
        task.cancel()
    await asyncio.gather(*hearing, return_exceptions=True)
    return found


async def _hear(port: int, number: int, ready: asyncio.Event, found: list[float]) -> None:
    wanted = {"entity": [f"sensor.meter_{number}"]} if number % 10 == 0 else {}
    headers = {"X-API-Key": _KEY}
    async with connect(f"ws://127.0.0.1:{port}{asyncapi.PATH}", additional_headers=headers, compression=None) as line:
        await line.send(json.dumps({"type": "subscribe", "id": "bench", "filter": wanted}))
        async for frame in line:
            heard_s = time.time()
            told = json.loads(frame)
            if told["type"] == "subscribed":
                ready.set()
            elif told["type"] == "events":
                found.append(heard_s - float(told["events"][-1]["data"]["state"]))


def _publish(feed: LiveFeed, rate: int, found: list[float]) -> None:
    """Publish at that rate; each event's state is when it was published."""
    places = [Place(f"sensor.meter_{number}", "sensor", "Kitchen", device="Meter") for number in range(_EVENTS)]
    began = time.monotonic()
    warm = False
    for turn in range(int((_SECONDS + _WARM_UP_S) * rate / _EVENTS)):
        time.sleep(max(0.0, began + turn * _EVENTS / rate - time.monotonic()))
        if not warm and time.monotonic() - began > _WARM_UP_S:
            warm = True
            found.clear()
        now_s = time.time()
        events = [_event(slot, place, now_s) for slot, place in enumerate(places)]
        batch = EventBatch("B", "home", "websocket", "bench", 0, _EVENTS, events, places=places)
        feed.tell(batch, [(event, event.time_us * 1000, False) for event in events])


def _event(slot: int, place: Place, now_s: float) -> Event:
    name, now_us = place.series, int(now_s * 1e6) + slot
    return Event(
        slot, "state", "state_changed", name, name, now_us, now_us * 1000, "websocket", 7, state=f"{now_s}", place=slot
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
