"""A worker node that is to stop while its broker hangs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.servers_brokers import RabbitMQ, RedisServer
from tests.system.stack import ROOT, wait_until


def test_a_worker_stops_within_eight_seconds_though_its_broker_does_not_answer(
    rabbitmq: RabbitMQ, redis_server: RedisServer, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HA_INGESTOR_DATA_DIR": str(tmp_path),
        "HA_INGESTOR_BROKER__URL": rabbitmq.url,
        "HA_INGESTOR_STATE__URL": redis_server.url,
    }
    words = [sys.executable, "-m", "ingestor", "worker", "enrich", "--concurrency", "1"]
    with log.open("w") as out:
        node = psutil.Popen(words, cwd=tmp_path, env=environ, stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: "enrich@" in log.read_text() and " ready." in log.read_text(), 60, "the worker is ready")
        children = node.children(recursive=True)
        os.kill(rabbitmq.pid, signal.SIGSTOP)
        asked = time.monotonic()
        node.terminate()
        code = node.wait(30)
        took_s = time.monotonic() - asked
    finally:
        os.kill(rabbitmq.pid, signal.SIGCONT)
        with contextlib.suppress(psutil.NoSuchProcess):
            node.kill()

    assert (code, took_s < 9) == (0, True), (took_s, log.read_text()[-2000:])
    assert children
    wait_until(lambda: not any(child.is_running() for child in children), 60, "its children are gone")
