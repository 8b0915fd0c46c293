"""One case of the bench: start the stack, drive it, wait until it is empty, look at every event in the store."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from ingestor import bootstrap
from ingestor.demo.home import DemoHome
from ingestor.demo.load import LoadSource
from ingestor.events.frame import Frame, RawBatch, new_batch_id
from ingestor.queue import message
from ingestor.queue.app import make_app
from ingestor.queue.pools import ALL
from ingestor.queue.producer import Producer
from ingestor.settings import Settings
from tests.bench import measure
from tests.servers import free_port
from tests.servers_brokers import Mosquitto
from tests.servers_stores import InfluxDB

TOKEN = "bench"
ENTITIES = 1000
#: Left out of the latencies: the first sync of the home's map, caches that fill.
WARM_UP_S = 8.0
#: A batch that is older than this when it is written has waited.
LATE_MS = 2_000
#: A store that goes away does so after this.
BEFORE_OUTAGE_S = 15
DRAIN_LIMIT_S = 120
#: What docs/reference/performance.md advises to set: its garbage collector and its snapshots each stop the writes of
#: a busy machine for up to half a second, and with these they come seldom.
ADVISED = {"GOGC": "300", "INFLUXDB_DATA_CACHE_SNAPSHOT_MEMORY_SIZE": "268435456"}
#: The shipped settings but for `autosave_on_changes`: with it Mosquitto writes its whole database, every retained
#: topic included, at each message (measured: 750 eventstream and 17 statestream events/s; docs/how-to/use-mqtt.md).
SAVES_EACH_SECOND = ("max_queued_messages 0", "max_inflight_messages 0", "autosave_interval 1")


@dataclass(frozen=True)
class Case:
    """A road in (websocket, eventstream, statestream), a store (influxdb, sqlite), events a second, seconds.

    `away_s`: the store is stopped for so long, and what has waited is to be drained. `every_field`: all that enrichment
    finds stands on every point, and no step is left out. `together`: two processes take a batch through its steps
    (`workers.together`) instead of a pool for each. `subscribers`: so many listen by WebSocket, one in
    ten with a filter, and three more that never read. `settings`: more, as `BATCH__MAX_FRAMES`.
    """

    road: str
    store: str
    rate: int
    seconds: int
    away_s: int = 0
    every_field: bool = False
    together: bool = False
    subscribers: int = 0
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """A name to choose it by."""
        away = f"-away-{self.away_s}" if self.away_s else ""
        marks = "-every-field" * self.every_field + "-together" * self.together
        marks += f"-{self.subscribers}-subscribers" if self.subscribers else ""
        marks += "".join(f"-{name.lower().replace('__', '.')}={value}" for name, value in self.settings)
        return f"{self.road}-{self.store}-{self.rate}{away}{marks}"


def run_case(case: Case) -> dict[str, Any]:
    """Run a case in a folder of its own; return its figures."""
    print(f"running {case.name} for {case.seconds} s ...", flush=True)
    work_ms, before = measure.work_ms(), measure.stolen()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        found = Bench(case, folder, stack).run()
    taken, whole = (now - then for now, then in zip(measure.stolen(), before, strict=True))
    return {**found, "work_ms": [work_ms, measure.work_ms()], "stolen_percent": round(100 * taken / max(whole, 1), 2)}


class Bench:
    """The parts of a running case."""

    def __init__(self, case: Case, folder: Path, stack: ExitStack) -> None:
        self.case = case
        self.folder = folder
        self._stack = stack
        self._home_port = free_port()
        self._api_port = free_port()
        self.influx: InfluxDB | None = None
        self.mosquitto: Mosquitto | None = None
        self.settings = Settings(data_dir=folder / "data")
        self.roots: list[int] = []

    def run(self) -> dict[str, Any]:
        """Run it."""
        self._start_servers()
        up = self._start([sys.executable, "-m", "ingestor", "up"], "up")
        self._wait_for_workers(up)
        listening = self._start_subscribers() if self.case.subscribers else None
        cpu_before = measure.cpu_by_stage(self.roots)
        load = self._start_load()
        back_at = self._be_away() if self.case.away_s else 0.0
        sent = self._await_result(load)
        ended = time.time()
        cpu, waiting = self._drain(sent), time.time() - ended
        memory = measure.memory_by_stage(self.roots)
        live = self._heard(listening) if listening else None
        stored, total = self._stored()
        expected = sent * (sent - 1) // 2
        lag, sustained = self._from_log(ended)
        return {
            "case": self.case.name,
            "offered_per_s": self.case.rate,
            "sent": sent,
            "stored": stored,
            "exactly_once": stored == sent and total == expected,
            "sustained_per_s": sustained,
            "drain_s": waiting,
            "drained_per_s": self._drained_per_s(back_at) if back_at else None,
            "lag_ms": {"p50": lag.p50, "p95": lag.p95, "p99": lag.p99, "events": lag.events},
            "live": live,
            "cpu_us_per_event": {
                stage: round((used - cpu_before.get(stage, 0.0)) / max(sent, 1) * 1e6, 1)
                for stage, used in sorted(cpu.items())
            },
            "memory_mb": memory,
            "line": self._line(),
            "broker_bytes_per_waiting_event": broker_bytes(self.settings),
        }

    def _start_servers(self) -> None:
        if self.case.store == "influxdb":
            self.influx = InfluxDB(self._folder("influxdb"), settings=ADVISED)
            self._stack.callback(self.influx.stop)
            self.influx.start()
            self.roots.append(self.influx.pid)
        if self.case.road != "websocket":
            self.mosquitto = Mosquitto(self._folder("mosquitto"), base=SAVES_EACH_SECOND)
            self._stack.callback(self.mosquitto.stop)
            self.mosquitto.start()
            self.roots.append(self.mosquitto.pid)

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def _environment(self) -> dict[str, str]:
        found = {key: value for key, value in os.environ.items() if not key.startswith("HA_INGESTOR_")}
        found |= {
            "HA_INGESTOR_DATA_DIR": str(self.settings.data_dir),
            "HA_INGESTOR_API__PORT": str(self._api_port),
            "HA_INGESTOR_API__KEY": TOKEN * 8,
            "HA_INGESTOR_FLOWER__PORT": str(free_port()),
            "HA_INGESTOR_HOMEASSISTANT__URL": f"http://127.0.0.1:{self._home_port}",
            "HA_INGESTOR_HOMEASSISTANT__TOKEN": TOKEN,
            "HA_INGESTOR_LOG__FORMAT": "json",
        }
        found |= {f"HA_INGESTOR_{name.upper()}": value for name, value in self.case.settings}
        if self.case.together:
            found["HA_INGESTOR_WORKERS__TOGETHER"] = "2"
        if self.case.every_field:
            found["HA_INGESTOR_STORAGE__CONTEXT_FIELDS"] = '["*"]'
        if self.influx is not None:
            found["HA_INGESTOR_STORAGE__URL"] = f"influxdb1://127.0.0.1:{self.influx.port}/bench"
        if self.mosquitto is not None:
            found["HA_INGESTOR_MQTT__URL"] = self.mosquitto.url
            if self.case.road == "eventstream":
                found |= {"HA_INGESTOR_MQTT__EVENTSTREAM_TOPIC": "events", "HA_INGESTOR_MQTT__STATESTREAM_BASE": ""}
        return found

    def _start(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        out = (self.folder / f"{name}.out").open("wb")
        process = subprocess.Popen(command, env=self._environment(), stdout=out, stderr=subprocess.STDOUT)
        self._stack.callback(_stop, process)
        self.roots.append(process.pid)
        return process

    def _demo(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "ingestor.demo", "--load", "--entities", str(ENTITIES), *words]

    def _start_load(self) -> Path:
        pace = ("--rate", str(self.case.rate), "--seconds", str(self.case.seconds))
        port = ("--port", str(self._home_port), "--token", TOKEN)
        if self.case.road == "websocket":
            self._start(self._demo(*port, *pace), "load")
            return self.folder / "load.out"
        # The home itself says who its entities are, and nothing else: its events come by MQTT.
        self._start(self._demo(*port, "--rate", "0.001", "--count", "1"), "home")
        self._wait(self._map_is_out, 30, "the map of the home")
        assert self.mosquitto is not None
        form = ("--mqtt-url", self.mosquitto.url, "--mqtt-form", self.case.road)
        self._start(self._demo(*form, *pace), "load")
        return self.folder / "load.out"

    def _start_subscribers(self) -> subprocess.Popen[bytes]:
        answers = lambda: requests.get(f"http://127.0.0.1:{self._api_port}/livez", timeout=5).ok  # noqa: E731
        self._wait(lambda: _is_quiet(answers), 60, "the API")
        entity = DemoHome(1, ENTITIES, sensors_only=True)
        entity.begin()
        words = ["--subscribers", str(self.case.subscribers), "--entity", min(entity.bus.states)]
        words += ["--key", TOKEN * 8, "--warm-up-s", str(WARM_UP_S), str(self._api_port)]
        started = self._start([sys.executable, "-m", "tests.bench.subscribers", *words], "subscribers")
        self._wait((self.folder / "subscribers.out").read_text, 60, "the subscribers")
        return started

    def _heard(self, listening: subprocess.Popen[bytes]) -> dict[str, Any]:
        time.sleep(1)
        listening.send_signal(signal.SIGTERM)
        listening.wait(60)
        told = json.loads((self.folder / "subscribers.out").read_text().splitlines()[-1])
        pairs = told["pairs"]
        return {
            **{f"p{share * 100:g}": round(measure.quantile(pairs, share), 1) for share in (0.5, 0.95, 0.99)},
            "frames": told["frames"],
            "missed": told["missed"],
            "messages_min": min(told["messages"]),
            "messages_max": max(told["messages"]),
        }

    def _be_away(self) -> float:
        """Stop the store for a while; return when it was back."""
        assert self.influx is not None
        time.sleep(BEFORE_OUTAGE_S)
        self.roots.remove(self.influx.pid)
        self.influx.stop()
        time.sleep(self.case.away_s)
        self.influx.start()
        self.roots.append(self.influx.pid)
        return time.time()

    def _map_is_out(self) -> bool:
        state = bootstrap.open_state(self.settings)
        found = state.exists("ha_ingestor:map:home:version")
        state.close()
        return bool(found)

    def _wait_for_workers(self, up: subprocess.Popen[bytes]) -> None:
        def ready() -> bool:
            assert up.poll() is None, (self.folder / "up.out").read_text()
            kinds = {entry.get("type") for key, entry in self._board().items() if key.startswith("worker")}
            return {"validate", "enrich", "write", "rare"} <= kinds or ALL in kinds

        self._wait(ready, 60, "the workers")

    def _board(self) -> dict[str, dict[str, Any]]:
        if not self.settings.broker_socket.exists():
            return {}
        return bootstrap.open_status_board(self.settings).all()

    def _await_result(self, out: Path) -> int:
        def result() -> int:
            lines = [json.loads(line) for line in out.read_text().splitlines() if line.startswith("{")]
            return next((int(line["sent"]) for line in lines if "sent" in line), 0)

        sent: int = self._wait(result, self.case.seconds + 60, "the end of the load")
        return sent

    def _drain(self, sent: int) -> dict[str, float]:
        """Wait until the journals are empty and all is counted; return the CPU seconds used until then."""

        def empty() -> bool:
            intakes = [entry["intake"] for key, entry in self._board().items() if key.startswith("listener")]
            done = sum(sum(intake.get("counts", {}).values()) for intake in intakes)
            return done >= sent and all(intake["pending_batches"] == 0 for intake in intakes)

        self._wait(empty, DRAIN_LIMIT_S, "empty journals")
        return measure.cpu_by_stage(self.roots)

    def _wait(self, met: Callable[[], Any], within_s: float, what: str) -> Any:
        deadline = time.monotonic() + within_s
        while not (answer := met()):
            if time.monotonic() > deadline:
                tails = "\n".join(
                    f"{path.name}: {path.read_text()[-300:]}" for path in self.folder.glob("data/logs/worker-*.log")
                )
                raise TimeoutError(
                    f"not within {within_s:g} s: {what}\n{(self.folder / 'up.out').read_text()}\n{tails}"
                )
            time.sleep(0.2)
        return answer

    def _stored(self) -> tuple[int, int]:
        """Return how many numbered states are stored, and the sum of their numbers."""
        if self.influx is None:
            with _reading(self.settings.data_dir / "events.sqlite") as connection:
                row = connection.execute("SELECT count(*), sum(CAST(value AS INTEGER)) FROM states").fetchone()
            return int(row[0]), int(row[1])
        query = 'SELECT count("value"), sum("value") FROM "home_assistant_events"'
        answer = requests.get(f"{self.influx.url}/query", params={"db": "bench", "q": query}, timeout=120).json()
        _, count, total = answer["results"][0]["series"][0]["values"][0]
        return int(count), int(total)

    def _from_log(self, ended: float) -> tuple[measure.Latency, float]:
        lines = measure.written_lines(self.settings.data_dir / "logs")
        begin = lines[0].at + WARM_UP_S
        steady = [line for line in lines if begin <= line.at <= ended]
        events = sum(line.events for line in steady)
        return measure.latency_of(steady), events / max(ended - begin, 0.001)

    def _drained_per_s(self, back_at: float) -> float:
        """Return how many events a second were written from the store's return until nothing was late any more."""
        lines = [line for line in measure.written_lines(self.settings.data_dir / "logs") if line.at >= back_at]
        late = [number for number, line in enumerate(lines) if line.lag_ms > LATE_MS]
        drained = lines[: late[-1] + 1] if late else []
        return sum(line.events for line in drained) / (drained[-1].at - back_at) if drained else 0.0

    def _line(self) -> str:
        from ingestor.events.point import Point  # noqa: PLC0415 -- as above
        from ingestor.settings import StorageSettings  # noqa: PLC0415 -- as above
        from ingestor.storage.line_protocol import Encoder  # noqa: PLC0415 -- only to say what a line is
        from ingestor.storage.open import open_store  # noqa: PLC0415 -- as above
        from ingestor.storage.port import EventQuery  # noqa: PLC0415 -- as above

        url = self._environment().get("HA_INGESTOR_STORAGE__URL", "sqlite://")
        store = open_store(StorageSettings(url=url), self.settings.data_dir)
        event = next(iter(store.read(EventQuery(limit=1))))
        store.close()
        tags = tuple(sorted(event.tags.items()))
        line = Encoder().line(Point("home_assistant_events", tags, event.fields, event.time_ns))
        return f"{len(line.encode())} bytes, {len(tags)} tags, {len(event.fields)} fields, {ENTITIES:,} entities"


def broker_bytes(settings: Settings, batches: int = 200, events: int = 250) -> float:
    """Return what an event costs the broker's memory while its batch waits: real batches in a queue nobody reads."""
    source = LoadSource(DemoHome(1, ENTITIES, sensors_only=True))
    state = bootstrap.open_state(settings)
    producer = Producer(make_app(settings.broker_url))
    before = int(state.info("memory")["used_memory"])
    for number in range(batches):
        bodies = source.bodies(events, time.time_ns() // 1000)
        payload = b"[" + b",".join(body + b',"id":3}' for body in bodies) + b"]"
        frame = Frame("websocket", time.time_ns(), payload)
        raw = RawBatch(new_batch_id(), "home", "websocket", "home-websocket", time.time_ns(), [frame])
        producer.send("bench", "bench-waiting", message.encode_raw(raw), task_id=str(number), shown="bench")
    used = int(state.info("memory")["used_memory"]) - before
    state.delete("bench-waiting")
    producer.close()
    state.close()
    return round(used / (batches * events), 1)


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        yield connection
    finally:
        connection.close()


def _is_quiet(call: Callable[[], Any]) -> Any:
    """Return what a call returns, False where nobody answers."""
    try:
        return call()
    except requests.RequestException:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
