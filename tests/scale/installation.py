"""An installation for a measurement: `up` in a folder of its own, simulated homes, a store that takes its time."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ingestor.queue.state import connect_state
from ingestor.queue.status_board import StatusBoard
from tests.servers import free_port

TOKEN = "demo-home-token"
ROOT = Path(__file__).resolve().parents[2]


def start_home(stack: ExitStack, rate: float, seed: int) -> str:
    """Start a simulated home of that many events a second; return its address."""
    port = free_port()
    words = ("--port", str(port), "--token", TOKEN, "--rate", str(rate), "--seed", str(seed), "--entities", "200")
    process = subprocess.Popen([sys.executable, "-m", "ingestor.demo", *words], cwd=ROOT, stdout=subprocess.DEVNULL)
    stack.callback(_end, process)
    return f"http://127.0.0.1:{port}"


def start_up(stack: ExitStack, folder: Path, settings: dict[str, str]) -> Path:
    """Start `ha-ingestor up` with these settings; return its data folder."""
    data = folder / "data"
    environ = {key: value for key, value in os.environ.items() if not key.startswith("HA_INGESTOR_")}
    environ |= {
        "HA_INGESTOR_DATA_DIR": str(data),
        "HA_INGESTOR_API__PORT": str(free_port()),
        "HA_INGESTOR_FLOWER__ENABLED": "false",
        "HA_INGESTOR_DEMO__ENABLED": "false",
        **settings,
    }
    with (folder / "up.out").open("wb") as out:
        words = [sys.executable, "-m", "ingestor", "up"]
        process = subprocess.Popen(words, cwd=ROOT, env=environ, stdout=out, stderr=subprocess.STDOUT)
    stack.callback(_end, process)
    return data


def board_of(data: Path) -> StatusBoard:
    """Return the status board of an installation with the embedded broker."""
    return StatusBoard(connect_state(f"unix://{data / 'broker' / 'valkey.sock'}?db=0"))


def await_entry(board: StatusBoard, key: str, within_s: float = 120.0) -> dict[str, Any]:
    """Return an entry of the board once it is there and tells of a connection, where it is a listener's."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        entry = board.all().get(key)
        if entry is not None and entry.get("connected", True):
            return entry
        time.sleep(0.2)
    raise TimeoutError(f"{key} is not there after {within_s:g} s")


class SlowStore:
    """Speaks as InfluxDB 2 does when it takes points, after so many seconds each time."""

    def __init__(self, takes_s: float) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                time.sleep(takes_s)
                self._answer(204, b"")

            def do_GET(self) -> None:
                self._answer(200, json.dumps({"status": "pass", "name": "influxdb", "version": "2.7.0"}).encode())

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"influxdb2://127.0.0.1:{self._server.server_address[1]}/bucket?org=house"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._server.server_close()


def host() -> str:
    """Return what this host is called."""
    return socket.gethostname()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
