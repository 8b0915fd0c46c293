"""`make footprint`: what a small machine pays: memory and CPU of all processes with the demo home as the source.

Memory is the sum of PSS (what is shared counts once, shared out), read three times; the source itself is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.bench.measure import machine, processes
from tests.servers import free_port

RESULTS = Path("bench-results")
LIMIT_MB = 400.0
LIMIT_PERCENT = 5.0
#: Beginnings are not what a day is made of: tables, the first sync, every cache.
_WARM_S = 60.0
_READINGS = 3


def main() -> int:
    """Measure; exit 1 where the profile `small` is above its limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="small", help="small or standard (small)")
    parser.add_argument("--seconds", type=float, default=180.0, help="length of the measurement (180)")
    parser.add_argument(
        "--rate", type=float, default=5.6, help="state changes a second of the home; about nine in ten are events (5.6)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="footprint-") as folder, _running(Path(folder), options) as environ:
        found = _measure(Path(folder), environ, options.seconds)
    found |= {"profile": options.profile, "machine": machine()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"footprint-{options.profile}.json").write_text(json.dumps(found, indent=1))
    _show(found)
    return int(options.profile == "small" and (found["mb"] > LIMIT_MB or found["percent"] > LIMIT_PERCENT))


@contextmanager
def _running(folder: Path, options: argparse.Namespace) -> Iterator[dict[str, str]]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("HA_INGESTOR_")}
    environ |= {
        "HA_INGESTOR_DATA_DIR": str(folder / "data"),
        "HA_INGESTOR_API__PORT": str(free_port()),
        "HA_INGESTOR_FLOWER__PORT": str(free_port()),
        "HA_INGESTOR_DEMO__RATE": str(options.rate),
    }
    with (folder / "up.out").open("wb") as out:
        words = [sys.executable, "-m", "ingestor", "up", "--profile", options.profile]
        up = subprocess.Popen(words, env=environ, stdout=out, stderr=subprocess.STDOUT)
    try:
        print(f"up with profile {options.profile}; {_WARM_S:.0f} s until it has begun", flush=True)
        time.sleep(_WARM_S)
        yield environ
    finally:
        up.terminate()
        up.wait(30)


def _measure(folder: Path, environ: dict[str, str], seconds: float) -> dict[str, Any]:
    root = int((folder / "data" / "supervisor.lock").read_text())
    before, written, began = _cpu(root), _written(environ), time.monotonic()
    sums: list[dict[str, float]] = []
    for number in range(_READINGS):
        time.sleep(seconds / _READINGS)
        sums.append(_memory(root))
        print(f"  {number + 1} of {_READINGS}: {sum(sums[-1].values()):.0f} MB", flush=True)
    # The readers of memory themselves are not among the processes; of `status` the last is after the end.
    after, took_s = _cpu(root), time.monotonic() - began
    cpu = {name: (spent - before.get(name, 0.0)) / took_s * 100 for name, spent in after.items()}
    most = max(sums, key=lambda one: sum(one.values()))
    return {
        "mb": round(sum(most.values()), 1),
        "percent": round(sum(cpu.values()), 2),
        "events_per_s": round((_written(environ) - written) / took_s, 2),
        "seconds": round(took_s, 1),
        "processes": {name: {"mb": round(most.get(name, 0), 1), "percent": round(cpu[name], 2)} for name in cpu},
    }


def _own(root: int) -> list[tuple[str, psutil.Process]]:
    return [(stage, process) for stage, process in processes([root]) if stage != "load"]


def _cpu(root: int) -> dict[str, float]:
    sums: dict[str, float] = {}
    for stage, process in _own(root):
        times = process.cpu_times()
        sums[stage] = sums.get(stage, 0.0) + times.user + times.system
    return sums


def _memory(root: int) -> dict[str, float]:
    sums: dict[str, float] = {}
    for stage, process in _own(root):
        sums[stage] = sums.get(stage, 0.0) + process.memory_full_info().pss / 1e6
    return sums


def _written(environ: dict[str, str]) -> int:
    command = [sys.executable, "-m", "ingestor", "status", "--json"]
    shown = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return int(json.loads(shown.stdout)["counts"]["written"])


def _show(found: dict[str, Any]) -> None:
    print(f"\n{'process':12} {'MB':>7} {'% core':>7}")
    for name, one in found["processes"].items():
        print(f"{name:12} {one['mb']:7.1f} {one['percent']:7.2f}")
    print(f"{'all':12} {found['mb']:7.1f} {found['percent']:7.2f}   at {found['events_per_s']} events/s")


if __name__ == "__main__":
    sys.exit(main())
