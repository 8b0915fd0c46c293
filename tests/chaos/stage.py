"""The stage of a run: servers, proxy, `ha-ingestor up` and the source, in a folder of their own; harms nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil

from ingestor import bootstrap
from ingestor.settings import Settings, StateSettings
from tests.chaos.hosts import LOOPBACK, Hosts, Relay
from tests.chaos.mix import EVENT_TOPIC
from tests.chaos.proxy import Proxy
from tests.chaos.workers import WorkersElsewhere
from tests.servers import Server, free_port
from tests.servers_brokers import Mosquitto, RabbitMQ, RedisServer
from tests.servers_stores import InfluxDB

TOKEN = "chaos"
#: Short names: network interfaces are called after them.
MAIN_HOST, OTHER_HOST = "main", "other"
DATABASE = "chaos"
#: What we ship, but that it saves each second instead of at each change: that costs all but some hundred messages a
#: second (docs/how-to/use-mqtt.md). It is restarted, not killed: what a kill costs is the broker's, not ours.
SAVES_EACH_SECOND = (
    "max_queued_messages 0",
    "max_queued_bytes 0",
    "max_inflight_messages 0",
    "autosave_interval 1",
    "autosave_on_changes false",
)
#: Small enough to be filled on purpose, large enough for a store that is away for a minute.
BROKER_BYTES = 96 * 1024 * 1024
JOURNAL_DISK_BYTES = 256 * 1024 * 1024


#: Words of a command line → what the process is; the first match counts.
KINDS = (
    ("listen websocket", "listen-websocket"),
    ("listen mqtt", "listen-mqtt"),
    ("validate@", "validate"),
    ("enrich@", "enrich"),
    ("write@", "write"),
    ("rare@", "rare"),
    ("worker validate", "validate"),
    ("worker enrich", "enrich"),
    ("worker write", "write"),
    ("worker rare", "rare"),
    ("valkey-server", "broker"),
    ("redis-server", "state"),
    ("beam.smp", "broker"),
    ("influxd", "store"),
    ("mosquitto", "mosquitto"),
    ("tests.chaos.source", "source"),
    ("workers.supervisor", "supervisor"),
    ("ingestor up", "supervisor"),
    ("beat", "beat"),
    ("ingestor api", "api"),
)


@dataclass(slots=True)
class Options:
    """What is asked for on the command line."""

    seconds: int = 300
    rate: float = 2000.0
    seed: int = 1
    broker: str = "redis"
    short: bool = False
    journal: bool = True
    clock: bool = True
    only: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    entities: int = 500
    keep: str = ""
    #: Two hosts in network namespaces: one has all but the servers, the other workers alone.
    hosts: bool = False


class Stage:
    """All that runs. Leaving the block stops what was started, by process id."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._stack = ExitStack()
        folder = options.keep or self._stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-"))
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data_dir = self.folder / "data"
        self.book = self.folder / "book.jsonl"
        self._home_port, self.api_port = 0, free_port()
        self._clock_file = self.folder / "clock"
        self.has_clock = False
        self.influx: InfluxDB
        self.mosquitto: Mosquitto
        self.rabbitmq: RabbitMQ | None = None
        self.state_server: RedisServer | None = None
        self.proxy: Proxy
        self.up: subprocess.Popen[bytes]
        self.source: subprocess.Popen[bytes]
        self.disk_is_small = False
        self.hosts: Hosts | None = None
        self.elsewhere: WorkersElsewhere | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # -- starting ------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._make_small_disk()
        self._make_clock()
        self.influx = self._server(InfluxDB(self._subfolder("influxdb")))
        self.influx.create_database(DATABASE)
        self.mosquitto = self._server(Mosquitto(self._subfolder("mosquitto"), base=SAVES_EACH_SECOND))
        if self.options.broker == "rabbitmq":
            self.rabbitmq = self._server(RabbitMQ(self._subfolder("rabbitmq")))
        if self.options.broker == "rabbitmq" or self.options.hosts:
            self.state_server = self._server(RedisServer(self._subfolder("state")))
        self.proxy = self._stack.enter_context(Proxy(self.influx.port))
        self.source = self._start_source()
        # It takes a port that is free at that moment: one chosen beforehand was another server's by the time it began.
        self._home_port = int(self.wait(lambda: self.said("url"), 60, "the home's address").rpartition(":")[2])
        if self.options.hosts:
            self._make_hosts()
        up = [sys.executable, "-m", "ingestor", "up"]
        words = up if self.hosts is None else self.hosts.command(MAIN_HOST, up)
        self.up = self._start_process(words, "up", faked=True)
        if self.hosts is not None:
            self.elsewhere = self._stack.enter_context(WorkersElsewhere(self._start_elsewhere, self.data_dir / "logs"))
        self.wait(self._is_ready, 240, "listeners, workers and the map of the home")

    def _make_hosts(self) -> None:
        """Make two hosts, and let them reach the servers."""
        self.hosts = self._stack.enter_context(Hosts((MAIN_HOST, OTHER_HOST)))
        relay = self._stack.enter_context(Relay(self.hosts.address))
        servers = [server.port for server in (self.mosquitto, self.rabbitmq, self.state_server) if server is not None]
        for port in (*servers, self.proxy.port, self._home_port):
            relay.open(port)

    def _start_elsewhere(self, words: list[str], log: Path) -> subprocess.Popen[bytes]:
        assert self.hosts is not None
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = self.environment() | self._clock_environment()
        with log.open("ab") as out:
            command = self.hosts.command(OTHER_HOST, words)
            return subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)

    def _server(self, server: Any) -> Any:
        self._stack.callback(server.stop)
        return server.start()

    def _subfolder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        folder.chmod(0o755)
        return folder

    def _make_small_disk(self) -> None:
        """Give the journals a disk of their own that can be filled: a tmpfs where we may mount one."""
        journal = self.data_dir / "journal"
        journal.mkdir(parents=True)
        if os.getuid() != 0 or not self.options.journal:
            return
        mount = ["mount", "-t", "tmpfs", "-o", f"size={JOURNAL_DISK_BYTES}", "chaos-journal", str(journal)]
        self.disk_is_small = subprocess.run(mount, check=False, capture_output=True).returncode == 0
        if self.disk_is_small:
            self._stack.callback(subprocess.run, ["umount", "-l", str(journal)], check=False)

    def _start_source(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "tests.chaos.source", "--token", TOKEN]
        words += ["--mqtt-url", self.mosquitto.url, "--book", str(self.book), "--seed", str(self.options.seed)]
        words += ["--rate", str(self.options.rate), "--entities", str(self.options.entities)]
        return self._start_process(words, "source", stdin=subprocess.PIPE)

    def _start_process(
        self, words: list[str], name: str, *, stdin: int | None = None, faked: bool = False
    ) -> subprocess.Popen[bytes]:
        out = (self.folder / f"{name}.out").open("wb")
        environment = self.environment() | (self._clock_environment() if faked else {})
        process = subprocess.Popen(words, env=environment, stdin=stdin, stdout=out, stderr=subprocess.STDOUT)
        self._stack.callback(_stop, process)
        return process

    def environment(self) -> dict[str, str]:
        """Return what `ha-ingestor` finds in its environment."""
        found = {key: value for key, value in os.environ.items() if not key.startswith("HA_INGESTOR_")}
        host = LOOPBACK if self.hosts is None else self.hosts.address
        found |= {
            "HA_INGESTOR_DATA_DIR": str(self.data_dir),
            "HA_INGESTOR_API__PORT": str(self.api_port),
            "HA_INGESTOR_FLOWER__ENABLED": "false",
            "HA_INGESTOR_HOMEASSISTANT__URL": f"http://{host}:{self._home_port}",
            "HA_INGESTOR_HOMEASSISTANT__TOKEN": TOKEN,
            "HA_INGESTOR_MQTT__URL": self.mosquitto.url.replace(LOOPBACK, host),
            "HA_INGESTOR_MQTT__EVENTSTREAM_TOPIC": EVENT_TOPIC,
            "HA_INGESTOR_STORAGE__URL": f"influxdb1://{host}:{self.proxy.port}/{DATABASE}",
            "HA_INGESTOR_BROKER__MAX_MEMORY_BYTES": str(BROKER_BYTES),
            "HA_INGESTOR_JOURNAL__SEGMENT_BYTES": str(1024 * 1024),
            "HA_INGESTOR_LOG__FORMAT": "json",
        }
        if self.state_server is not None:
            found["HA_INGESTOR_STATE__URL"] = self.state_server.url.replace(LOOPBACK, host)
            broker = self.rabbitmq or self.state_server
            found["HA_INGESTOR_BROKER__URL"] = broker.url.replace(LOOPBACK, host)
        if not self.options.journal:
            found["HA_INGESTOR_JOURNAL__ENABLED"] = "false"
        return found

    def _clock_environment(self) -> dict[str, str]:
        """Return what makes the stack's time of day one that can be stepped; nothing without a C compiler.

        libfaketime 0.9.10 cannot do it: under it `time.sleep` fails with EINVAL (`clock_nanosleep` until a time).
        """
        if not self.has_clock:
            return {}
        return {"LD_PRELOAD": str(self.folder / "stepped_clock.so"), "STEPPED_CLOCK_FILE": str(self._clock_file)}

    def _make_clock(self) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if not self.options.clock or compiler is None:
            return
        self.step_clock(0)
        source = Path(__file__).with_name("stepped_clock.c")
        library = self.folder / "stepped_clock.so"
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        self.has_clock = True

    def step_clock(self, seconds: float) -> None:
        """Let the stack's time of day be so far from the true one, from now on; in place, since it is mapped."""
        with self._clock_file.open("r+b" if self._clock_file.exists() else "wb") as file:
            file.write(struct.pack("=q", int(seconds * 1e9)))

    # -- looking -------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The settings by which the harness finds broker, state and status board."""
        if self.state_server is not None:
            return Settings(data_dir=self.data_dir, state=StateSettings(url=self.state_server.url))
        return Settings(data_dir=self.data_dir)

    def board(self) -> dict[str, dict[str, Any]]:
        """Return what processes tell of themselves; nothing while the state server is away."""
        if self.state_server is None and not self.settings.broker_socket.exists():
            return {}
        return bootstrap.open_status_board(self.settings).all()

    def _is_ready(self) -> bool:
        assert self.up.poll() is None, (self.folder / "up.out").read_text()
        assert self.source.poll() is None, (self.folder / "source.out").read_text()
        board = self.board()
        kinds = {entry.get("type") for key, entry in board.items() if key.startswith("worker")}
        listeners = [entry for key, entry in board.items() if key.startswith("listener")]
        if not {"validate", "enrich", "write", "rare"} <= kinds or len(listeners) < 2:
            return False
        state = bootstrap.open_state(self.settings)
        has_map = state.exists("ha_ingestor:map:home:version")
        state.close()
        return bool(has_map) and all(entry.get("connected") for entry in listeners)

    def processes(self, kind: str = "") -> list[tuple[str, psutil.Process]]:
        """Return (kind, process) of all that runs, or of one kind; parents come before their children."""
        roots = [self.up.pid, self.source.pid, *(self.elsewhere.pids if self.elsewhere else ())]
        servers: list[Server | None] = [self.influx, self.mosquitto, self.rabbitmq, self.state_server]
        roots += [server.pid for server in servers if server is not None and server.is_running]
        found = []
        for root in roots:
            with contextlib.suppress(psutil.Error):
                top = psutil.Process(root)
                found += [(_kind(process), process) for process in (top, *top.children(recursive=True))]
        return [(name, process) for name, process in found if kind in ("", name)]

    @property
    def broker_server(self) -> Server | None:
        """The broker, where `ha-ingestor up` does not run it itself."""
        return self.rabbitmq or self.state_server

    def wait(self, met: Callable[[], Any], within_s: float, what: str) -> Any:
        """Return the first true answer. Raises TimeoutError with what the supervisor printed."""
        deadline = time.monotonic() + within_s
        while not (answer := met()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {within_s:g} s: {what}\n{self._last_words()}")
            time.sleep(0.2)
        return answer

    def _last_words(self) -> str:
        return "\n".join((self.folder / name).read_text()[-3000:] for name in ("up.out", "source.out"))

    # -- telling the source --------------------------------------------------------------------------------

    def tell(self, order: str, **how: Any) -> None:
        """Give the source an order."""
        assert self.source.stdin is not None
        self.source.stdin.write(json.dumps({"do": order, **how}).encode() + b"\n")
        self.source.stdin.flush()

    def said(self, key: str) -> Any:
        """Return what the source has said under that key, None before."""
        for line in (self.folder / "source.out").read_text().splitlines():
            if line.startswith("{") and key in (found := json.loads(line)):
                return found[key]
        assert self.source.poll() is None, (self.folder / "source.out").read_text()
        return None


def _kind(process: psutil.Process) -> str:
    try:
        words = " ".join(process.cmdline())
    except psutil.Error:
        return "gone"
    return next((kind for needle, kind in KINDS if needle in words), "other")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
