"""Runs the demo home as a program: lives, or makes load, until it is told to stop. Prints JSON lines for programs."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

import orjson

from ingestor.demo.home import NEWEST, DemoHome
from ingestor.demo.load import LoadSource, Pace
from ingestor.demo.misbehaviour import Misbehaviour
from ingestor.demo.mqtt_load import Form, publish
from ingestor.demo.mqtt_publish import MqttPublisher
from ingestor.demo.planting import chosen
from ingestor.demo.server import DEMO_TOKEN, DemoServer

#: Above this many events a second no home lives: load is made from prebuilt frames.
FASTEST_LIFE: Final = 1000.0
_TICK_S: Final = 0.01
#: So many events go into a frame at most; Home Assistant was seen to send 800.
_FRAME: Final = 500


@dataclass(slots=True)
class _Report:
    """What was sent so far."""

    source: LoadSource
    begun: float = field(default_factory=time.monotonic)
    cpu_begun: float = field(default_factory=time.process_time)
    unheard: int = 0
    bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        sent, passed = self.source.total, time.monotonic() - self.begun
        return {
            "sent": sent,
            "types": {"state_changed": sent},
            "unheard": self.unheard,
            "entities": len(self.source.entity_ids),
            "seconds": round(passed, 3),
            "rate": round(sent / passed) if passed else 0,
            "bytes_per_event": round(self.bytes / sent) if sent else 0,
            "cpu_us_per_event": round((time.process_time() - self.cpu_begun) / sent * 1e6, 2) if sent else 0,
        }


@dataclass(frozen=True, slots=True)
class _Extras:
    """What goes on beside the server."""

    pace: Pace | None
    mqtt_url: str | None
    event_topic: str | None
    wait: bool


def run(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    entities: int = 300,
    rate: float = 5.0,
    seed: int = 1,
    token: str = DEMO_TOKEN,
    ha_version: str = NEWEST,
    load: bool | None = None,
    count: int = 0,
    seconds: float = 0.0,
    wait_for_readers: bool = False,
    mqtt_url: str | None = None,
    mqtt_form: Form = "statestream",
    mqtt_qos: int = 1,
    event_topic: str | None = None,
    misbehaviour: Misbehaviour | None = None,
    faults: str = "none",
    truth: Path | None = None,
    out: TextIO | None = None,
) -> int:
    """Run the demo home until SIGTERM or Ctrl-C; return the exit code.

    `load` makes numbered events from prebuilt frames (default: when `rate` is over 1000; a rate of 0 is as fast as
    it goes) until `count` events or `seconds`. With `mqtt_url` load goes to the broker, no port is opened, and it
    ends when the broker has confirmed all; without, load begins with the first subscription and the server stays.
    `faults` ("none", "few", "all") are planted in a home that lives; the file `truth` says what is wrong with whom.
    The first line says where it is ({"url", "token"}), the line after a load what was sent.
    """
    out = out or sys.stdout
    is_load = rate > FASTEST_LIFE or rate == 0 if load is None else load
    wrong = () if is_load else chosen(faults)
    home = DemoHome(
        seed, entities, rate=max(rate, 0.001), ha_version=ha_version, sensors_only=is_load, faults=wrong
    )  # fmt: skip
    if truth:
        truth.parent.mkdir(parents=True, exist_ok=True)
        truth.write_bytes(home.faults.as_json())
    if is_load and mqtt_url:
        result = publish(
            mqtt_url, home, form=mqtt_form, rate=rate, count=count, seconds=seconds, qos=mqtt_qos,
            event_topic=event_topic or "events",
        )  # fmt: skip
        _say(out, result.as_dict())
        return 0
    server = DemoServer(home, host, port, token=token, misbehaviour=misbehaviour, alive=not is_load)
    extras = _Extras(Pace(rate, count, seconds) if is_load else None, mqtt_url, event_topic, wait=wait_for_readers)
    asyncio.run(_serve(server, token, out, extras))
    return 0


async def _serve(server: DemoServer, token: str, out: TextIO, extras: _Extras) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError, RuntimeError):  # not on Windows, not outside the main thread
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
    await server.start()
    publisher = _publisher(server.home, extras)
    if publisher:
        server.spawn(publisher.publish_all())
    _say(out, {"url": server.url, "token": token})
    load = loop.create_task(_make_load(server, extras.pace, out, wait=extras.wait)) if extras.pace else None
    await stop.wait()
    if load:
        load.cancel()
    if publisher:
        publisher.close()
    await server.stop()


def _publisher(home: DemoHome, extras: _Extras) -> MqttPublisher | None:
    if not extras.mqtt_url:
        return None
    return MqttPublisher(home, extras.mqtt_url, event_topic=extras.event_topic)


async def _make_load(server: DemoServer, pace: Pace, out: TextIO, *, wait: bool) -> None:
    """Send until the pace says enough, then say what was sent; also if it is stopped before."""
    source = LoadSource(server.home)
    source.take_over()
    await server.subscribed.wait()
    report = _Report(source)
    try:
        while (due := pace.due(source.total, time.monotonic() - report.begun, _FRAME)) is not None:
            if due:
                _send(server, report, due)
            await asyncio.sleep(0 if due == _FRAME else _TICK_S)
            if wait:
                await asyncio.gather(*(client.flush() for client in list(server.clients)))
        await asyncio.gather(*(client.flush() for client in list(server.clients)))
    finally:
        _say(out, report.as_dict())


def _send(server: DemoServer, report: _Report, due: int) -> None:
    bodies = report.source.bodies(due, server.home.clock.now_us())
    report.bytes += sum(map(len, bodies))
    if not server.send_bodies("state_changed", bodies):
        report.unheard += due


def _say(out: TextIO, message: dict[str, Any]) -> None:
    out.write(orjson.dumps(message).decode() + "\n")
    out.flush()
