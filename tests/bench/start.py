"""How soon a newcomer sees something: from `ha-ingestor up` with nothing set to the first event with an area."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.servers import free_port

#: The promise is 30 s.
LIMIT_S = 120.0


def measure_start() -> float:
    """Start the whole system on an empty data folder; return the seconds until an event with an area is read back."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        environ = {key: value for key, value in os.environ.items() if not key.startswith("HA_INGESTOR_")}
        environ |= {
            "HA_INGESTOR_DATA_DIR": str(folder / "data"),
            "HA_INGESTOR_API__PORT": str(free_port()),
            "HA_INGESTOR_FLOWER__PORT": str(free_port()),
        }
        began = time.monotonic()
        with (folder / "up.out").open("wb") as out:
            command = [sys.executable, "-m", "ingestor", "up"]
            up = subprocess.Popen(command, env=environ, stdout=out, stderr=subprocess.STDOUT)
        try:
            while not _has_area(environ):
                if up.poll() is not None or time.monotonic() - began > LIMIT_S:
                    raise TimeoutError((folder / "up.out").read_text())
            return time.monotonic() - began
        finally:
            up.terminate()
            up.wait(30)


def _has_area(environ: dict[str, str]) -> bool:
    command = [sys.executable, "-m", "ingestor", "events", "--limit", "200", "--json"]
    found = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]
    return any(line.get("tags", {}).get("area", "-") != "-" for line in lines)
