"""Three hosts in network namespaces: `hub` has broker, store, home and listener, the others a worker for each step.

Starts, bounds, cuts off and kills; counts what is stored. What a run is made of is `demo`'s matter.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import psutil
import redis
import requests

from ingestor.queue.status_board import StatusBoard
from tests.chaos.hosts import Hosts
from tests.scale.share import Shares
from tests.servers import find_program

HUB = "hub"
STEPS = ("validate", "enrich", "write")
_TOKEN, _DATABASE = "scale", "scale"
_LIMIT_S = 150.0
_STOP_WITHIN_S = 10.0


class ThreeHosts:
    """All that runs. Leaving the block stops what was started, by process id."""

    def __init__(self, folder: Path, workers: tuple[str, str]) -> None:
        self._folder, self._workers = folder, workers
        self._stack = ExitStack()
        self._nodes: dict[str, list[subprocess.Popen[bytes]]] = {name: [] for name in workers}

    def __enter__(self) -> Self:
        self._hosts = self._stack.enter_context(Hosts((HUB, *self._workers)))
        self._shares = self._stack.enter_context(Shares((HUB, *self._workers)))
        self._address = self._hosts.address_of(HUB)
        self._board = StatusBoard(redis.Redis(host=self._address, port=6379))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # -- starting --------------------------------------------------------------------------------------------

    def start_servers(self) -> None:
        """Start broker and store on the hub."""
        data = ["--dir", str(self._subfolder("broker")), "--appendonly", "yes", "--save", ""]
        open_to_all = ["--bind", self._address, "--protected-mode", "no", "--maxmemory-policy", "noeviction"]
        redis_server = str(find_program("redis-server", "redis-server"))
        self._start(HUB, [redis_server, "--port", "6379", *data, *open_to_all], "broker")
        influx = self._subfolder("influxdb")
        (influx / "influxdb.conf").write_text("")
        places = {f"INFLUXDB_{name}": str(influx / name) for name in ("META_DIR", "DATA_DIR", "DATA_WAL_DIR")}
        quiet = {"INFLUXDB_HTTP_LOG_ENABLED": "false", "INFLUXDB_REPORTING_DISABLED": "true"}
        program = str(find_program("influxd", "influxdb"))
        self._start(HUB, [program, "run", "-config", str(influx / "influxdb.conf")], "influxdb", {**places, **quiet})
        self.wait("the store", self._store_answers)
        self._ask(f'CREATE DATABASE "{_DATABASE}"')

    def start_workers(self, name: str, share: float) -> None:
        """Start a worker host; it is bounded once its workers work."""
        for step in STEPS:
            words = [sys.executable, "-m", "ingestor", "worker", step, "--concurrency", "1"]
            self._nodes[name].append(self._start(name, words, f"{step}-{name}"))
        self.wait(f"the workers of host {name}", lambda: self._works(name))
        self._shares.bound(name, share)

    def start_load(self, rate: int, seconds: int) -> None:
        """Start the home, whose states are the numbers from 0 on, and what listens to it."""
        ours = [sys.executable, "-m", "ingestor"]
        self._start(HUB, [*ours, "worker", "rare"], "rare")
        self._start(HUB, [*ours, "beat"], "beat")
        place = ["--host", "127.0.0.1", "--port", "8123", "--token", _TOKEN, "--entities", "500"]
        pace = ["--rate", str(rate), "--seconds", str(seconds)]
        self._start(HUB, [sys.executable, "-m", "ingestor.demo", "--load", *place, *pace], "load")
        self._start(HUB, [*ours, "listen", "websocket"], "listener")
        self.wait("the first events", self.stored)

    # -- harming ---------------------------------------------------------------------------------------------

    def cut(self, name: str) -> None:
        """Take a host's network away."""
        self._hosts.cut(name)

    def kill(self, name: str) -> None:
        """Kill every process of a host."""
        for node in self._nodes[name]:
            _kill_family(node)

    def unbound(self, name: str) -> None:
        """Let a host use all there is."""
        self._shares.bound(name, None)

    # -- looking ---------------------------------------------------------------------------------------------

    def stored(self) -> int:
        """Return how many events the store has."""
        return self._counted()[0]

    def each_once(self, sent: int) -> bool:
        """Tell whether the numbers below `sent` are stored, each once."""
        return self._counted() == (sent, sent * (sent - 1) // 2)

    def sent(self) -> int:
        """Return how many events the home has sent, once it has sent all; 0 before."""
        lines = (self._folder / "load.log").read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return next((int(one["sent"]) for one in found if "sent" in one), 0)

    def waiting(self) -> int:
        """Return how many batches the journal has that are not in the store."""
        intakes = [entry["intake"] for entry in self._board.all().values() if "intake" in entry]
        return sum(int(intake["pending_batches"]) for intake in intakes)

    def used_s(self, name: str) -> float:
        """Return the seconds of processor time that a host's workers have used."""
        return sum(_family_cpu_s(node) for node in self._nodes[name])

    def wait(self, what: str, met: Callable[[], Any]) -> Any:
        """Return the first true answer. Raises TimeoutError with what is known."""
        deadline = time.monotonic() + _LIMIT_S
        while not (answer := met()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {_LIMIT_S:g} s: {what}\n{json.dumps(self._board.all(), indent=1)}")
            time.sleep(0.2)
        return answer

    def _start(
        self, host: str, words: list[str], name: str, more: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        environ = {key: value for key, value in os.environ.items() if not key.startswith("HA_INGESTOR_")}
        environ |= {
            "HA_INGESTOR_DATA_DIR": str(self._folder / host),
            "HA_INGESTOR_BROKER__URL": f"redis://{self._address}:6379/0",
            "HA_INGESTOR_STORAGE__URL": f"influxdb1://{self._address}:8086/{_DATABASE}",
            "HA_INGESTOR_HOMEASSISTANT__URL": "http://127.0.0.1:8123",
            "HA_INGESTOR_HOMEASSISTANT__TOKEN": _TOKEN,
            "HA_INGESTOR_LOG__FORMAT": "json",
            **(more or {}),
        }
        with (self._folder / f"{name}.log").open("wb") as out:
            command = self._hosts.command(host, words)
            process = subprocess.Popen(command, env=environ, stdout=out, stderr=subprocess.STDOUT)
        self._stack.callback(_stop, process)
        self._shares.take(host, process.pid)
        return process

    def _subfolder(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        return folder

    def _store_answers(self) -> bool:
        try:
            return requests.get(f"http://{self._address}:8086/ping", timeout=1).status_code == 204
        except requests.RequestException:
            return False

    def _works(self, name: str) -> bool:
        keys = [key for key, entry in self._board.all().items() if entry.get("type") in STEPS]
        return sum(1 for key in keys if name in key) == len(STEPS)

    def _counted(self) -> tuple[int, int]:
        series = self._ask('SELECT count("value"), sum("value") FROM "home_assistant_events"').get("series")
        return (int(series[0]["values"][0][1]), int(series[0]["values"][0][2])) if series else (0, 0)

    def _ask(self, query: str) -> dict[str, Any]:
        url = f"http://{self._address}:8086/query"
        answer: dict[str, Any] = requests.post(url, params={"db": _DATABASE, "q": query}, timeout=120).json()
        return dict(answer["results"][0])


def _family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        top = psutil.Process(process.pid)
        return [*top.children(recursive=True), top]
    except psutil.NoSuchProcess:
        return []


def _family_cpu_s(process: subprocess.Popen[bytes]) -> float:
    used = 0.0
    for one in _family(process):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used += times.user + times.system
    return used


def _kill_family(process: subprocess.Popen[bytes]) -> None:
    for one in _family(process):
        try:
            one.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        _kill_family(process)
        process.wait(5)
