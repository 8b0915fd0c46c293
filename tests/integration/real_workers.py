"""A listener's intake in this process and real Celery workers beside it, over real brokers: for tests of harm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from ingestor import bootstrap
from ingestor.events.frame import Frame
from ingestor.home.model import Snapshot
from ingestor.home.publication import RedisMaps
from ingestor.intake.assemble import Intake, open_intake
from ingestor.queue.state import connect_state
from ingestor.settings import BatchSettings, BrokerSettings, JournalSettings, Settings, StateSettings, StorageSettings
from ingestor.settings_tracing import TracingSettings
from ingestor.storage.port import EventQuery
from tests.servers import wait_until

ROOT = Path(__file__).resolve().parents[2]
HOME = "home"


class Road:
    """The whole road of an event: `add` frames, look at what is stored; workers can be started, harmed and killed."""

    def __init__(
        self,
        stack: ExitStack,
        folder: Path,
        broker_url: str,
        state_url: str,
        *,
        storage: StorageSettings | None = None,
        tracing_url: str | None = None,
        **journal: float,
    ) -> None:
        self._stack = stack
        self.settings = Settings(
            data_dir=folder,
            broker=BrokerSettings(url=broker_url),
            state=StateSettings(url=state_url),
            storage=storage or StorageSettings(),
            batch=BatchSettings(max_frames=20, flush_after_s=0.01),
            journal=JournalSettings(**{"resend_after_s": 1.0, **journal}),
            tracing=TracingSettings(url=tracing_url),
        )
        self.listener = f"road{os.getpid()}-{folder.parent.name[-6:]}-{folder.name}".lower().replace("_", "-")[-40:]
        self._log = folder / "workers.log"
        folder.mkdir(parents=True, exist_ok=True)
        state = connect_state(state_url)
        maps = RedisMaps(state)
        if maps.published(HOME).version is None:
            maps.publish(Snapshot(HOME, 1, 0, {}), ())
        self.intake: Intake = stack.enter_context(open_intake(self.settings, HOME, self.listener, "mqtt"))
        self.sent: list[str] = []

    def start_workers(
        self, *, poisoned: bool = False, queues: str = "validate,enrich,write", fake: str | None = None
    ) -> subprocess.Popen[bytes]:
        """Start one node for all three steps, or other queues, with one child; `fake` is a folder of tests/fakes."""
        settings = self.settings
        fake = "poison" if poisoned else fake
        path = [str(ROOT / "tests" / "fakes" / fake)] if fake else []
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "workers", "worker", "-Q", queues),
                *("-n", f"{self.listener}@%h", "-P", "prefork", "-c", "1"),
                *("--without-gossip", "--without-mingle", "-l", "info"),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([*path, str(ROOT)]),
                "HA_INGESTOR_DATA_DIR": str(settings.data_dir),
                "HA_INGESTOR_BROKER__URL": settings.broker.url,
                "HA_INGESTOR_STATE__URL": str(settings.state.url),
                "HA_INGESTOR_STORAGE__URL": settings.storage.url,
                "HA_INGESTOR_STORAGE__TOKEN": settings.storage.token.get_secret_value()
                if settings.storage.token
                else "",
                "HA_INGESTOR_WORKERS__UNKNOWN_WAIT_S": "0",
                "HA_INGESTOR_LOG__FORMAT": "json",
            },
            stdout=self._log.open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._stack.callback(self.end, process)
        wait_until(lambda: "ready." in self.log() or process.poll() is not None, timeout_s=60, what="workers")
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a node with its children."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        process.wait(10)

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def children(self, process: subprocess.Popen[bytes]) -> list[psutil.Process]:
        return [child for child in psutil.Process(process.pid).children() if "celery" in " ".join(child.cmdline())]

    def add(self, *names: str, topic: str = "fine") -> None:
        """Add a frame for each name: the state that it is stored with."""
        for name in names:
            payload = json.dumps({"entity_id": f"sensor.{self.listener.replace('-', '_')}", "raw": name}).encode()
            self.intake.sink.add(Frame("topic", time.time_ns(), payload, topic))
            self.sent.append(name)

    def stored(self) -> list[str]:
        """Return the states that are stored, sorted."""
        store = bootstrap.open_store(self.settings)
        try:
            return sorted(str(event.fields.get("state")) for event in store.read(EventQuery(limit=100_000)))
        finally:
            store.close()

    def pending(self) -> int:
        status = self.intake.status()
        return int(status["pending_batches"]) + int(status["waiting_bytes"] > 0)

    def settle(self, within_s: float) -> None:
        try:
            wait_until(lambda: self.pending() == 0, timeout_s=within_s, what="all done")
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.log()[-5000:]}") from error

    def quarantined(self) -> list[Any]:
        return list(bootstrap.open_quarantine(self.settings).list(limit=1000))
