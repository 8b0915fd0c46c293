"""The ledger over real workers, broker and database, with a listener that is killed: it balances to the event."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingestor import bootstrap
from ingestor.events.counts import hour_of
from ingestor.pipeline.ledger import bring_in
from ingestor.storage.ledger import summed_up
from tests.integration.real_workers import HOME, ROOT, Road
from tests.servers import wait_until
from tests.servers_brokers import RedisServer

NAME = "killed"
_YESTERDAY_US = (time.time_ns() // 1000) // 3_600_000_000 * 3_600_000_000 - 86_400_000_000


class Killed:
    """A listener process that takes frames and is killed in the middle."""

    def __init__(self, road: Road) -> None:
        settings = self._settings = road.settings
        self._env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HA_INGESTOR_DATA_DIR": str(settings.data_dir),
            "HA_INGESTOR_BROKER__URL": settings.broker.url,
            "HA_INGESTOR_STATE__URL": str(settings.state.url),
            "HA_INGESTOR_BATCH__MAX_FRAMES": "20",
            "HA_INGESTOR_JOURNAL__RESEND_AFTER_S": "1",
            "HA_INGESTOR_LOG__LEVEL": "error",
        }
        self.journaled: set[int] = set()
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.ledger_listener", HOME, NAME],
            cwd=ROOT,
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        threading.Thread(target=self._hear, args=[process.stdout], daemon=True).start()
        return process

    def _hear(self, lines: Any) -> None:
        for line in lines:
            if line.strip().isdigit():  # else it is of the log
                self.journaled.add(int(line))

    def take(self, frames: list[tuple[int, int, str, bool]]) -> None:
        """Hand frames in and wait until all are in the journal: nothing is owed to the sender then."""
        assert self._process.stdin is not None
        for frame in frames:
            self._process.stdin.write(json.dumps(frame).encode() + b"\n")
        self._process.stdin.flush()
        wanted = {number for number, *_ in frames}
        wait_until(lambda: wanted <= self.journaled, timeout_s=60, what="journaled")

    def kill_and_start(self) -> None:
        self._process.kill()
        self._process.wait(10)
        self._process = self._start()

    def end(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def settled(self, received: int) -> dict[str, Any]:
        """Return what the ledger says once everything has ended."""
        ledger = bootstrap.open_ledger(self._settings)
        post = bootstrap.open_ledger_post(self._settings, bootstrap.open_state(self._settings))

        def has_all() -> bool:
            bring_in(post, ledger)
            total = summed_up(ledger.rows()).total
            return total.total >= received and total.in_flight == 0

        wait_until(has_all, timeout_s=90, what="everything in the ledger")
        return self.ledger()

    def ledger(self) -> dict[str, Any]:
        """Return what `ha-ingestor ledger --json` prints."""
        done = subprocess.run(
            [sys.executable, "-m", "ingestor", "ledger", "--json", "--home", HOME],
            cwd=self._env["HA_INGESTOR_DATA_DIR"],
            env=self._env,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def road(tmp_path: Path, start_server: Callable[..., RedisServer]) -> Iterator[Road]:
    server = start_server(RedisServer)
    with ExitStack() as stack:
        yield Road(stack, tmp_path / "data", server.url, server.url)


def frames(first: int, count: int, chance: random.Random, fate: Counter[str]) -> list[tuple[int, int, str, bool]]:
    """Return frames, most of them good; `fate` counts what must become of them."""
    found = []
    for number in range(first, first + count):
        kind = chance.choices(["written", "duplicate", "rejected", "filtered"], [80, 10, 5, 5])[0]
        if kind == "duplicate" and not fate["written"]:
            kind = "written"
        fate[kind] += 1
        found.append((number, time.time_ns(), _payload(number, kind), kind == "filtered"))
    return found


def _payload(number: int, kind: str) -> str:
    if kind == "rejected":
        return f"no JSON {number}"
    if kind == "filtered":
        return json.dumps({"entity_id": "sensor.untimed", "state": str(number), "attributes": {}})
    # Every good event is of its own time; a duplicate says once more what another said that is in this test for sure.
    moment = _YESTERDAY_US + (-1 if kind == "duplicate" else number)
    updated = datetime.fromtimestamp(moment / 1e6, UTC).isoformat()
    state = "the same" if kind == "duplicate" else str(number)
    return json.dumps({"entity_id": "sensor.timed", "state": state, "attributes": {}, "last_updated": updated})


def test_the_ledger_balances_to_the_event_though_the_listener_is_killed_in_the_middle(road: Road) -> None:
    fate: Counter[str] = Counter()
    chance = random.Random(11)
    with ExitStack() as stack:
        road.start_workers()
        listener = Killed(road)
        stack.callback(listener.end)

        for turn in range(3):
            listener.take(frames(turn * 400, 400, chance, fate))
            listener.kill_and_start()
        listener.take(frames(1_200, 100, chance, fate))
        told = listener.settled(1_300)

    # One of the equals was the first.
    fate["written"], fate["duplicate"] = fate["written"] + 1, fate["duplicate"] - 1
    total = told["total"]
    assert {name: total[name] for name in fate} == dict(fate), road.log()[-3000:]
    assert (total["received"], total["lost"], total["balances"]) == (1_300, 0, True)
    assert {(row["home"], row["source"], row["balances"]) for row in told["rows"]} == {(HOME, "mqtt", True)}
    assert told["verdict"] == "everything balances, nothing is lost"
    assert len(road.stored()) == fate["written"]
    assert len(road.quarantined()) == fate["rejected"]
    of_itself = bootstrap.open_ledger(road.settings).stored(HOME)
    hour_s = hour_of(_YESTERDAY_US * 1000)
    assert of_itself == {("mqtt", hour_s): fate["written"] - 1, ("mqtt", hour_s - 3600): 1}
