"""`python -m tests.bench.exports`: what it takes to export a month as a file, from both stores.

The events are those of `month_of_events`; the export runs in a process of its own, as a person would start it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import psutil

from tests.bench.daily_report import STORES, filled
from tests.bench.measure import peak_mb
from tests.bench.month_of_events import Large

EVENTS: Final = 1_000_000


def measure_exports(
    events: int = EVENTS, form: str = "parquet", stores: tuple[str, ...] = STORES
) -> list[dict[str, Any]]:
    """Export from each store; return time (s), peaks of memory (MB) and the size of the file (MB)."""
    found = []
    for name in stores:
        with tempfile.TemporaryDirectory(prefix="exports-") as made:
            folder = Path(made)
            with filled(name, folder, Large(events=events)) as (url, states, pid):
                found.append({"store": name, "form": form, "events": states, **_exported(folder, url, form, pid)})
    return found


def _exported(folder: Path, url: str, form: str, pid: int) -> dict[str, Any]:
    file = folder / f"events.{form}"
    words = [sys.executable, "-m", "ingestor", "--set", f"data_dir={folder}", "--set", f"storage.url={url}"]
    before_mb = _memory_mb(pid)
    begun = time.perf_counter()
    process = subprocess.Popen([*words, "export", form, "--output", str(file)], stderr=subprocess.DEVNULL)
    store_mb, most_mb = before_mb, 0
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        store_mb, most_mb = max(store_mb, _memory_mb(pid)), max(most_mb, peak_mb(process.pid))
        time.sleep(0.05)
    took_s = time.perf_counter() - begun
    _, status, used = ended
    if status:
        raise RuntimeError(f"the export ended with {status}")
    return {
        "took_s": round(took_s, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": most_mb,
        "store_mb_before": before_mb,
        "store_peak_mb": store_mb,
        "file_mb": round(file.stat().st_size / 1e6, 1),
    }


def _memory_mb(pid: int) -> int:
    return round(psutil.Process(pid).memory_info().rss / 1e6) if pid else 0


def sentence(found: dict[str, Any]) -> str:
    """Return one result as a person reads it."""
    store = f"; the store {found['store_mb_before']} → {found['store_peak_mb']} MB" if found["store_peak_mb"] else ""
    return (
        f"export of {found['events']:,} events as {found['form']}, {found['store']}: {found['took_s']} s"
        f" ({found['cpu_s']} s of CPU), {found['peak_mb']} MB{store}; {found['file_mb']} MB"
    )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--form", default="parquet")
    parser.add_argument("--stores", nargs="+", default=list(STORES), choices=STORES)
    options = parser.parse_args()
    for one in measure_exports(options.events, options.form, tuple(options.stores)):
        print(sentence(one), json.dumps(one))


if __name__ == "__main__":
    main()
