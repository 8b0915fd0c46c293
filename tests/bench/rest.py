"""`python -m tests.bench.rest`: how soon the API answers with a month of a large home stored, in both stores.

10 million events (`month_of_events`), 1,000 entities in the registries, and live events coming in meanwhile. 50 clients
ask one question a second each: the newest states, the devices, one entity's day by the hour (a random one of each).
The promise: p95 under 100 ms for each.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil
import requests
import sqlalchemy as sa
from pydantic import SecretStr

from ingestor import bootstrap
from ingestor.demo.home import DemoHome
from ingestor.demo.running import running_demo
from ingestor.events.event import Event, EventBatch, Place
from ingestor.home.history import TIMELINE
from ingestor.home.sync import run_sync
from ingestor.settings import HomeAssistantSettings, HomeSettings, RegistrySettings, Settings
from tests.bench.daily_report import STORES, filled
from tests.bench.month_of_events import DAY_US, HOME, Large, subjects
from tests.servers import free_port
from tests.servers_brokers import RedisServer

CLIENTS: Final = 50
SECONDS: Final = 20
#: Left out: what opens connections and fills caches.
_WARM_UP_S: Final = 3.0
_LIVE_PER_S: Final = 20
_KEY: Final = "the key of the bench, long enough"


def _day(chance: random.Random, names: list[str], large: Large) -> str:
    since_us = large.start_us + chance.randrange(large.days) * DAY_US
    since, until = (
        datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for at_us in (since_us, since_us + DAY_US)
    )
    return f"/api/v1/events/history?entity={chance.choice(names)}&window=1h&since={since}&until={until}"


QUESTIONS: Final[dict[str, Callable[[random.Random, list[str], Large], str]]] = {
    "recent": lambda _chance, _names, _large: "/api/events/recent",
    "devices": lambda _chance, _names, _large: "/api/v1/devices",
    "day by hour": _day,
}


def until_now(events: int = 10_000_000, days: int = 30) -> Large:
    """Return a home whose last event has just come."""
    return Large(events=events, days=days, start_us=time.time_ns() // 1000 - days * DAY_US)


def measure_rest(large: Large, stores: tuple[str, ...] = STORES, seconds: int = SECONDS) -> list[dict[str, Any]]:
    """Measure each store: percentiles (ms) of each question, CPU of the API, its memory."""
    return [_measured(name, large, seconds) for name in stores]


def _measured(name: str, large: Large, seconds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="rest-") as made, RedisServer() as redis:
        folder = Path(made)
        with filled(name, folder, large) as (url, states, _pid):
            given = {"data_dir": folder, "home": HOME, "storage": {"url": url}, "broker": {"url": redis.url}}
            settings = Settings.model_validate(given)
            _write_home(settings, redis, large)
            port = free_port()
            with (folder / "api.log").open("wb") as log:
                command = [sys.executable, "-m", "ingestor", "api"]
                serving = subprocess.Popen(
                    command, env=_environment(folder, url, redis.url, port), stdout=log, stderr=log
                )
            try:
                found = _asked(serving.pid, settings, port, large, seconds)
            finally:
                serving.terminate()
                serving.wait(30)
            return {"store": name, "states": states, "clients": CLIENTS, **found}


def _environment(folder: Path, url: str, broker: str, port: int) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("HA_INGESTOR_")} | {
        "HA_INGESTOR_DATA_DIR": str(folder),
        "HA_INGESTOR_HOME": HOME,
        "HA_INGESTOR_STORAGE__URL": url,
        "HA_INGESTOR_BROKER__URL": broker,
        "HA_INGESTOR_API__PORT": str(port),
        "HA_INGESTOR_API__KEY": _KEY,
    }


def _write_home(settings: Settings, redis: RedisServer, large: Large) -> None:
    """Put 1,000 entities with their devices into the registries, and those of the month beside them."""
    del redis
    database, state = bootstrap.open_metadata(settings), bootstrap.open_state(settings)
    home = DemoHome(1, large.entities)
    home.begin()
    with running_demo(home) as demo:
        asked = HomeAssistantSettings(url=demo.url, token=SecretStr(demo.token))
        run_sync(HomeSettings(name=HOME, homeassistant=asked), RegistrySettings(), state, database)
    empty = dict.fromkeys((column.name for column in TIMELINE.columns if column.name != "id"), "")
    rows = [
        {**empty, "entity_id": name, "series": name, "home": HOME, "version": 1, "effective_us": 0, "labels": []}
        for name in subjects(large)
    ]
    with database.begin() as connection:
        connection.execute(sa.insert(TIMELINE), rows)
    database.dispose()


def _asked(pid: int, settings: Settings, port: int, large: Large, seconds: int) -> dict[str, Any]:
    base = f"http://127.0.0.1:{port}"
    _wait_for(base)
    stop = threading.Event()
    living = threading.Thread(target=_live, args=(settings, stop))
    living.start()
    found: dict[str, Any] = {}
    try:
        for question in QUESTIONS:
            before_s = _cpu_s(pid)
            took, wrong, size = _ask_all(base, question, large, seconds)
            took.sort()
            found[question] = {
                **{f"p{share * 100:g}": round(took[int(len(took) * share)] * 1000, 1) for share in (0.5, 0.95, 0.99)},
                "answers": len(took),
                "failed": wrong,
                "bytes": size,
                "cpu_ms": round((_cpu_s(pid) - before_s) / (CLIENTS * seconds) * 1000, 1),
            }
    finally:
        stop.set()
        living.join()
    found["api_mb"] = round(psutil.Process(pid).memory_info().rss / 1e6)
    return found


def _ask_all(base: str, question: str, large: Large, seconds: int) -> tuple[list[float], int, int]:
    """Have all clients ask at their own second; return how long answers took (s), how many failed, and a size."""
    names = list(subjects(large))
    took: list[float] = []
    wrong: list[str] = []
    sizes: list[int] = []
    begun = time.monotonic() + 0.5

    def ask(number: int) -> None:
        chance, session = random.Random(number), requests.Session()
        session.trust_env = False
        session.headers["X-API-Key"] = _KEY
        for turn in range(seconds):
            time.sleep(max(0.0, begun + turn + number / CLIENTS - time.monotonic()))
            path = QUESTIONS[question](chance, names, large)
            asked = time.perf_counter()
            answer = session.get(base + path, timeout=60)
            if time.monotonic() - begun > _WARM_UP_S:
                took.append(time.perf_counter() - asked)
            sizes.append(len(answer.content))
            if not answer.ok or len(answer.content) < _LEAST:
                wrong.append(answer.text)

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    if wrong:
        print(wrong[0][:300], file=sys.stderr)
    return took, len(wrong), sizes[-1]


#: An answer that is shorter tells of nothing.
_LEAST: Final = 200


def _wait_for(base: str) -> None:
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        try:
            if requests.get(f"{base}/livez", timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise TimeoutError("the API does not answer")


def _live(settings: Settings, stop: threading.Event) -> None:
    """Tell of written events while questions are asked, so many a second."""
    feed = bootstrap.open_live_feed(settings)
    assert feed is not None
    number = 0
    while not stop.wait(1 / _LIVE_PER_S):
        name, now_us = f"sensor.live_{number % 100}", time.time_ns() // 1000
        event = Event(
            0, "state", "state_changed", name, name, now_us, now_us * 1000, "websocket", number, state=str(number)
        )
        batch = EventBatch("B", HOME, "websocket", "bench", 0, 1, [event], places=[Place(name, "sensor", "Kitchen")])
        feed.tell(batch, [(event, now_us * 1000, False)])
        number += 1


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def sentences(found: dict[str, Any]) -> list[str]:
    """Return one store's figures as a person reads them."""
    lines = [
        f"REST, {found['store']}, {found['states']:,} states, {found['clients']} clients, API {found['api_mb']} MB:"
    ]
    for question in QUESTIONS:
        one = found[question]
        lines.append(
            f"  {question}: p50 {one['p50']} ms, p95 {one['p95']} ms, p99 {one['p99']} ms; {one['cpu_ms']} ms of CPU,"
            f" {one['bytes']:,} bytes; {one['failed']} of {one['answers']} failed"
        )
    return lines


def main() -> int:
    """Measure the stores that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", nargs="*", default=list(STORES), choices=STORES)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    options = parser.parse_args()
    for store in options.stores:
        for found in measure_rest(until_now(options.events, options.days), (store,), options.seconds):
            print("\n".join(sentences(found)), json.dumps(found), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
